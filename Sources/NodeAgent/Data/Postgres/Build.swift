import BasculeModel
import BasculePostgres
import Synchronization

/// Runs what a plan builds, and small tools of the copy.
enum Build {
    /// With `workers`, how many processes of the server may help. Where other sessions keep the cores busy, helpers only
    /// cost: an index built by three processes takes up to 30 % more of the processor.
    static func run(_ target: PGConnection, _ statement: BuildPlan.Statement, workers: Int? = nil) throws {
        do {
            if let workers {
                try target.query(
                    """
                    SELECT set_config('max_parallel_maintenance_workers', $1, false),
                        set_config('max_parallel_workers_per_gather', $1, false)
                    """, ["\(workers)"])
            }
            try target.query(statement.sql)
        } catch {
            throw error.basculeError(
                "building on the copied rows", at: .thing(statement.name),
                hint: error.state.hasPrefix("23")
                    ? "The source's own rows break this rule; correct them there, then run again." : nil)
        }
    }

    static func parallel(
        _ statements: [BuildPlan.Statement], sides: Sides, login: LoadingRole,
        isCancelled: @escaping @Sendable () -> Bool
    ) throws {
        guard !statements.isEmpty else { return }
        let pool = JobPool(statements.map { ($0.weight, $0) }, isCancelled: isCancelled)
        try pool.run(threads: min(sides.move.parallelism, statements.count)) { number in
            let target = try sides.loading(as: login)
            pool.register(number, [target.canceller])
            return { statement in try Build.run(target, statement, workers: pool.spare) }
        }
    }

    /// Fills materialised views that are filled at the source, in the order in which they were made.
    static func refresh(_ catalog: PGCatalog, _ loader: PGConnection) throws {
        let wanted = Dictionary(uniqueKeysWithValues: catalog.materialized.map { ($0.quoted, $0.populated) })
        for object in catalog.early + catalog.late where wanted[object.name] == true {
            try run(
                loader,
                BuildPlan.Statement(name: object.name, sql: "REFRESH MATERIALIZED VIEW \(object.name)", weight: 0))
            try loader.analyze(object.name)
        }
    }
}

extension PGConnection {
    func analyze(_ quoted: String) throws {
        do { try query("ANALYZE \(quoted)") } catch { throw error.basculeError("analysing", at: .thing(quoted)) }
    }
}

/// One snapshot of the source for all sessions.
struct SourceSnapshot: Sendable {
    let name: String
    /// Names the snapshot among all that a source ever gave: a server that was started anew gives its names again.
    let run: String

    /// Opens the transaction that holds the snapshot; it lives as long as the connection's transaction. `joining` names
    /// a snapshot that somebody else holds until this returns.
    init(_ control: PGConnection, joining: String? = nil) throws {
        do {
            try control.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if let joining { try control.query("SET TRANSACTION SNAPSHOT \(PGQuote.literal(joining))") }
            name = try control.query("SELECT pg_export_snapshot()").scalar ?? ""
            run = "\(name) \(UInt64.random(in: 0...UInt64.max))"
        } catch {
            throw error.basculeError(
                "taking a snapshot of the source", at: .thing(control.place),
                hint: "Use a direct connection: a pooler in transaction mode cannot hold a snapshot.")
        }
    }

    func adopt(_ connection: PGConnection) throws {
        do {
            try connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try connection.query("SET TRANSACTION SNAPSHOT \(PGQuote.literal(name))")
        } catch {
            throw error.basculeError("joining the snapshot of the source", at: .thing(connection.place))
        }
    }
}

enum PGSchema {
    /// SHA-256 by the database: the agent needs no hash of its own for this.
    static func digest(_ text: String, _ connection: PGConnection) throws -> String {
        try connection.query("SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')", [text]).scalar ?? ""
    }

    static func changed(_ move: PostgresMove) -> BasculeError {
        BasculeError(
            .schemaChanged, "The source's schema has changed since the copy began",
            at: .thing(move.targetDatabase),
            hint: "Empty the target database and copy again; keep schema changes away from the source until it is over."
        )
    }
}

enum Sequences {
    static func read(_ connection: PGConnection, _ sequences: [PGSequence]) throws -> [PostgresSequenceValue] {
        guard !sequences.isEmpty else { return [] }
        let parts = sequences.map { sequence in
            "SELECT \(PGQuote.literal(sequence.shown)), last_value, is_called FROM \(sequence.quoted)"
        }
        do {
            return try connection.query(parts.joined(separator: " UNION ALL ")).rows.map {
                PostgresSequenceValue(sequence: $0[0] ?? "", value: number($0[1]), isCalled: $0[2] == "t")
            }.sorted { $0.sequence < $1.sequence }
        } catch {
            throw error.basculeError("reading sequences", at: .thing(connection.place))
        }
    }

    static func set(from source: PGConnection, to target: PGConnection, _ sequences: [PGSequence]) throws {
        for value in try read(source, sequences) { try set(value, target) }
    }

    static func set(_ value: PostgresSequenceValue, _ target: PGConnection) throws {
        do {
            try target.query(
                "SELECT setval($1::regclass, $2::int8, $3::bool)",
                [value.sequence, "\(value.value)", value.isCalled ? "t" : "f"])
        } catch { throw error.basculeError("setting a sequence", at: .thing(value.sequence)) }
    }
}

/// Counts what goes through and tells at most ten times a second.
enum CopyMeter {
    static func measure(
        _ table: PGTable, _ progress: @escaping @Sendable (MoveProgress) -> Void, phase: String = "copy",
        before: CopyCount = CopyCount(), stop: @escaping () -> Bool,
        _ body: ((CopyCount) throws -> Void) throws -> CopyCount
    ) throws -> PostgresTableCopy {
        let start = MoveClock.now()
        var told = start
        var seen = CopyCount()
        func tell(_ count: CopyCount) {
            progress(
                MoveProgress(
                    subject: table.shown, phase: phase, rows: before.rows + count.rows,
                    bytes: before.bytes + count.bytes, totalBytes: table.bytes))
        }
        tell(seen)
        let count = try body { step in
            seen.rows += step.rows
            seen.bytes += step.bytes
            let now = MoveClock.now()
            guard now - told > 0.1 else { return }
            told = now
            if stop() {
                throw BasculeError(.cancelled, "The copy of a table was stopped", at: .thing(table.shown))
            }
            tell(seen)
        }
        tell(count)
        return PostgresTableCopy(
            table: table.shown, rows: count.rows, bytes: count.bytes, seconds: MoveClock.now() - start)
    }
}

/// Something that happened or not.
final class MoveFlag: Sendable {
    private let value = Mutex(false)
    func set() { value.withLock { $0 = true } }
    var isSet: Bool { value.withLock { $0 } }
}

/// A mutual exclusion for state that classes share.
final class MoveLock: Sendable {
    private let mutex = Mutex(())
    func held<T>(_ body: () -> T) -> T { mutex.withLock { _ in body() } }
}
