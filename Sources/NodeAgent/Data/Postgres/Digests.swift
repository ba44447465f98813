import BasculeModel
import BasculePostgres

/// Digests every table of one side, tables and slices of large tables side by side.
struct TableDigests: Sendable {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    enum Side: Sendable { case source(SourceSnapshot?), target }

    private struct Slice: Sendable {
        var table: PGTable
        var sql: String
    }

    /// Pages of 8 KiB in a slice: 128 MiB.
    private static let slicePages: Int64 = 16384

    /// One digest a table, in the order of names.
    func run(_ tables: [PGTable], hash: RowHash, side: Side) throws -> [PostgresTableDigest] {
        let collected = Collected(tables)
        let sides = self.sides
        let progress = self.progress
        let jobs = tables.flatMap { slices($0, hash) }.map { (priority: $0.table.bytes, job: $0) }
        let pool = JobPool(jobs, isCancelled: isCancelled)
        try pool.run(threads: min(sides.move.parallelism, max(1, jobs.count))) { number in
            let connection: PGConnection
            switch side {
            case .source(let snapshot):
                connection = try sides.source()
                try snapshot?.adopt(connection)
            case .target: connection = try sides.admin()
            }
            pool.register(number, [connection.canceller])
            return { slice in
                let sums: PGRows
                do throws(PGError) { sums = try connection.query(slice.sql) } catch {
                    throw error.basculeError("digesting a table", at: .thing(slice.table.shown))
                }
                let rows = collected.add(slice.table.shown, sums.rows.first ?? [nil, nil, nil])
                progress(
                    MoveProgress(subject: slice.table.shown, phase: "digest", rows: rows, bytes: slice.table.bytes))
            }
        }
        return collected.digests
    }

    /// Both sides at the same time.
    func both(
        _ tables: [PGTable], hash: RowHash, snapshot: SourceSnapshot?
    ) throws -> (source: [PostgresTableDigest], target: [PostgresTableDigest]) {
        let results = Pair()
        let pool = JobPool(
            [(priority: Int64(0), job: true), (priority: Int64(0), job: false)], isCancelled: isCancelled)
        try pool.run(threads: 2) { _ in
            { isSource in
                let digests = try self.run(tables, hash: hash, side: isSource ? .source(snapshot) : .target)
                results.set(digests, isSource: isSource)
            }
        }
        return results.both
    }

    private func slices(_ table: PGTable, _ hash: RowHash) -> [Slice] {
        // Before version 14 a range of pages is a whole scan each: correct, only slower.
        guard table.pages > Self.slicePages, sides.move.parallelism > 1 else {
            return [Slice(table: table, sql: hash.sum(table))]
        }
        return stride(from: Int64(0), to: table.pages, by: Int64.Stride(Self.slicePages)).map { start in
            let end = start + Self.slicePages
            return Slice(
                table: table, sql: hash.sum(table, pages: start...end, last: end >= table.pages))
        }
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
