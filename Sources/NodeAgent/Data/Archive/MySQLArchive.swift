import BasculeModel
import Glibc

/// `mysqldump --single-transaction`, by MariaDB's client, which speaks to MySQL too.
struct MySQLArchive {
    let url: Secret
    let folder: ArchiveFolder
    let tell: (String, Int64, Int64, Int64?) throws -> Void
    let isCancelled: () -> Bool

    func run() throws -> Archiver.Count {
        let address = try MySQLURL(url)
        let options = try PrivateFile(address.options)
        defer { options.remove() }
        let size = try sizes(address, options.path)
        try folder.requireSpace(size.bytes)
        var count = Archiver.Count(unit: "tables", count: 0, expected: size.tables, sourceBytes: size.bytes)
        var scan = Scan()
        let command = FilesCommand(
            program: "mariadb-dump",
            arguments: [
                "--defaults-extra-file=\(options.path)", "--single-transaction", "--quick", "--skip-lock-tables",
                "--routines", "--triggers", "--events", "--hex-blob", "--no-tablespaces",
                "--default-character-set=utf8mb4", "--", address.database,
            ], isCancelled: isCancelled)
        var ending = FilesCommand.Ending(status: 255, complaint: [])
        let entry = try folder.write("dump.sql") { file in
            ending = try command.run { bytes in
                try file.write(bytes)
                scan.take(bytes)
                try tell(address.database, scan.tables, file.bytes, size.bytes)
            }
        }
        guard ending.status == 0 else {
            throw BasculeError(
                .commandFailed, "mysqldump failed with status \(ending.status)", at: .thing(address.shown),
                cause: printable(ending.complaint.suffix(300), limit: 400),
                hint: "The login needs SELECT, SHOW VIEW, TRIGGER, EVENT and, for routines, the right to see them.")
        }
        count.count = scan.tables
        count.faults = scan.faults(dumped: entry.bytes, held: size.bytes)
        count.about = [("kind", "mysql"), ("restore", "mysql NAME < dump.sql")]
        return count
    }

    private func sizes(_ address: MySQLURL, _ options: String) throws -> (tables: Int64, bytes: Int64) {
        var text: [UInt8] = []
        let sql = """
            SELECT COUNT(*), COALESCE(SUM(data_length), 0) FROM information_schema.tables
            WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
            """
        let ending = try FilesCommand(
            program: "mariadb",
            arguments: ["--defaults-extra-file=\(options)", "-N", "-B", "-e", sql, "--", address.database]
        ).run { text += $0 }
        let words = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard ending.status == 0, words.count == 2, let tables = Int64(words[0]), let bytes = Int64(words[1]) else {
            throw BasculeError(
                .connectFailed, "The MySQL server could not be asked", at: .thing(address.shown),
                cause: printable(ending.complaint.suffix(300), limit: 400),
                hint: "Check the URL, and that the server lets this node in.")
        }
        return (tables, bytes)
    }

    /// Looks for two things as the dump goes by: tables, and its end.
    struct Scan {
        private(set) var tables: Int64 = 0
        private(set) var isWhole = false
        private var line: [UInt8] = []
        private static let table = Array("CREATE TABLE `".utf8)
        private static let end = Array("-- Dump completed".utf8)
        /// Views are first made as tables of that comment, which mysqldump removes again.
        init() {}

        /// Of a dump of so many bytes, of tables that hold so many.
        func faults(dumped: Int64, held: Int64) -> [String] {
            var out = isWhole ? [] : ["the dump has no end (-- Dump completed)"]
            // InnoDB counts whole pages, and what deleted rows left: a dump is smaller, but not by much more than this.
            if held > 64 << 20, dumped < held / 20 {
                out.append("\(dumped >> 20) MiB dumped of \(held >> 20) MiB at the source")
            }
            return out
        }

        mutating func take(_ bytes: [UInt8]) {
            for byte in bytes {
                if byte == 10 {
                    if line.starts(with: Self.table) { tables += 1 }
                    if line.starts(with: Self.end) { isWhole = true }
                    line.removeAll(keepingCapacity: true)
                } else if line.count < 24 {
                    line.append(byte)
                }
            }
        }
    }
}

/// `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, its parts percent-encoded.
struct MySQLURL {
    var host: String
    var port: Int
    var user: String
    var password: String
    var database: String
    var wantsTLS: Bool

    init(_ secret: Secret) throws {
        let text = secret.reveal()
        let wrong = BasculeError(
            .invalidInput, "This is not a MySQL URL", hint: "mysql://USER:PASSWORD@HOST:3306/DATABASE")
        guard let scheme = text.firstRange(of: "://"),
            ["mysql", "mariadb", "mysql2"].contains(String(text[..<scheme.lowerBound]))
        else { throw wrong }
        let rest = text[scheme.upperBound...]
        guard let slash = rest.firstIndex(of: "/"), let at = rest[..<slash].lastIndex(of: "@") else { throw wrong }
        let login = rest[..<at].split(separator: ":", maxSplits: 1)
        let place = rest[rest.index(after: at)..<slash]
        let tail = rest[rest.index(after: slash)...].split(separator: "?", maxSplits: 1)
        guard let first = login.first, let name = tail.first, !place.isEmpty else { throw wrong }
        user = try Self.decoded(first)
        password = login.count > 1 ? try Self.decoded(login[1]) : ""
        database = try Self.decoded(name)
        let colon = place.hasSuffix("]") ? nil : place.lastIndex(of: ":")
        host = String(place[..<(colon ?? place.endIndex)]).filter { !"[]".contains($0) }
        port = colon.flatMap { Int(place[place.index(after: $0)...]) } ?? 3306
        let query = tail.count > 1 ? tail[1].lowercased() : ""
        wantsTLS = query.contains("ssl") && !query.contains("disable") && !query.contains("=false")
        guard [user, password, database, host].allSatisfy({ !$0.utf8.contains { $0 < 32 } }), !database.hasPrefix("-")
        else { throw wrong }
    }

    /// Without its login.
    var shown: String { "\(host):\(port)/\(database)" }

    /// An option file of the client.
    var options: String {
        func quoted(_ text: String) -> String {
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        return """
            [client]
            host=\(quoted(host))
            port=\(port)
            user=\(quoted(user))
            password=\(quoted(password))
            protocol=tcp
            \(wantsTLS ? "ssl\nssl-verify-server-cert" : "skip-ssl")

            """
    }

    private static func decoded(_ text: Substring) throws -> String {
        var out: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                out.append(byte)
                continue
            }
            guard let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16) else {
                throw BasculeError(.invalidInput, "A percent sign in the MySQL URL is not followed by two digits")
            }
            out.append(value)
            bytes = bytes.dropFirst(2)
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// A file that only this process's user can read, gone when it is removed.
struct PrivateFile {
    let path: String

    init(_ text: String) throws {
        var template = Array("/tmp/bascule-private-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw BasculeError(.inputOutput, "Could not make a file", cause: String(cString: strerror(errno)))
        }
        defer { close(descriptor) }
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            unlink(path)
            throw BasculeError(.inputOutput, "Could not write a file", cause: String(cString: strerror(errno)))
        }
    }

    func remove() { unlink(path) }
}
