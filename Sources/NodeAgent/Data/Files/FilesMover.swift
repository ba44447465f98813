import BasculeCrypto
import BasculeModel
import BasculeNet
import Glibc

/// Moves a directory tree: preflight, copy, sync, verify.
package enum FilesMover {
    /// Does one task and reports. Blocks the calling thread until done.
    ///
    /// - Parameters:
    ///   - progress: files as rows; called as often as rsync speaks, a few times a second.
    ///   - isCancelled: asked at least five times a second; a cancellation kills rsync, and a later run goes on.
    /// - Throws: `invalid-input`, `files-source-unreachable`, `files-source-restricted`, `files-target-not-empty`,
    ///   `files-move-refused`, `disk-full`, `command-failed`, `unsupported`, `input-output`, `cancelled`.
    ///   A verification that finds differences does not throw: it reports them.
    package static func run(
        _ task: FilesTask, progress: @escaping (MoveProgress) -> Void = { _ in },
        isCancelled: @escaping () -> Bool = { false }
    ) throws -> FilesReport {
        let started = Monotonic.now()
        let move = task.move
        guard move.to.hasPrefix("/"), move.to.count > 1, !move.to.utf8.contains(0) else {
            throw BasculeError(.invalidInput, "The target is not an absolute path", at: .thing(printable(move.to.utf8)))
        }
        let source = try FilesSource(move, isCancelled: isCancelled)
        let pass = FilesPass(move: move, source: source, progress: progress, isCancelled: isCancelled)
        var report =
            switch task {
            case .preflight: try pass.preflight()
            case .copy: try pass.copy(thorough: false, delete: false)
            case .sync(_, let thorough): try pass.copy(thorough: thorough, delete: move.delete)
            case .verify: try pass.verify()
            case .finish: try pass.finish()
            }
        report.seconds = Monotonic.milliseconds(since: started) / 1000
        return report
    }
}

/// The passes over the tree.
struct FilesPass {
    let move: FilesMove
    let source: FilesSource
    let progress: (MoveProgress) -> Void
    let isCancelled: () -> Bool

    private var tree: FilesTree { FilesTree(root: move.to, isCancelled: isCancelled) }

    // MARK: preflight

    func preflight() throws -> FilesReport {
        var report = FilesReport()
        do {
            let census = try FilesRemote(source: source).census()
            report.sourceFiles = census.files
            report.sourceBytes = census.bytes
            if census.special > 0 {
                report.findings.append(
                    FilesFinding(
                        .specialFiles, .warn, "\(census.special) sockets, pipes or devices at the source do not travel")
                )
            }
            report.findings += try space(census)
        } catch let error as BasculeError where error.code == .filesSourceRestricted {
            report.findings.append(
                FilesFinding(
                    .restricted, .refuse, "The source cannot be counted or hashed: \(error.cause ?? error.message)"))
        }
        if let finding = try notEmpty() { report.findings.append(finding) }
        return report
    }

    private func space(_ census: FilesRemote.Census) throws -> [FilesFinding] {
        var status = statvfs()
        var path = move.to
        while statvfs(path, &status) != 0 {
            guard errno == ENOENT, path.count > 1, let slash = path.lastIndex(of: "/") else {
                throw BasculeError(
                    .inputOutput, "Could not look at the target's file system", at: .thing(path),
                    cause: String(cString: strerror(errno)))
            }
            path = slash == path.startIndex ? "/" : String(path[..<slash])
        }
        let free = Int64(clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).0)
        let present = try presentBytes()
        var out: [FilesFinding] = []
        let needed = max(0, census.bytes - present)
        if needed > free {
            out.append(
                FilesFinding(
                    .space, .refuse, "The files take \(needed >> 20) MiB more, the target has \(free >> 20) MiB free"))
        } else if needed > free / 10 * 9 {
            out.append(
                FilesFinding(.space, .warn, "The files would leave less than a tenth of the target's space free"))
        }
        // Some file systems make inodes as they need them, and say 0.
        if status.f_files > 0, census.inodes > Int(clamping: status.f_favail) {
            out.append(
                FilesFinding(
                    .space, .refuse,
                    "The source has \(census.inodes) entries, the target \(status.f_favail) inodes free"))
        }
        return out
    }

    private func presentBytes() throws -> Int64 {
        var sum: Int64 = 0
        try tree.walk { _, parent, name, kind in
            guard kind == S_IFREG else { return true }
            var status = stat()
            let found = (name + [0]).withUnsafeBufferPointer { bytes in
                bytes.withMemoryRebound(to: CChar.self) {
                    $0.baseAddress.map {
                        fstatat(parent, $0, &status, AT_SYMLINK_NOFOLLOW)
                    }
                }
            }
            if found == 0 { sum += Int64(status.st_size) }
            return true
        }
        return sum
    }

    // MARK: the marker

    /// Which source this directory is filled from, and whether it was empty.
    private var markerPath: String { "\(ownPath)/source" }
    private var ownPath: String { "\(move.to)/\(FilesTree.own)" }
    /// Files in transfer have their place here, so that a killed rsync leaves nothing among the data.
    private var transferPath: String { "\(ownPath)/transfer" }
    private var identity: String { Digest(of: "\(source.user)@\(source.host):\(source.path)").rawValue }

    /// Whether an earlier run of this move marked the target, and whether everything there is the move's.
    private func marker() -> (isOurs: Bool, exclusive: Bool)? {
        let descriptor = open(markerPath, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 200)
        let count = read(descriptor, &buffer, buffer.count)
        let words = String(decoding: buffer[..<max(0, count)], as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard words.count == 2 else { return nil }
        return (words[0] == identity, words[1] == "exclusive")
    }

    private func notEmpty() throws -> FilesFinding? {
        if let marker = marker() {
            // A run that never reached its source left a marker and nothing else.
            return try marker.isOurs || tree.isEmpty()
                ? nil : FilesFinding(.targetNotEmpty, .refuse, "The target holds another source's unfinished copy")
        }
        guard move.existing == .refuse, try !tree.isEmpty() else { return nil }
        return FilesFinding(.targetNotEmpty, .refuse, "The target directory already holds files")
    }

    private func mark() throws {
        for path in [move.to, ownPath, transferPath] {
            guard mkdir(path, path == move.to ? 0o755 : 0o700) == 0 || errno == EEXIST else { throw failure(path) }
        }
        removeTransfers()
        if marker()?.isOurs == true { return }
        let descriptor = open(markerPath, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(markerPath) }
        defer { close(descriptor) }
        let bytes = Array("\(identity) \(move.existing == .merge ? "shared" : "exclusive")\n".utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
            throw failure(markerPath)
        }
    }

    /// What a killed rsync left behind.
    private func removeTransfers() {
        guard let stream = opendir(transferPath) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { _ = unlinkat(dirfd(stream), $0, 0) }
            }
        }
    }

    private func failure(_ path: String) -> BasculeError {
        BasculeError(
            errno == ENOSPC ? .diskFull : .inputOutput, "Could not write at the target", at: .thing(path),
            cause: String(cString: strerror(errno)))
    }

    // MARK: copy and sync

    func copy(thorough: Bool, delete: Bool) throws -> FilesReport {
        if let finding = try notEmpty() {
            throw BasculeError(
                .filesTargetNotEmpty, finding.message, at: .thing(move.to),
                hint: "Empty it, or say existing: merge or replace.")
        }
        try mark()
        let wasCut = try noteUnflushed()
        let phase = delete || thorough ? "sync" : "copy"
        let rsync = FilesRsync(source: source, move: move, isCancelled: isCancelled)
        let outcome = try rsync.run(thorough: thorough, delete: delete && marker()?.exclusive == true) { bytes, files in
            progress(MoveProgress(subject: move.to, phase: phase, rows: Int64(files), bytes: bytes))
        }
        // rsync flushes nothing by itself; on Linux this waits until everything is on the disk: seconds on a busy machine,
        // and customers wait for the last pass, which mostly finds nothing to do.
        if wasCut || !outcome.changedNothing { sync() }
        unlink(unflushedPath)
        var report = FilesReport()
        report.filesWritten = outcome.files
        report.bytesWritten = outcome.bytes
        report.filesDeleted = outcome.deleted
        report.sourceVanished = outcome.vanished
        return report
    }

    /// Stands while files may be there that are not on the disk yet.
    private var unflushedPath: String { "\(ownPath)/unflushed" }

    /// Whether an earlier run was cut before its files were on the disk.
    private func noteUnflushed() throws -> Bool {
        if access(unflushedPath, F_OK) == 0 { return true }
        let descriptor = open(unflushedPath, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(unflushedPath) }
        close(descriptor)
        return false
    }

    func finish() throws -> FilesReport {
        removeTransfers()
        unlink(markerPath)
        unlink(unflushedPath)
        rmdir(transferPath)
        rmdir(ownPath)
        return FilesReport()
    }

    // MARK: verify

    func verify() throws -> FilesReport {
        var report = FilesReport()
        var left = try FilesRemote(source: source).manifest { tell("source", $0) }
        let right = try tree.manifest { tell("target", $0) }
        // rsync left these out on purpose, and says so in its report.
        for (path, entry) in left {
            guard case .link(let to) = entry, Self.leadsOut(path, to), right[path] == nil else { continue }
            left[path] = nil
            report.unsafeLinks += 1
        }
        if let exclude = move.exclude {
            let patterns = FilesPatterns(exclude)
            left = left.filter { right[$0.key] != nil || !patterns.match($0.key) }
        }
        report.sourceFiles = left.values.count { if case .file = $0 { true } else { false } }
        let kept = marker()?.exclusive == false || (marker() == nil && move.existing == .merge)
        var differences: [(path: [UInt8], kind: FilesDifference.Kind)] = []
        for (path, entry) in left {
            guard let other = right[path] else {
                differences.append((path, .missing))
                continue
            }
            if other == entry { report.pathsEqual += 1 } else { differences.append((path, .content)) }
        }
        // Files that were there before a merge are nobody's difference.
        if !kept { for path in right.keys where left[path] == nil { differences.append((path, .extra)) } }
        differences.sort { $0.path.lexicographicallyPrecedes($1.path) }
        report.pathsDiffering = differences.count
        report.differences = differences.prefix(20).map {
            FilesDifference(path: printable($0.path, limit: 240), kind: $0.kind)
        }
        report.sourceDigest = Self.digest(left)
        report.targetDigest = Self.digest(kept ? right.filter { left[$0.key] != nil } : right)
        if let references = move.references {
            report.references = try FilesReferences(references: references, isCancelled: isCancelled)
                .check(against: right)
        }
        return report
    }

    private func tell(_ side: String, _ count: Int) {
        progress(MoveProgress(subject: "\(move.to) (\(side))", phase: "digest", rows: Int64(count)))
    }

    /// As rsync's `--safe-links` judges: absolute, or more `..` than there are directories above the link.
    static func leadsOut(_ path: [UInt8], _ target: [UInt8]) -> Bool {
        guard let first = target.first, first != 47 else { return true }
        var depth = path.count { $0 == 47 }
        for part in target.split(separator: 47) where part != [46] {
            depth += part == [46, 46] ? -1 : 1
            if depth < 0 { return true }
        }
        return false
    }

    private static func digest(_ manifest: FilesManifest) -> Digest {
        var hash = SHA256()
        for (path, entry) in manifest.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            hash.update(path + [0])
            switch entry {
            case .file(let sha256): hash.update([UInt8(ascii: "f")] + sha256)
            case .link(let to): hash.update([UInt8(ascii: "l")] + to + [0])
            }
        }
        return Digest(rawValue: Hex.encode(hash.finalize()))
    }
}
