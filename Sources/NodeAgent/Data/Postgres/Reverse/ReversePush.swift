import BasculeModel
import BasculePostgres
import Glibc

/// Writes what was decoded at the target where it belongs: at the fenced source, or into the journal's file. In order,
/// and each transaction once: how far it is, is remembered in the same transaction that writes the rows.
struct ReversePush: Sendable {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    /// Runs until it is killed, or until the slot had to be given up.
    func keep() throws -> PostgresFollowReport {
        let line = try ReverseLine(sides)
        let cap = sides.move.follow?.walCap ?? .max
        while !isCancelled() {
            guard let view = try line.slots.view(line.names.back) else {
                return PostgresFollowReport(isFollowing: false, reason: "the slot is gone", changes: line.changes)
            }
            if view.isLost || view.retained > cap {
                // A node whose disk is full serves nobody; from here on new writes stay here, and it is said.
                try ReverseEnd(sides: sides).run()
                return PostgresFollowReport(
                    isFollowing: false,
                    reason: "the way back kept \(view.retained >> 20) MiB of WAL, more than \(cap >> 20) MiB",
                    changes: line.changes)
            }
            try line.drain()
            progress(MoveProgress(subject: sides.move.targetDatabase, phase: "carry back", rows: line.changes))
            FollowPause.sleep(0.3, unless: isCancelled)
        }
        return PostgresFollowReport(isFollowing: true, changes: line.changes)
    }
}

/// One session's way back.
final class ReverseLine {
    let names: FollowNames
    let slots: Slots
    let admin: PGConnection
    let catalog: PGCatalog
    let tables: FollowTables
    private(set) var changes: Int64 = 0
    private let outlet: any ReverseOutlet
    private let reader: SlotReader
    private var text: ReverseText
    private var notes: KeyNotes
    private let pushed: Touched

    init(_ sides: Sides) throws {
        admin = try sides.admin()
        names = try FollowNames(admin)
        slots = Slots(connection: admin)
        guard try Ledger.value(admin, "back") != nil else {
            throw BasculeError(
                .followFailed, "No way back was prepared before T0", at: .thing(admin.place),
                hint: "What was written since stays on the node.")
        }
        catalog = try CatalogReader(admin, sides.move, target: admin).read()
        tables = try FollowTables(catalog.loadable, source: admin)
        if sides.move.follow?.back == .journal {
            outlet = try ReverseJournal(admin, names)
        } else {
            let source = try sides.source()
            let target = ReverseTarget(source: source, names: names)
            do {
                try target.exempt(catalog.tables, catalog.sequences)
            } catch let error as PGError {
                throw error.basculeError("writing at the fenced source", at: .thing(source.place))
            }
            outlet = ReverseSource(target, replicates: ReverseBegin.mayReplicate(source))
        }
        reader = SlotReader(connection: admin, slot: names.back, publications: [names.back])
        text = ReverseText(
            always: Dictionary(
                uniqueKeysWithValues: catalog.loadable.map { table in
                    (table.quoted, Set(table.columns.filter { $0.identity == "a" }.map(\.name)))
                }))
        notes = KeyNotes(Dictionary(uniqueKeysWithValues: tables.keyed.map { ($0.table.quoted, $0.key) }))
        pushed = Touched(admin: admin, source: admin, names: names, place: "pushed")
    }

    /// Until what was written when this was called is carried.
    func drain() throws {
        do {
            let goal = try reader.goal()
            while true {
                let (messages, end) = try reader.peek()
                guard end > 0 else { return }
                let known = try outlet.position()
                var statements: [String] = []
                var transaction: [String] = []
                for message in messages {
                    notes.add(message)
                    if let statement = text.statement(message) { transaction.append(statement) }
                    guard case .commit(let position) = message else { continue }
                    if position > known { statements += transaction }
                    transaction = []
                }
                // Noted first: a row that was written and not noted would not be compared.
                try pushed.save(notes.take())
                if end > known { try outlet.write(statements, end) }
                changes += Int64(statements.count)
                try reader.advance(to: end)
                if end >= goal { return }
            }
        } catch let error as PGError {
            throw error.basculeError(
                "carrying new writes back", at: .thing(admin.place),
                hint: "They are kept on the node and carried when it can be again.")
        }
    }
}

/// Where decoded changes go.
protocol ReverseOutlet {
    /// Everything up to here is written.
    func position() throws -> UInt64
    /// Writes changes and how far they go, both or neither.
    func write(_ statements: [String], _ end: UInt64) throws
}

struct ReverseSource: ReverseOutlet {
    let target: ReverseTarget
    let replicates: Bool
    /// Statements that travel together: the old side may be far away.
    private static let together = 500

    init(_ target: ReverseTarget, replicates: Bool) { (self.target, self.replicates) = (target, replicates) }

    func position() throws -> UInt64 { try target.position() }

    func write(_ statements: [String], _ end: UInt64) throws {
        let source = target.source
        try source.transaction {
            // Its triggers have fired at the target already.
            if replicates { try source.query("SET LOCAL session_replication_role = replica") }
            for start in stride(from: 0, to: statements.count, by: Self.together) {
                try source.script(
                    statements[start..<min(start + Self.together, statements.count)].joined(separator: ";\n"))
            }
            try source.query(
                "UPDATE bascule.back SET position = $2::pg_lsn WHERE slot = $1",
                [target.names.back, WALPosition.text(end)])
        }
    }
}

/// A file of SQL beside the data directory. A transaction ends with a line that says where; what stands after the last
/// such line was cut and is written again.
final class ReverseJournal: ReverseOutlet {
    let path: String
    private let file: Int32
    private var known: UInt64 = 0

    static func path(_ admin: PGConnection, _ names: FollowNames) throws -> String {
        let data = try admin.query("SHOW data_directory").scalar ?? ""
        return "\(data[..<(data.lastIndex(of: "/") ?? data.endIndex)])/\(names.back).sql"
    }

    init(_ admin: PGConnection, _ names: FollowNames) throws {
        path = try Self.path(admin, names)
        file = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Self.failure(path) }
        // The last whole transaction's line is near the end.
        let size = lseek(file, 0, SEEK_END)
        let start = max(0, size - (64 << 20))
        var tail = [UInt8](repeating: 0, count: Int(size - start))
        let count = pread(file, &tail, tail.count, start)
        guard count == tail.count else { throw Self.failure(path) }
        var whole = start
        var at = 0
        while let end = tail[at...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: tail[at..<end], as: UTF8.self)
            at = end + 1
            guard line.hasPrefix(Self.mark) else { continue }
            known = WALPosition.number(String(line.dropFirst(Self.mark.count)))
            whole = start + off_t(at)
        }
        guard ftruncate(file, whole) == 0 else { throw Self.failure(path) }
    }

    deinit { close(file) }

    private static let mark = "COMMIT; -- up to "

    private static func failure(_ path: String) -> BasculeError {
        BasculeError(
            .followFailed, "The journal of new writes cannot be written", at: .thing(path),
            cause: String(cString: strerror(errno)))
    }

    func position() throws -> UInt64 { known }

    func write(_ statements: [String], _ end: UInt64) throws {
        let lines = ["BEGIN;"] + statements.map { $0 + ";" } + [Self.mark + WALPosition.text(end)]
        let bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
        var at = 0
        while at < bytes.count {
            let count = bytes[at...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Self.failure(path) }
            at += count
        }
        guard fsync(file) == 0 else { throw Self.failure(path) }
        known = end
    }
}
