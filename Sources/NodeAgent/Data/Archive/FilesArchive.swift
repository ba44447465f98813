import BasculeModel
import Glibc

/// A folder of another machine as one tar, packed there.
struct FilesArchive {
    let source: FilesSource
    let folder: ArchiveFolder
    let tell: (String, Int64, Int64, Int64?) throws -> Void

    func run(isFenced: Bool) throws -> Archiver.Count {
        let census = try FilesRemote(source: source).census()
        try folder.requireSpace(census.bytes)
        var count = Archiver.Count(
            unit: "files", count: 0, expected: Int64(census.files), sourceBytes: census.bytes)
        var ending = FilesCommand.Ending(status: 255, complaint: [])
        try folder.write("files.tar") { file in
            ending = try source.command("exec tar -cf - .").run { bytes in
                try file.write(bytes)
                try tell("files", 0, file.bytes, census.bytes)
            }
        }
        // 1: a file changed or went while it was read, which a source that is in use may do.
        guard ending.status == 0 || (ending.status == 1 && !isFenced) else {
            throw source.unreachable(ending)
                ?? BasculeError(
                    .commandFailed, "Packing the source's files failed", at: .thing("\(source.user)@\(source.host)"),
                    cause: printable(ending.complaint.suffix(300), limit: 400),
                    hint: "The account needs tar, and must read every file.")
        }
        let listed = try list()
        count.count = listed.files
        if isFenced, listed.bytes != census.bytes {
            count.faults.append("\(listed.bytes) bytes of \(census.bytes)")
        }
        count.about = [("kind", "files"), ("restore", "tar -xpf files.tar -C FOLDER")]
        return count
    }

    /// What the archive holds, read back from it: a cut tar has no end, and tar says so.
    private func list() throws -> (files: Int64, bytes: Int64) {
        var out: (files: Int64, bytes: Int64) = (0, 0)
        var lines = ByteSplitter(separator: 10)
        let command = FilesCommand(
            program: "tar", arguments: ["--list", "--verbose", "--numeric-owner", "--file", folder.path("files.tar")])
        let ending = try command.run { bytes in
            try lines.take(bytes) { line in
                // mode, owner, size, day, time, name; a hard link is another name of a file that came before.
                guard line.first == UInt8(ascii: "-") || line.first == UInt8(ascii: "h") else { return }
                out.files += 1
                let words = line.split(separator: 32, maxSplits: 3, omittingEmptySubsequences: true)
                guard words.count > 2 else { return }
                out.bytes += Int64(String(decoding: words[2], as: UTF8.self)) ?? 0
            }
        }
        guard ending.status == 0 else {
            throw BasculeError(
                .archiveImplausible, "The archive of the files is not whole", at: .thing(folder.target),
                cause: printable(ending.complaint.suffix(300), limit: 400))
        }
        return out
    }
}
