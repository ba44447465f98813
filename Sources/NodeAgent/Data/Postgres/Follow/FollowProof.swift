import BasculeModel
import BasculePostgres

/// Proves a followed copy while the source serves, so that after the fence only what was touched since has to be read.
///
/// The source is digested in a snapshot at a known position of its WAL, the target in a snapshot that came later. What
/// was touched in between is decoded from a slot made with the first snapshot, looked up by key in both snapshots, and
/// taken out of both digests, which are sums. What is left, every row that nobody touched, must then be the same on
/// both sides, to the bit; and a row that is touched later is compared after the fence.
struct FollowProof: Sendable {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    func run() throws -> PostgresFollowReport {
        let start = MoveClock.now()
        let admin = try sides.admin()
        let source = try sides.source()
        let sync = SyncTask(sides: sides, progress: progress, isCancelled: isCancelled)
        let catalog = try sync.readCatalog(source, admin)
        guard let view = try FollowView(sides, admin: admin, source: source, catalog: catalog) else {
            guard case .off(let reason) = try FollowState.read(admin) else {
                return PostgresFollowReport(isFollowing: false, reason: "it was not asked for")
            }
            return PostgresFollowReport(isFollowing: false, reason: reason)
        }
        do {
            return try prove(view, sync, start)
        } catch let error as BasculeError
            where error.code == .followFailed && sides.move.follow?.mode == .auto
        {
            return try FollowEnd(
                sides: sides, reason: error.message + (error.cause.map { " (\($0))" } ?? "")
            ).run()
        } catch let error as PGError {
            throw error.basculeError("proving the copy", at: .thing(source.place))
        }
    }

    private func prove(_ view: FollowView, _ sync: SyncTask, _ start: Double) throws -> PostgresFollowReport {
        let (admin, names) = (view.admin, view.names)
        let slots = Slots(connection: view.source)
        try slots.drop(names.proof)
        try view.touched.forget()
        try Touched.prepare(admin)
        // A rehearsal's rows may stand in the way of the worker; they go with the tables that are loaded again.
        let stuck = try waitOrName(view)
        let first = try PlacedSnapshot(sides, slot: names.proof, passing: false)
        let all = view.tables.keyed
        var differing: Set<String> = Set(all.map(\.table.shown))
        var rows: [String: Int64] = [:]
        if stuck == nil { (differing, rows) = try round(view, all, first) }
        let reloaded = all.filter { differing.contains($0.table.shown) }
        if !reloaded.isEmpty {
            let wanted = reloaded.map(\.table) + (stuck == nil ? [] : view.tables.unproved)
            try reload(view, sync, wanted)
            let again = try PlacedSnapshot(sides, slot: names.passing, passing: true)
            let second = try round(view, reloaded, again)
            rows.merge(second.rows) { $1 }
            guard second.differing.isEmpty else {
                throw BasculeError(
                    .followFailed, "Tables differ after they were loaded again",
                    at: .thing(second.differing.sorted().joined(separator: ", ")),
                    hint: "Something writes to the target.")
            }
        }
        for (table, count) in rows { try Ledger.set(admin, "rows \(table)", "\(count)") }
        try Ledger.set(admin, "proof", first.position)
        return PostgresFollowReport(
            isFollowing: true, position: first.position, tables: all.count, rows: rows.values.reduce(0, +),
            keys: try view.touched.count(), reloaded: reloaded.map(\.table.shown),
            retained: try slots.view(names.slot)?.retained ?? 0, seconds: MoveClock.now() - start)
    }

    /// What keeps the subscription from catching up; nil where it does.
    private func waitOrName(_ view: FollowView) throws -> String? {
        do {
            try view.catchUp(within: 120, progress)
            return nil
        } catch let error as BasculeError where error.code == .followFailed {
            guard try Slots(connection: view.source).view(view.names.slot)?.isLost == false else { throw error }
            return error.cause ?? error.message
        }
    }

    /// Compares tables; those whose untouched rows differ come back, and how many rows each had at the source.
    private func round(
        _ view: FollowView, _ tables: [(table: PGTable, key: [String])], _ placed: PlacedSnapshot
    ) throws -> (differing: Set<String>, rows: [String: Int64]) {
        let here = try sides.source()
        let there = try sides.admin()
        defer { withExtendedLifetime((here, there, placed)) {} }
        let snapshot = try SourceSnapshot(here, joining: placed.name)
        try view.catchUp(within: 120, progress)
        let later = try SourceSnapshot(there)
        // Everything that the target's snapshot shows was written at the source before this.
        _ = try Slots(connection: view.source).mark()
        let hash = RowHash.random()
        let digests = TableDigests(sides: sides, progress: progress, isCancelled: isCancelled)
        let (source, target) = try digests.both(tables.map(\.table), hash: hash, snapshot: snapshot, target: later)
        try view.touched.drain(view.tables, slot: view.names.proof, publications: view.names.publications)
        let unknown = try view.touched.unknown()
        let other = Dictionary(uniqueKeysWithValues: target.map { ($0.table, $0) })
        let byName = Dictionary(uniqueKeysWithValues: tables.map { ($0.table.shown, $0) })
        var differing: Set<String> = []
        for digest in source {
            guard let (table, key) = byName[digest.table], !unknown.contains(table.quoted) else { continue }
            let keyed = KeyDigest(hash: hash, table: table, key: key)
            var (old, new) = (KeyDigest.Sum(), KeyDigest.Sum())
            try view.touched.batches(table) { keys in
                old = old + (try keyed.sum(keys, here))
                new = new + (try keyed.sum(keys, there))
            }
            if digest.sum - old != (other[digest.table]?.sum ?? KeyDigest.Sum()) - new {
                differing.insert(digest.table)
            }
        }
        return (differing, Dictionary(uniqueKeysWithValues: source.map { ($0.table, $0.rows) }))
    }

    /// Loads tables again while the subscription rests; it then knows from where on their changes are news.
    private func reload(_ view: FollowView, _ sync: SyncTask, _ tables: [PGTable]) throws {
        let subscription = Subscription(sides: sides, admin: view.admin, names: view.names)
        try subscription.disable()
        let placed = try PlacedSnapshot(sides, slot: view.names.passing, passing: true)
        let control = try sides.source()
        // The snapshot is gone when its transaction is.
        defer { withExtendedLifetime((control, placed)) {} }
        let snapshot = try SourceSnapshot(control, joining: placed.name)
        for table in tables { try Ledger.set(view.admin, "position \(table.quoted)", placed.position) }
        do {
            // Only at one position of the WAL do the tables' rows fit each other again.
            _ = try sync.recopy(view.catalog, tables, snapshot: snapshot) {
                try subscription.enable()
                try view.catchUp(within: 120, progress)
            }
        } catch let error as BasculeError where error.code == .postgresStatement {
            // A table that is not wholly followed holds rows that are gone, or the worker was in the way: the sync puts
            // the foreign keys back.
            try subscription.enable()
        }
    }
}

extension PostgresTableDigest {
    var sum: KeyDigest.Sum { KeyDigest.Sum(rows: rows, first: HashSum(first), second: HashSum(second)) }
}
