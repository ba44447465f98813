import BasculeCrypto
import BasculeModel

/// What is asked of the source by fixed commands over SSH. The only part of a command that varies is the quoted path.
struct FilesRemote {
    let source: FilesSource

    /// What the source holds.
    struct Census {
        var files = 0
        var bytes: Int64 = 0
        var inodes = 0
        var special = 0
    }

    /// Types and sizes; names do not travel.
    func census() throws -> Census {
        var out = Census()
        var lines = ByteSplitter(separator: 10)
        var whole = false
        let ending = try source.command("find . -printf '%y %s\\n' && echo END").run { bytes in
            try lines.take(bytes) { line in
                if line == Array("END".utf8) {
                    whole = true
                    return
                }
                out.inodes += 1
                switch line.first {
                case UInt8(ascii: "f"):
                    out.files += 1
                    out.bytes += Int64(String(decoding: line.dropFirst(2), as: UTF8.self)) ?? 0
                case UInt8(ascii: "d"), UInt8(ascii: "l"): break
                default: out.special += 1
                }
            }
        }
        try check(ending, whole)
        return out
    }

    /// SHA-256 of every file, and where every link points. No name is ever interpreted: records end with a NUL.
    func manifest(_ tell: (Int) -> Void) throws -> FilesManifest {
        var out: FilesManifest = [:]
        var records = ByteSplitter(separator: 0)
        var part = 0
        var link: [UInt8]?
        let script =
            "find . -type f -exec sha256sum -b -z -- {} + && printf '\\0' && find . -type l -printf '%p\\0%l\\0'"
            + " && printf '\\0END\\0'"
        let ending = try source.command(script).run { bytes in
            try records.take(bytes) { record in
                // A path or a link's target is never empty.
                if record.isEmpty {
                    part += 1
                } else if part == 0 {
                    // 64 digits, a space, an asterisk, the path.
                    guard record.count > 66, let hash = Self.bytes(hex: record[..<64]) else { throw strange() }
                    out[Self.relative(record[66...])] = .file(sha256: hash)
                } else if part == 1 {
                    if let path = link {
                        out[Self.relative(path[...])] = .link(to: record)
                        link = nil
                    } else {
                        link = record
                    }
                } else if record == Array("END".utf8) {
                    part = 3
                } else {
                    throw strange()
                }
                if out.count % 500 == 0 { tell(out.count) }
            }
        }
        try check(ending, part == 3)
        return out.filter { !FilesTree.isOwn($0.key) }
    }

    private func check(_ ending: FilesCommand.Ending, _ whole: Bool) throws {
        if ending.status == 0, whole { return }
        if let error = source.unreachable(ending) { throw error }
        throw BasculeError(
            .filesSourceRestricted, "The source could not be counted or hashed whole",
            at: .thing("\(source.user)@\(source.host):\(printable(source.path.utf8))"),
            cause: printable(ending.complaint.suffix(300), limit: 400),
            hint: "The account needs a shell with GNU find and sha256sum (coreutils 8.25), and must read every file.")
    }

    private func strange() -> BasculeError {
        BasculeError(
            .filesSourceRestricted, "The source answered with something that is no manifest",
            at: .thing("\(source.user)@\(source.host)"), hint: "Does the account's shell print something of its own?")
    }

    private static func relative(_ path: ArraySlice<UInt8>) -> [UInt8] {
        Array(path.starts(with: [46, 47]) ? path.dropFirst(2) : path)
    }

    private static func bytes(hex: ArraySlice<UInt8>) -> [UInt8]? {
        var out: [UInt8] = []
        var rest = hex
        while rest.count >= 2 {
            guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
            out.append(value)
            rest = rest.dropFirst(2)
        }
        return out
    }
}

/// Cuts a stream of bytes at a separator. A record may be as long as a path and a hash, not longer.
struct ByteSplitter {
    let separator: UInt8
    private var held: [UInt8] = []

    init(separator: UInt8) { self.separator = separator }

    /// Calls `visit` with each record that has ended.
    mutating func take(_ bytes: [UInt8], _ visit: ([UInt8]) throws -> Void) throws {
        var start = 0
        while let end = bytes[start...].firstIndex(of: separator) {
            held += bytes[start..<end]
            try visit(held)
            held.removeAll(keepingCapacity: true)
            start = end + 1
        }
        held += bytes[start...]
        guard held.count <= 70_000 else {
            throw BasculeError(.filesSourceRestricted, "The source sends a record that does not end")
        }
    }
}
