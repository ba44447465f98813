import BasculeModel
import BasculePostgres

/// The messages of the output plugin `pgoutput`, protocol version 1, as the manual's chapter "Logical Replication
/// Message Formats" has them.
enum PgOutput {
    enum Value: Equatable {
        case null
        /// A large value that the change left as it was: not sent.
        case unchanged
        case text(String)

        var text: String? { if case .text(let text) = self { text } else { nil } }
    }

    struct Relation {
        var oid: UInt32
        var schema: String
        var name: String
        var columns: [(name: String, isKey: Bool)]
        /// `d`, `n`, `f` or `i`.
        var identity: UInt8
    }

    enum Message {
        case begin
        /// The end of the transaction in the WAL.
        case commit(end: UInt64)
        case relation(Relation)
        case insert(UInt32, [Value])
        /// `old` where the key changed, or the whole row with REPLICA IDENTITY FULL.
        case update(UInt32, old: [Value]?, new: [Value])
        case delete(UInt32, [Value])
        case truncate([UInt32], cascade: Bool, restart: Bool)
        case other
    }

    /// A message as the server writes a `bytea`: `\x` and hexadecimal digits.
    static func decode(hex: String) throws -> Message {
        var reader = Reader(try bytes(hex))
        return try decode(&reader)
    }

    private static func decode(_ reader: inout Reader) throws -> Message {
        switch try reader.byte() {
        case UInt8(ascii: "B"): return .begin
        case UInt8(ascii: "C"):
            _ = try reader.byte()
            _ = try reader.integer(8)
            return .commit(end: try reader.integer(8))
        case UInt8(ascii: "R"):
            let oid = UInt32(truncatingIfNeeded: try reader.integer(4))
            let schema = try reader.name()
            let name = try reader.name()
            let identity = try reader.byte()
            let count = Int(try reader.integer(2))
            var columns: [(name: String, isKey: Bool)] = []
            for _ in 0..<count {
                let isKey = try reader.byte() & 1 == 1
                columns.append((try reader.name(), isKey))
                _ = try reader.integer(8)
            }
            // The system's own schema is sent as an empty name.
            return .relation(
                Relation(
                    oid: oid, schema: schema.isEmpty ? "pg_catalog" : schema, name: name, columns: columns,
                    identity: identity))
        case UInt8(ascii: "I"):
            let oid = UInt32(truncatingIfNeeded: try reader.integer(4))
            _ = try reader.byte()
            return .insert(oid, try reader.tuple())
        case UInt8(ascii: "U"):
            let oid = UInt32(truncatingIfNeeded: try reader.integer(4))
            var old: [Value]?
            if try reader.byte() != UInt8(ascii: "N") {
                old = try reader.tuple()
                _ = try reader.byte()
            }
            return .update(oid, old: old, new: try reader.tuple())
        case UInt8(ascii: "D"):
            let oid = UInt32(truncatingIfNeeded: try reader.integer(4))
            _ = try reader.byte()
            return .delete(oid, try reader.tuple())
        case UInt8(ascii: "T"):
            let count = Int(try reader.integer(4))
            let options = try reader.byte()
            let oids = try (0..<count).map { _ in UInt32(truncatingIfNeeded: try reader.integer(4)) }
            return .truncate(oids, cascade: options & 1 == 1, restart: options & 2 == 2)
        default: return .other
        }
    }

    private static func bytes(_ hex: String) throws -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(hex.utf8.count / 2)
        var high: UInt8?
        for character in hex.utf8.dropFirst(2) {
            let digit: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - UInt8(ascii: "a") + 10
            default: throw malformed
            }
            if let first = high {
                out.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return out
    }

    private static var malformed: BasculeError {
        BasculeError(.defect, "a message of logical decoding could not be read")
    }

    private struct Reader {
        let bytes: [UInt8]
        var at = 0
        init(_ bytes: [UInt8]) { self.bytes = bytes }

        mutating func byte() throws -> UInt8 {
            guard at < bytes.count else { throw malformed }
            at += 1
            return bytes[at - 1]
        }

        mutating func integer(_ size: Int) throws -> UInt64 {
            guard at + size <= bytes.count else { throw malformed }
            at += size
            return bytes[at - size..<at].reduce(0) { $0 << 8 | UInt64($1) }
        }

        mutating func name() throws -> String {
            guard let end = bytes[at...].firstIndex(of: 0) else { throw malformed }
            defer { at = end + 1 }
            return String(decoding: bytes[at..<end], as: UTF8.self)
        }

        mutating func tuple() throws -> [Value] {
            let count = Int(try integer(2))
            return try (0..<count).map { _ in
                switch try byte() {
                case UInt8(ascii: "n"): return .null
                case UInt8(ascii: "u"): return .unchanged
                case UInt8(ascii: "t"):
                    let size = Int(try integer(4))
                    guard at + size <= bytes.count else { throw malformed }
                    at += size
                    return .text(String(decoding: bytes[at - size..<at], as: UTF8.self))
                default: throw malformed
                }
            }
        }
    }
}

/// Reads what a slot holds, over an ordinary session: whole transactions, not taken until `advance`.
struct SlotReader {
    let connection: PGConnection
    let slot: String
    let publications: [String]

    /// About how many changes a batch holds; a transaction is never cut.
    private static let batch = 20_000

    /// The next batch: its messages, and the end of its last transaction; empty where nothing is left.
    func peek() throws -> (messages: [PgOutput.Message], end: UInt64) {
        let rows: PGRows
        do {
            rows = try connection.query(
                """
                SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, $2::int4,
                    'proto_version', '1', 'publication_names', $3)
                """, [slot, "\(Self.batch)", publications.joined(separator: ",")])
        } catch { throw error.basculeError("decoding changes", at: .thing(connection.place)) }
        var end: UInt64 = 0
        let messages = try rows.rows.map { row in
            let message = try PgOutput.decode(hex: row[0] ?? "")
            if case .commit(let position) = message { end = position }
            return message
        }
        return (messages, end)
    }

    /// Where the WAL ends now: a reader that stops there ends also while others go on writing.
    func goal() throws -> UInt64 {
        do {
            return WALPosition.number(try connection.query("SELECT pg_current_wal_insert_lsn()").scalar)
        } catch { throw error.basculeError("reading a position", at: .thing(connection.place)) }
    }

    /// What was read is done with, for good.
    func advance(to position: UInt64) throws {
        do {
            try connection.query(
                "SELECT pg_replication_slot_advance($1, $2::pg_lsn)", [slot, WALPosition.text(position)])
        } catch { throw error.basculeError("advancing a slot", at: .thing(connection.place)) }
    }
}
