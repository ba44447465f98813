import BasculeModel
import BasculePostgres

/// After the fence: waits until the target holds the source's last write, and notes the last touched keys.
struct FollowSync {
    let view: FollowView
    let progress: @Sendable (MoveProgress) -> Void

    /// How long the target may take to catch up before the tables are compared and copied instead, in seconds.
    private static let patience = 30.0

    /// nil where the proof is not there: then everything has to be compared.
    func run() throws -> (report: PostgresFollowReport, tables: [PostgresTableDigest])? {
        let start = MoveClock.now()
        guard try Ledger.value(view.admin, "proof") != nil else { return nil }
        let end = try view.catchUp(within: Self.patience, progress)
        try view.touched.drain(view.tables, slot: view.names.proof, publications: view.names.publications)
        let unknown = try view.touched.unknown()
        let proved = view.tables.keyed.filter { !unknown.contains($0.table.quoted) }.map(\.table)
        // A lower bound: each touched row may have been deleted since the proof.
        let counts = Dictionary(
            try view.admin.query("SELECT rel, count(*) FROM bascule.touched GROUP BY 1").rows.map {
                ($0[0] ?? "", number($0[1]))
            }, uniquingKeysWith: { one, _ in one })
        let tables = try proved.map { table in
            let rows = number(try Ledger.value(view.admin, "rows \(table.shown)"))
            return PostgresTableDigest(
                table: table.shown, rows: max(0, rows - (counts[table.quoted] ?? 0)), first: "", second: "")
        }
        return (
            PostgresFollowReport(
                isFollowing: true, position: WALPosition.text(end), tables: proved.count,
                rows: tables.reduce(0) { $0 + $1.rows }, keys: counts.values.reduce(0, +),
                seconds: MoveClock.now() - start),
            tables
        )
    }
}

/// After the fence: compares what was touched since the proof, and every table that was not proved.
struct FollowChanged: Sendable {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    func run() throws -> PostgresFollowReport {
        let start = MoveClock.now()
        let admin = try sides.admin()
        let source = try sides.source()
        let catalog = try SyncTask(sides: sides, progress: progress, isCancelled: isCancelled)
            .readCatalog(source, admin)
        guard let view = try FollowView(sides, admin: admin, source: source, catalog: catalog),
            let proof = try Ledger.value(admin, "proof")
        else {
            let verify = VerifyTask(sides: sides, progress: progress, isCancelled: isCancelled)
            return PostgresFollowReport(
                isFollowing: false, verification: try verify.run(known: nil), seconds: MoveClock.now() - start)
        }
        let unknown = try view.touched.unknown()
        let proved = view.tables.keyed.filter { !unknown.contains($0.table.quoted) }
        let whole = view.tables.unproved + view.tables.keyed.map(\.table).filter { unknown.contains($0.quoted) }
        let touched = try compareTouched(proved, view)
        let hash = RowHash.random()
        let (here, there) = try TableDigests(sides: sides, progress: progress, isCancelled: isCancelled)
            .both(whole, hash: hash, snapshot: nil)
        let bad = differing(here, there)
        let verify = VerifyTask(sides: sides, progress: progress, isCancelled: isCancelled)
        let bisect = Bisect(source: source, target: admin, hash: hash)
        let named = try whole.filter { bad.contains($0.shown) }.flatMap { table in
            try bisect.run(table, rows: here.first { $0.table == table.shown }?.rows ?? 0)
        }
        let verification = PostgresVerification(
            tables: catalog.loadable.count, rows: touched.rows + here.reduce(0) { $0 + $1.rows },
            differingTables: Set(bad + touched.differences.map(\.table)).sorted(),
            differences: named + touched.differences,
            differingSequences: try verify.compareSequences(catalog, nil, source, admin),
            shapeDifferences: try verify.compareShape(catalog, admin), seconds: MoveClock.now() - start)
        return PostgresFollowReport(
            isFollowing: true, position: proof, tables: catalog.loadable.count, keys: touched.rows,
            verification: verification, seconds: MoveClock.now() - start)
    }

    private func compareTouched(
        _ tables: [(table: PGTable, key: [String])], _ view: FollowView
    ) throws -> (rows: Int64, differences: [PostgresRowDifference]) {
        let result = Result()
        let sides = self.sides
        let names = view.names
        let pool = JobPool(
            tables.map { (priority: $0.table.bytes, job: $0) }, isCancelled: isCancelled)
        guard !tables.isEmpty else { return (0, []) }
        try pool.run(threads: min(sides.move.parallelism, tables.count)) { number in
            let source = try sides.source()
            let admin = try sides.admin()
            pool.register(number, [source.canceller, admin.canceller])
            let touched = Touched(admin: admin, source: source, names: names)
            return { job in
                let digest = KeyDigest(hash: RowHash.random(), table: job.table, key: job.key)
                try touched.batches(job.table) { keys in
                    let equal = try digest.sum(keys, source) == digest.sum(keys, admin)
                    let named = equal ? [] : try digest.differences(keys, source: source, target: admin)
                    result.add(Int64(keys.count), named)
                }
            }
        }
        return result.all
    }

    private final class Result: @unchecked Sendable {
        private let lock = MoveLock()
        private var rows: Int64 = 0
        private var differences: [PostgresRowDifference] = []
        func add(_ count: Int64, _ more: [PostgresRowDifference]) {
            lock.held {
                rows += count
                if differences.count < 100 { differences += more }
            }
        }
        var all: (rows: Int64, differences: [PostgresRowDifference]) { lock.held { (rows, differences) } }
    }
}
