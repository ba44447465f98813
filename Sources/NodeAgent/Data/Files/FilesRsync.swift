import BasculeModel
import Glibc
import BasculeNet

/// One run of rsync from the source into the target directory.
struct FilesRsync {
    let source: FilesSource
    let move: FilesMove
    let isCancelled: () -> Bool

    /// What a run did.
    struct Outcome {
        var files = 0
        /// Files, directories and links that were not there before.
        var created = 0
        var bytes: Int64 = 0
        var deleted = 0
        var vanished = false
        /// Modes, owners, times and the like of what was there already.
        var touched = false
        var changedNothing: Bool { files == 0 && created == 0 && deleted == 0 && !touched }
    }

    /// Runs until done; a broken connection is tried again up to 5 times, going on with half a file.
    func run(thorough: Bool, delete: Bool, _ tell: @escaping (Int64, Int) -> Void) throws -> Outcome {
        var total = Outcome()
        var attempt = 0
        while true {
            let (ending, outcome) = try once(thorough: thorough, delete: delete, tell)
            total.files += outcome.files
            total.created += outcome.created
            total.bytes += outcome.bytes
            total.deleted += outcome.deleted
            total.vanished = total.vanished || ending.status == 24
            total.touched = total.touched || outcome.touched
            if ending.status == 0 || ending.status == 24 { return total }
            // 10, 12, 30, 35, 255: the connection; what is there already stays.
            let isConnection = [10, 12, 30, 35, 255].contains(ending.status)
            let text = String(decoding: ending.complaint, as: UTF8.self)
            let isHopeless =
                text.contains("Host key verification failed") || text.contains("Permission denied (")
                || text.contains("not found") || text.contains("No space left")
            guard isConnection, !isHopeless, attempt < 5 else { throw failure(ending) }
            attempt += 1
            if isCancelled() { throw BasculeError(.cancelled, "The move of the files was cancelled") }
            Monotonic.sleep(.milliseconds(250 << attempt))
        }
    }

    private func arguments(thorough: Bool, delete: Bool) -> [String] {
        var out = [
            "--recursive", "--links", "--perms", "--times", "--safe-links", "--chmod=ug-s", "--numeric-ids",
            "--partial-dir=\(FilesTree.partial)", "--temp-dir=\(move.to)/\(FilesTree.own)/transfer",
            "--exclude=/\(FilesTree.own)", "--secluded-args", "--no-human-readable",
            "--info=progress2,name0,nonreg0,symsafe0",
            "--stats", "--out-format=%i", "--timeout=60", "--rsh=\(source.remoteShell)",
        ]
        if thorough { out.append("--checksum") }
        if delete { out.append("--delete-delay") }
        out += (move.exclude ?? []).map { "--exclude=\($0)" }
        if let limit = move.maxKiBPerSecond { out.append("--bwlimit=\(limit)") }
        if move.owner != nil || move.group != nil {
            out += ["--owner", "--group", "--chown=\(move.owner ?? ""):\(move.group ?? "")"]
        }
        // The slash: the directory's content, not the directory.
        return out + ["--", "\(FilesSource.alias):\(source.path)/", move.to + "/"]
    }

    private func once(
        thorough: Bool, delete: Bool, _ tell: (Int64, Int) -> Void
    ) throws -> (FilesCommand.Ending, Outcome) {
        var outcome = Outcome()
        var held: [UInt8] = []
        // The directory itself is the fleet's, whose owner and mode stand; rsync would give it the source's.
        var before = stat()
        let existed = lstat(move.to, &before) == 0
        defer {
            if existed {
                chown(move.to, before.st_uid, before.st_gid)
                chmod(move.to, before.st_mode & 0o7777)
            }
        }
        let command = FilesCommand(
            program: "rsync", arguments: arguments(thorough: thorough, delete: delete), isCancelled: isCancelled)
        let ending = try command.run { bytes in
            held += bytes
            while let end = held.firstIndex(where: { $0 == 10 || $0 == 13 }) {
                read(String(decoding: held[..<end], as: UTF8.self), &outcome, tell)
                held.removeFirst(end + 1)
            }
            // Names are not printed, so that no line is long.
            if held.count > 65536 { held.removeAll() }
        }
        return (ending, outcome)
    }

    /// A line of progress (`  123 45% 1.2MB/s 0:00:01 (xfr#5, to-chk=3/10)`) or of the statistics at the end.
    private func read(_ line: String, _ outcome: inout Outcome, _ tell: (Int64, Int) -> Void) {
        func number(after prefix: String) -> Int64? {
            guard line.hasPrefix(prefix) else { return nil }
            return Int64(line.dropFirst(prefix.count).filter(\.isASCIIDigitOrSpace).split(separator: " ").first ?? "")
        }
        if let count = number(after: "Number of regular files transferred: ") { outcome.files = Int(count) }
        if let count = number(after: "Number of created files: ") { outcome.created = Int(count) }
        if let count = number(after: "Number of deleted files: ") { outcome.deleted = Int(count) }
        if let count = number(after: "Total transferred file size: ") { outcome.bytes = count }
        // `.f...p.....` and its like; a folder's time is what our own folder in it changes.
        if line.utf8.count == 11, let kind = line.first, ".ch<>".contains(kind), line != ".d..t......" {
            outcome.touched = true
        }
        guard line.contains("%"), line.contains("/s"), let first = line.split(separator: " ").first,
            let bytes = Int64(first.filter { $0 != "," })
        else { return }
        var files = 0
        if let range = line.firstRange(of: "xfr#") { files = Int(line[range.upperBound...].prefix { $0 != "," }) ?? 0 }
        tell(bytes, files)
    }

    private func failure(_ ending: FilesCommand.Ending) -> BasculeError {
        if let error = source.unreachable(ending) { return error }
        let text = String(decoding: ending.complaint, as: UTF8.self)
        let cause = printable(ending.complaint.suffix(400), limit: 500)
        let place = Place.thing("\(source.user)@\(source.host):\(printable(source.path.utf8))")
        if text.contains("No space left") {
            return BasculeError(
                .diskFull, "The target's disk is full", at: .thing(move.to), cause: cause,
                hint: "Free space and run the copy again: it goes on where it was.")
        }
        if text.contains("rsync: command not found") || text.contains("rsync: not found") || ending.status == 127 {
            return BasculeError(
                .unsupported, "The source has no rsync", at: place, cause: cause,
                hint: "Install the package rsync there.")
        }
        return BasculeError(
            .commandFailed, "rsync ended with status \(ending.status)", at: place, cause: cause,
            hint: ending.status == 23 ? "Some files could not be read at the source, or written at the target." : nil)
    }
}

extension Character {
    /// For numbers that rsync may print with separators.
    fileprivate var isASCIIDigitOrSpace: Bool { self == " " || (self >= "0" && self <= "9") }
}
