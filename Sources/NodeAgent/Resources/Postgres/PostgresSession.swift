import BasculeModel
import BasculeNet
import Glibc

/// A small session with a PostgreSQL server on this node, as its superuser by peer authentication, or as another role by
/// its password.
///
/// It speaks the wire protocol itself (version 3, simple queries): the agent stays small, since libpq would add 10 MB
/// to its memory, and no child process is started for an observation of a few milliseconds.
final class PostgresSession {
    private let stream: TCPStream
    private let place: Place

    /// - Parameters:
    ///   - password: proved by SCRAM-SHA-256, never sent; nil for peer authentication as `postgres`.
    ///   - seconds: how long the server may take for its first words.
    init(
        _ server: PostgresServer, database: String, user: String = "postgres", password: Secret? = nil,
        seconds: Double = 10
    ) throws {
        let path = "\(server.socket)/.s.PGSQL.\(server.port)"
        place = .thing("\(path) \(database)")
        guard FileIdentity(path: path) != nil else {
            throw BasculeError(
                .postgresRefused, "No PostgreSQL server listens on port \(server.port)", at: .thing(path),
                hint: "start it, or declare the service before its roles and databases")
        }
        let deadline = Deadline.seconds(seconds)
        if password == nil {
            let account = try AccountDatabase.current().requireUser("postgres")
            stream = try ThreadIdentity.acting(as: account.uid) {
                try TCPStream.connect(to: .unix(path: path), deadline: deadline)
            }
        } else {
            stream = try TCPStream.connect(to: .unix(path: path), deadline: deadline)
        }
        var startup: [UInt8] = Self.number(196_608)
        for word in ["user", user, "database", database, "application_name", "bascule", ""] {
            startup += Array(word.utf8) + [0]
        }
        try stream.write(Self.number(startup.count + 4) + startup, deadline: deadline)
        if let password { try prove(password, deadline: deadline) }
        _ = try answer(deadline: deadline)
        guard password == nil else { return }
        // What is said here may hold verifiers of passwords: it stays out of the server's log.
        _ = try query("SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET lock_timeout = '10s'")
    }

    deinit {
        try? stream.write([UInt8(ascii: "X")] + Self.number(4), deadline: .seconds(1))
        stream.close()
    }

    /// The rows of one or more statements; several statements are one transaction.
    func query(_ sql: String, seconds: Double = 60) throws -> [[String?]] {
        guard !sql.utf8.contains(0) else {
            throw BasculeError(.invalidInput, "A name or value has a zero byte", at: place)
        }
        let text = Array(sql.utf8) + [0]
        let deadline = Deadline.seconds(seconds)
        try stream.write([UInt8(ascii: "Q")] + Self.number(text.count + 4) + text, deadline: deadline)
        return try answer(deadline: deadline)
    }

    /// The SASL part of logging in. A server that trusts this socket asks for nothing, which is no error.
    private func prove(_ password: Secret, deadline: Deadline) throws {
        var scram = ScramClient(password)
        while true {
            let (kind, body) = try message(deadline: deadline)
            guard kind == UInt8(ascii: "R") else {
                throw kind == UInt8(ascii: "E") ? error(body) : malformed()
            }
            let data = Array(body.dropFirst(4))
            var reply: [UInt8]
            switch Self.value(body[0...]) {
            case 0: return
            case 10:
                guard data.split(separator: 0).contains(where: { $0.elementsEqual(ScramClient.mechanism.utf8) }) else {
                    throw malformed()
                }
                let first = scram.first()
                reply = Array(ScramClient.mechanism.utf8) + [0] + Self.number(first.count) + first
            case 11: reply = try scram.final(data, place)
            case 12:
                try scram.verify(data, place)
                continue
            default:
                throw BasculeError(
                    .postgresRefused, "The server asks for another login than SCRAM-SHA-256", at: place,
                    hint: "set password_encryption or auth_type to scram-sha-256")
            }
            reply = [UInt8(ascii: "p")] + Self.number(reply.count + 4) + reply
            try stream.write(reply, deadline: deadline)
        }
    }

    private func malformed() -> BasculeError { BasculeError(.postgresRefused, "The answer is malformed", at: place) }

    /// One message of the server: its kind and its body.
    private func message(deadline: Deadline) throws -> (UInt8, [UInt8]) {
        let head = try stream.read(exactly: 5, deadline: deadline)
        let length = Self.value(head[1...]) - 4
        guard length >= 0, length <= 64 << 20 else { throw malformed() }
        return (head[0], length == 0 ? [] : try stream.read(exactly: length, deadline: deadline))
    }

    /// Reads up to the server's next ReadyForQuery.
    private func answer(deadline: Deadline) throws -> [[String?]] {
        var rows: [[String?]] = []
        var failure: BasculeError?
        while true {
            let (kind, body) = try message(deadline: deadline)
            switch kind {
            case UInt8(ascii: "D"): rows.append(Self.row(body))
            case UInt8(ascii: "E"):
                failure = error(body)
                // Before the session is up, an error is the last word.
                if body.starts(with: Array("SFATAL".utf8)) { throw error(body) }
            case UInt8(ascii: "R") where Self.value(body[0...]) != 0:
                throw BasculeError(
                    .postgresRefused, "PostgreSQL asks the user postgres for a password", at: place,
                    hint: "keep the line `local all postgres peer` first in pg_hba.conf")
            case UInt8(ascii: "Z"):
                if let failure { throw failure }
                return rows
            default: break
            }
        }
    }

    private static func row(_ body: [UInt8]) -> [String?] {
        var fields: [String?] = []
        var offset = 2
        while offset + 4 <= body.count {
            let length = Int(Int32(truncatingIfNeeded: value(body[offset...])))
            offset += 4
            if length < 0 {
                fields.append(nil)
            } else {
                fields.append(String(decoding: body[offset..<min(body.count, offset + length)], as: UTF8.self))
                offset += length
            }
        }
        return fields
    }

    private func error(_ body: [UInt8]) -> BasculeError {
        var parts: [UInt8: String] = [:]
        for field in body.split(separator: 0) {
            guard let code = field.first else { continue }
            parts[code] = String(decoding: field.dropFirst(), as: UTF8.self)
        }
        let detail = [parts[UInt8(ascii: "M")], parts[UInt8(ascii: "D")], parts[UInt8(ascii: "H")]]
        return BasculeError(
            .postgresRefused, "PostgreSQL refused (\(parts[UInt8(ascii: "C")] ?? "no state"))", at: place,
            cause: detail.compactMap { $0 }.joined(separator: "; "))
    }

    private static func number(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    private static func value(_ bytes: ArraySlice<UInt8>) -> Int { bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) } }
}

/// Quoting for statements that take no parameters.
enum SQL {
    /// A name in double quotes.
    static func name(_ text: String) -> String { "\"\(text.replacing("\"", with: "\"\""))\"" }

    /// A string constant that means the same whatever `standard_conforming_strings` says.
    static func text(_ text: String) -> String {
        let doubled = text.replacing("'", with: "''")
        return text.contains("\\") ? "E'\(doubled.replacing("\\", with: "\\\\"))'" : "'\(doubled)'"
    }
}
