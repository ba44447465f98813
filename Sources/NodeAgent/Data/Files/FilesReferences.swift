import BasculeModel
import Glibc

/// Holds what the database says of files against the files: each reference has its file, each file its reference.
struct FilesReferences {
    let references: [FilesReference]
    var isCancelled: () -> Bool = { false }
    private static let shown = 20

    func check(against files: FilesManifest) throws -> FilesReferenceCheck {
        var check = FilesReferenceCheck()
        var named: Set<[UInt8]> = []
        for reference in references {
            for value in try values(reference) {
                check.references += 1
                let paths = Self.paths(value, prefix: reference.prefix)
                if let path = paths.first(where: { files[$0] != nil }) {
                    named.insert(path)
                } else {
                    check.missing += 1
                    if check.missingFirst.count < Self.shown {
                        check.missingFirst.append("\(reference.column): \(printable(value, limit: 240))")
                    }
                }
            }
        }
        for path in files.keys.filter({ !named.contains($0) }).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            check.orphaned += 1
            if check.orphanedFirst.count < Self.shown { check.orphanedFirst.append(printable(path, limit: 240)) }
        }
        return check
    }

    /// The paths that a value may mean: as it stands, without a URL's query, and with its `%XX` resolved.
    static func paths(_ value: [UInt8], prefix: String) -> [[UInt8]] {
        var path = value
        if !prefix.isEmpty {
            guard path.starts(with: prefix.utf8) else { return [] }
            path = Array(path.dropFirst(prefix.utf8.count))
        }
        path = Array(path.drop { $0 == UInt8(ascii: "/") })
        let bare = Array(path.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") })
        return [path, bare, decoded(bare)]
    }

    private static func decoded(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var place = 0
        while place < bytes.count {
            if bytes[place] == UInt8(ascii: "%"), place + 2 < bytes.count,
                let value = UInt8(String(decoding: bytes[(place + 1)...(place + 2)], as: UTF8.self), radix: 16)
            {
                out.append(value)
                place += 3
            } else {
                out.append(bytes[place])
                place += 1
            }
        }
        return out
    }

    /// The column's values, read by the database's own client under the account that may log in over the socket.
    private func values(_ reference: FilesReference) throws -> [[UInt8]] {
        let parts = reference.column.split(separator: ".", omittingEmptySubsequences: false).map { part in
            "\"\(part.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\""))\""
        }
        guard parts.count == 2 || parts.count == 3, let column = parts.last else {
            throw BasculeError(
                .invalidInput, "A reference is no column", at: .thing(reference.column),
                hint: "Write table.column, or schema.table.column.")
        }
        let table = parts.count == 2 ? "\"public\".\(parts[0])" : "\(parts[0]).\(parts[1])"
        let query = "SELECT \(column)::text FROM \(table) WHERE \(column)::text <> ''"
        var command = [
            "psql", "-AtX", "-0", "-h", reference.socket, "-p", "\(reference.port)", "-U", reference.user, "-d",
            reference.database, "-c", query,
        ]
        if getuid() == 0 { command = ["runuser", "-u", reference.user, "--"] + command }
        var held: [UInt8] = []
        let ending = try FilesCommand(
            program: command[0], arguments: Array(command.dropFirst()), isCancelled: isCancelled
        ).run { held += $0 }
        guard ending.status == 0 else {
            throw BasculeError(
                .commandFailed, "The references to files could not be read", at: .thing(reference.column),
                cause: printable(ending.complaint.suffix(400), limit: 500))
        }
        return held.split(separator: 0).map(Array.init)
    }
}
