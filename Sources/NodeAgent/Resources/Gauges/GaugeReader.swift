import BasculeModel
import BasculeNet

/// Reads counters of services for a benchmark.
package enum GaugeReader {
    /// PostgreSQL's counters of one database.
    /// - Throws: where the server does not answer, or is too old to count.
    package static func postgres(_ server: PostgresServer, database: String) throws -> [String: Double] {
        let session = try PostgresSession(server, database: "postgres", seconds: 5)
        let rows = try session.query(
            """
            SELECT xact_commit + xact_rollback, active_time FROM pg_stat_database
            WHERE datname = \(SQL.text(database))
            """, seconds: 5)
        guard let row = rows.first, row.count == 2, let transactions = row[0].flatMap({ Double($0) }),
            let milliseconds = row[1].flatMap({ Double($0) })
        else { throw BasculeError(.postgresRefused, "there is no database \(database)") }
        return ["transactions": transactions, "milliseconds": milliseconds]
    }

    /// Redis's counters of hits and misses.
    package static func redis(host: String, port: Int, user: String?, password: Secret) throws -> [String: Double] {
        guard let number = UInt16(exactly: port) else { throw BasculeError(.invalidInput, "no such port: \(port)") }
        let deadline = Deadline.seconds(5)
        let endpoint: Endpoint = host.hasPrefix("/") ? .unix(path: host) : .host(host, port: number)
        let stream = try TCPStream.connect(to: endpoint, deadline: deadline)
        defer { stream.close() }
        let words = ["AUTH"] + (user.map { [$0] } ?? []) + [password.reveal()]
        try stream.write(command(words) + command(["INFO", "stats"]), deadline: deadline)
        var answer = ""
        while answer.utf8.count < 1 << 20 {
            answer += String(decoding: try stream.read(max: 16 << 10, deadline: deadline), as: UTF8.self)
            if let counters = counters(answer) { return counters }
            if answer.hasPrefix("-") {
                throw BasculeError(.commandFailed, "Redis refused: \(answer.prefix { !$0.isNewline })")
            }
        }
        throw BasculeError(.tooMuchData, "an endless answer")
    }

    private static func command(_ words: [String]) -> [UInt8] {
        Array("*\(words.count)\r\n".utf8)
            + words.flatMap { Array("$\($0.utf8.count)\r\n\($0)\r\n".utf8) }
    }

    /// `keyspace_hits:12`, once both lines are whole.
    static func counters(_ text: String) -> [String: Double]? {
        func value(_ name: String) -> Double? {
            guard let start = text.firstRange(of: "\(name):")?.upperBound else { return nil }
            let digits = text[start...].prefix { $0.isNumber }
            return digits.endIndex == text.endIndex ? nil : Double(digits)
        }
        guard let hits = value("keyspace_hits"), let misses = value("keyspace_misses") else { return nil }
        return ["hits": hits, "misses": misses]
    }
}
