import BasculeModel
import Glibc

/// The damages that a drill does to a copy of the repository. Each of them has to make reading it fail.
struct BorgControls {
    let repository: BorgRepository
    let scratch: String
    let resolve: (SecretName) throws -> Secret

    func run() throws -> [BackupControl] {
        var out: [BackupControl] = [
            try attempt("wrong key") {
                _ = try BorgTool(repository, resolve: resolve, passphrase: Secret("not-the-passphrase")).archives()
            }
        ]
        var copy = repository
        (copy.login, copy.hostKey, copy.user, copy.bucket) = (nil, nil, nil, nil)
        copy.location = "\(scratch)/damaged"
        defer { ArchiveFolder.removeTree(scratch) }
        for (damage, hurt) in [
            ("flipped byte", flipped), ("truncated manifest", truncated), ("missing segment", removed),
        ] {
            ArchiveFolder.removeTree(scratch)
            guard mkdir(scratch, 0o700) == 0 else { throw ArchiveFolder.failure("make", scratch) }
            try makeCopy(to: copy.location)
            // An untouched copy must be read without a word, else the damage proves nothing.
            try read(copy)
            try hurt(try segments(copy.location))
            out.append(try attempt(damage) { try read(copy) })
        }
        return out
    }

    /// Everything, as a restore would: structure, data, manifest.
    private func read(_ copy: BorgRepository) throws {
        let tool = try BorgTool(copy, resolve: resolve)
        _ = try tool.output(["check", "--verify-data"])
        for archive in try tool.archives() { _ = try tool.output(["extract", "--dry-run", "::\(archive.name)"]) }
    }

    private func attempt(_ damage: String, _ work: () throws -> Void) throws -> BackupControl {
        do { try work() } catch let error as BasculeError where error.code == .borgFailed {
            // The end of what Borg said, line breaks made visible; its first line may be cut.
            let lines = (error.cause ?? error.message).replacing("\\x0a", with: "\n").split(whereSeparator: \.isNewline)
            let said = lines.dropFirst(lines.count > 1 ? 1 : 0).first { $0.contains("rror") } ?? lines.last ?? ""
            return BackupControl(damage: damage, wasNoticed: true, said: String(said.prefix(160)))
        }
        return BackupControl(damage: damage, wasNoticed: false, said: "")
    }

    /// A repository on another node cannot be copied as files: one of the same archive's content is made here.
    private func makeCopy(to path: String) throws {
        guard repository.login != nil else {
            let ending = try FilesCommand(
                program: "cp", arguments: ["-a", "--reflink=auto", "--", repository.location, path]
            ).run { _ in }
            guard ending.status == 0 else { throw ArchiveFolder.failure("copy", path) }
            return
        }
        var fresh = repository
        (fresh.login, fresh.hostKey, fresh.user, fresh.bucket, fresh.location) = (nil, nil, nil, nil, path)
        let tool = try BorgTool(fresh, resolve: resolve)
        _ = try tool.output(["init", "--encryption=repokey-blake2"])
        _ = try tool.output(["create", "::sample", "/etc"], warnings: true)
    }

    /// Segment files in their order, the largest among them first in `largest`.
    private func segments(_ path: String) throws -> [(path: String, bytes: Int)] {
        var out: [(path: String, bytes: Int, number: Int)] = []
        var splitter = ByteSplitter(separator: 0)
        let ending = try FilesCommand(
            program: "find", arguments: ["\(path)/data", "-type", "f", "-printf", "%s %p\\0"]
        ).run { bytes in
            try splitter.take(bytes) { record in
                let words = String(decoding: record, as: UTF8.self).split(separator: " ", maxSplits: 1)
                guard words.count == 2, let size = Int(words[0]),
                    let number = words[1].split(separator: "/").last.flatMap({ Int($0) })
                else { return }
                out.append((String(words[1]), size, number))
            }
        }
        guard ending.status == 0, !out.isEmpty else {
            throw BasculeError(.borgFailed, "The repository has no segments", at: .thing(path))
        }
        return out.sorted { $0.number < $1.number }.map { ($0.path, $0.bytes) }
    }

    private func flipped(_ segments: [(path: String, bytes: Int)]) throws {
        guard let largest = segments.max(by: { $0.bytes < $1.bytes }) else { return }
        let descriptor = open(largest.path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw ArchiveFolder.failure("open", largest.path) }
        defer { close(descriptor) }
        var byte: UInt8 = 0
        let place = off_t(largest.bytes / 2)
        guard pread(descriptor, &byte, 1, place) == 1 else { throw ArchiveFolder.failure("read", largest.path) }
        byte ^= 1
        guard pwrite(descriptor, &byte, 1, place) == 1 else { throw ArchiveFolder.failure("write", largest.path) }
    }

    /// The manifest stands at the end of the last transaction: the last segment that holds more than its mark.
    private func truncated(_ segments: [(path: String, bytes: Int)]) throws {
        guard let last = segments.last(where: { $0.bytes > 100 }) else { return }
        guard truncate(last.path, off_t(last.bytes / 2)) == 0 else { throw ArchiveFolder.failure("cut", last.path) }
    }

    private func removed(_ segments: [(path: String, bytes: Int)]) throws {
        guard let largest = segments.max(by: { $0.bytes < $1.bytes }), unlink(largest.path) == 0 else {
            throw ArchiveFolder.failure("remove", scratch)
        }
    }
}
