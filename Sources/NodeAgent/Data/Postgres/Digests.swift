import BasculeModel
import BasculePostgres

/// Digests every table of one side, tables and slices of large tables side by side.
struct TableDigests: Sendable {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    enum Side: Sendable { case source(SourceSnapshot?), target, targetAt(SourceSnapshot) }

    private struct Slice: Sendable {
        var table: PGTable
        var sql: String
        var range: TableRange
    }

    /// One digest a table, in the order of names; of `copied` columns only those that COPY moves.
    func run(
        _ tables: [PGTable], hash: RowHash, side: Side, copied: Bool = false
    ) throws -> [PostgresTableDigest] {
        let slices = tables.flatMap { table in
            ranges(table, side).map {
                Slice(table: table, sql: hash.sum(table, copied ? table.copied : nil, range: $0), range: $0)
            }
        }
        return try run(slices, of: tables, side: side, each: { _, _ in })
    }

    /// The digests of single ranges of tables, over the columns that COPY moves.
    func run(
        ranges: [(table: PGTable, range: TableRange)], hash: RowHash, side: Side
    ) throws -> [String: [TableRange: PostgresTableDigest]] {
        let found = Found()
        let slices = ranges.map {
            Slice(table: $0.table, sql: hash.sum($0.table, $0.table.copied, range: $0.range), range: $0.range)
        }
        _ = try run(slices, of: ranges.map(\.table), side: side) { slice, row in
            found.add(slice, row)
        }
        return found.all
    }

    private func run(
        _ slices: [Slice], of tables: [PGTable], side: Side, each: @escaping @Sendable (Slice, [String?]) -> Void
    ) throws -> [PostgresTableDigest] {
        guard !slices.isEmpty else { return Collected(tables).digests }
        let collected = Collected(tables)
        let sides = self.sides
        let progress = self.progress
        let jobs = slices.map { (priority: $0.table.bytes, job: $0) }
        let pool = JobPool(jobs, isCancelled: isCancelled)
        try pool.run(threads: min(sides.move.parallelism, max(1, jobs.count))) { number in
            let connection: PGConnection
            switch side {
            case .source(let snapshot):
                connection = try sides.source()
                try snapshot?.adopt(connection)
            case .target: connection = try sides.admin()
            case .targetAt(let snapshot):
                connection = try sides.admin()
                try snapshot.adopt(connection)
            }
            pool.register(number, [connection.canceller])
            return { slice in
                let sums: PGRows
                do throws(PGError) { sums = try connection.query(slice.sql) } catch {
                    throw error.basculeError("digesting a table", at: .thing(slice.table.shown))
                }
                let row = sums.rows.first ?? [nil, nil, nil]
                each(slice, row)
                let rows = collected.add(slice.table.shown, row)
                progress(
                    MoveProgress(subject: slice.table.shown, phase: "digest", rows: rows, bytes: slice.table.bytes))
            }
        }
        return collected.digests
    }

    /// Both sides at the same time.
    func both(
        _ tables: [PGTable], hash: RowHash, snapshot: SourceSnapshot?, target: SourceSnapshot? = nil
    ) throws -> (source: [PostgresTableDigest], target: [PostgresTableDigest]) {
        let results = Pair()
        let pool = JobPool(
            [(priority: Int64(0), job: true), (priority: Int64(0), job: false)], isCancelled: isCancelled)
        try pool.run(threads: 2) { _ in
            { isSource in
                let digests = try self.run(
                    tables, hash: hash, side: isSource ? .source(snapshot) : target.map(Side.targetAt) ?? .target)
                results.set(digests, isSource: isSource)
            }
        }
        return results.both
    }

    private func ranges(_ table: PGTable, _ side: Side) -> [TableRange] {
        guard sides.move.parallelism > 1 else { return [.whole] }
        var size = TableRange.usual
        // Small ones share the work out evenly. Before version 14, which no target is, each is a scan of the whole.
        if case .source = side {} else { size /= 4 }
        return TableRange.ranges(pages: table.pages, size: size, splitAbove: size)
    }

    private final class Found: @unchecked Sendable {
        private let lock = MoveLock()
        private var found: [String: [TableRange: PostgresTableDigest]] = [:]
        func add(_ slice: Slice, _ row: [String?]) {
            let digest = PostgresTableDigest(
                table: slice.table.shown, rows: number(row[0]), first: HashSum(row[1]).text,
                second: HashSum(row[2]).text)
            lock.held { found[slice.table.quoted, default: [:]][slice.range] = digest }
        }
        var all: [String: [TableRange: PostgresTableDigest]] { lock.held { found } }
    }

    private final class Collected: @unchecked Sendable {
        private let lock = MoveLock()
        private var sums: [String: (rows: Int64, first: HashSum, second: HashSum)] = [:]

        init(_ tables: [PGTable]) {
            for table in tables { sums[table.shown] = (0, HashSum(nil), HashSum(nil)) }
        }

        func add(_ table: String, _ row: [String?]) -> Int64 {
            lock.held {
                let old = sums[table] ?? (0, HashSum(nil), HashSum(nil))
                let new = (old.rows + number(row[0]), old.first + HashSum(row[1]), old.second + HashSum(row[2]))
                sums[table] = new
                return new.0
            }
        }

        var digests: [PostgresTableDigest] {
            lock.held {
                sums.sorted { $0.key < $1.key }.map {
                    PostgresTableDigest(
                        table: $0.key, rows: $0.value.rows, first: $0.value.first.text, second: $0.value.second.text)
                }
            }
        }
    }

    private final class Pair: @unchecked Sendable {
        private let lock = MoveLock()
        private var source: [PostgresTableDigest] = []
        private var target: [PostgresTableDigest] = []
        func set(_ digests: [PostgresTableDigest], isSource: Bool) {
            lock.held { if isSource { source = digests } else { target = digests } }
        }
        var both: (source: [PostgresTableDigest], target: [PostgresTableDigest]) { lock.held { (source, target) } }
    }
}

/// Tables whose digests are not the same, by name.
func differing(_ source: [PostgresTableDigest], _ target: [PostgresTableDigest]) -> [String] {
    let other = Dictionary(uniqueKeysWithValues: target.map { ($0.table, $0) })
    return source.filter { other[$0.table] != $0 }.map(\.table)
}
