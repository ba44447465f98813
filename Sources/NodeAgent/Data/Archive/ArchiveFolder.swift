import BasculeCrypto
import BasculeModel
import FoundationEssentials
import Glibc

extension ErrorCode {
    /// An archive of a source is not what the source says it holds.
    package static let archiveImplausible: ErrorCode = "archive-implausible"
}

/// The folder of an archive while it is written: beside its final place, which it takes whole at the end.
final class ArchiveFolder {
    struct Entry: Codable, Equatable {
        var path: String
        var bytes: Int64
        var sha256: String
    }

    let target: String
    private let partial: String
    private(set) var entries: [Entry] = []

    init(_ target: String) throws {
        guard target.hasPrefix("/"), target.count > 1, !target.contains("/../"), !target.hasSuffix("/") else {
            throw BasculeError(.invalidInput, "The archive's folder is not an absolute path", at: .thing(target))
        }
        self.target = target
        partial = target + ".partial"
        var path = ""
        for part in target.split(separator: "/").dropLast() {
            path += "/\(part)"
            // Only what is made here is closed to others: the path to it may be somebody else's.
            guard mkdir(path, path.hasSuffix("/archive") ? 0o700 : 0o755) == 0 || errno == EEXIST else {
                throw Self.failure("make", path)
            }
        }
        Self.removeTree(partial)
        guard mkdir(partial, 0o700) == 0 else { throw Self.failure("make", partial) }
    }

    /// Where a program may write by itself; `add(written:)` takes it in.
    func path(_ name: String) -> String { "\(partial)/\(name)" }

    func makeFolder(_ name: String) throws {
        guard mkdir(path(name), 0o700) == 0 || errno == EEXIST else { throw Self.failure("make", path(name)) }
    }

    /// Writes one file by what `body` hands to its argument.
    @discardableResult
    func write(_ name: String, _ body: (ArchiveFile) throws -> Void) throws -> Entry {
        let file = try ArchiveFile(path(name))
        try body(file)
        let entry = Entry(path: name, bytes: file.bytes, sha256: try file.finish())
        entries.append(entry)
        return entry
    }

    /// Bytes free to this process where the archive goes.
    var free: Int64 {
        var status = statvfs()
        guard statvfs(partial, &status) == 0 else { return .max }
        return Int64(clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).0)
    }

    /// Throws `disk-full` where the source would not fit.
    func requireSpace(_ bytes: Int64) throws {
        guard bytes < free / 10 * 9 else {
            throw BasculeError(
                .diskFull, "The archive needs about \(bytes >> 20) MiB, \(free >> 20) MiB are free", at: .thing(target),
                hint: "Make space there, or say finalBackup: off and keep the source's archive elsewhere.")
        }
    }

    /// Writes the manifest, makes everything durable and puts it into its place. Gives the manifest's SHA-256.
    func finish(_ about: [(String, String)]) throws -> Digest {
        let listed = entries
        try write("SHA256SUMS") { file in
            for entry in listed { try file.write("\(entry.sha256)  \(entry.path)\n") }
        }
        let manifest = Manifest(
            about: Dictionary(about) { $1 }, files: listed,
            bytes: listed.reduce(0) { $0 + $1.bytes })
        let coder = JSONEncoder()
        coder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        let text = Array(try coder.encode(manifest))
        let entry = try write("manifest.json") { try $0.write(text) }
        sync()
        Self.removeTree(target)
        guard rename(partial, target) == 0 else { throw Self.failure("rename", partial) }
        let parent = open(String(target[..<(target.lastIndex(of: "/") ?? target.startIndex)]), O_RDONLY | O_CLOEXEC)
        if parent >= 0 {
            fsync(parent)
            close(parent)
        }
        return Digest(rawValue: entry.sha256)
    }

    /// Removes what was not finished.
    func discard() { if access(partial, F_OK) == 0 { Self.removeTree(partial) } }

    private struct Manifest: Codable {
        var about: [String: String]
        var files: [Entry]
        var bytes: Int64
    }

    /// Removes a tree of our own making: no link in it is followed.
    static func removeTree(_ path: String) {
        _ = try? FilesCommand(program: "rm", arguments: ["-rf", "--one-file-system", "--", path]).run { _ in }
    }

    static func failure(_ doing: String, _ path: String) -> BasculeError {
        BasculeError(
            errno == ENOSPC ? .diskFull : .inputOutput, "Could not \(doing) a file of the archive", at: .thing(path),
            cause: String(cString: strerror(errno)))
    }
}

/// A file in the making, hashed as it is written.
final class ArchiveFile {
    private let descriptor: Int32
    private let path: String
    private var hash = SHA256()
    private(set) var bytes: Int64 = 0

    init(_ path: String) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw ArchiveFolder.failure("make", path) }
    }

    deinit { close(descriptor) }

    func write(_ buffer: UnsafeRawBufferPointer) throws {
        var rest = buffer[...]
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ArchiveFolder.failure("write", path) }
            rest = rest.dropFirst(count)
        }
        hash.update(buffer)
        bytes += Int64(buffer.count)
    }

    func write(_ more: [UInt8]) throws { try more.withUnsafeBytes { try write($0) } }
    func write(_ text: String) throws { try write(Array(text.utf8)) }

    /// On disk when it returns; the SHA-256 in hexadecimal.
    fileprivate func finish() throws -> String {
        guard fsync(descriptor) == 0 else { throw ArchiveFolder.failure("sync", path) }
        return Hex.encode(hash.finalize())
    }
}
