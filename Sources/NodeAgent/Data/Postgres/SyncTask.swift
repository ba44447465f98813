import BasculeModel
import BasculePostgres

/// After the fence: finds the tables that changed since the copy, copies them again, sets sequences, proves equality.
struct SyncTask: Sendable {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    func run() throws -> PostgresSyncReport {
        let start = MoveClock.now()
        let admin = try sides.admin()
        let control = try sides.source()
        defer { withExtendedLifetime(control) {} }
        let snapshot = try SourceSnapshot(control)
        let catalog = try readCatalog(control, admin)
        let hash = RowHash.random()
        let digests = TableDigests(sides: sides, progress: progress, isCancelled: isCancelled)
        let followed = try follow(catalog, admin)
        let proved = Set(followed?.tables.map(\.table) ?? [])
        let pending = catalog.loadable.filter { !proved.contains($0.shown) }
        let before = try digests.both(pending, hash: hash, snapshot: snapshot)
        let names = Set(differing(before.source, before.target))
        let changed = pending.filter { names.contains($0.shown) }
        var target = before.target
        let recopied = try recopy(
            catalog, changed, snapshot: snapshot, refresh: followed != nil && !catalog.materialized.isEmpty)
        if !changed.isEmpty {
            let again = try digests.run(changed, hash: hash, side: .target)
            target = (target.filter { !names.contains($0.table) } + again).sorted { $0.table < $1.table }
            let wrong = differing(before.source, target)
            guard wrong.isEmpty else {
                throw BasculeError(
                    .defect, "Tables differ after they were copied again", at: .thing(wrong.joined(separator: ", ")),
                    hint: "Something writes to the target, or the source is not fenced.")
            }
        }
        let sequences = try Sequences.read(control, catalog.sequences)
        try admin.query("SET synchronous_commit = on")
        // Once to the disk, not once for each.
        try admin.transaction { for value in sequences { try Sequences.set(value, admin) } }
        try Ledger.set(admin, "synced", snapshot.name)
        let shape = try PGSchema.digest(catalog.shape.joined(separator: "\n"), admin)
        let there = try CatalogShape(connection: admin, schemas: catalog.schemas).read()
        return PostgresSyncReport(
            recopied: recopied,
            source: PostgresDigests(
                seeds: hash.seeds, tables: before.source + (followed?.tables ?? []), sequences: sequences, shape: shape),
            target: PostgresDigests(
                seeds: hash.seeds, tables: target, sequences: try Sequences.read(admin, catalog.sequences),
                shape: try PGSchema.digest(there.joined(separator: "\n"), admin)),
            seconds: MoveClock.now() - start, followed: followed?.report)
    }

    /// Where the source was followed: what the target holds by that, with the tables that were proved before the fence.
    private func follow(
        _ catalog: PGCatalog, _ admin: PGConnection
    ) throws -> (report: PostgresFollowReport, tables: [PostgresTableDigest])? {
        do {
            let source = try sides.source()
            guard let view = try FollowView(sides, admin: admin, source: source, catalog: catalog) else { return nil }
            return try FollowSync(view: view, progress: progress).run()
        } catch let error as BasculeError where error.code == .followFailed {
            // Everything is compared and copied again, as if it had never been followed.
            try FollowEnd(sides: sides, reason: error.message + (error.cause.map { " (\($0))" } ?? "")).run()
            return nil
        } catch let error as PGError { throw error.basculeError("following to the end", at: .thing(admin.place)) }
    }

    /// Copies tables again, foreign keys set aside meanwhile, and puts back what an earlier run left set aside.
    /// `between` runs when the rows are there and the foreign keys are not.
    func recopy(
        _ catalog: PGCatalog, _ changed: [PGTable], snapshot: SourceSnapshot, refresh: Bool = false,
        between: () throws -> Void = {}
    ) throws -> [PostgresTableCopy] {
        let admin = try sides.admin()
        let login = try LoadingRole.prepare(sides, admin: admin)
        defer { login.retire(admin) }
        let loader = try sides.loading(as: login)
        var recopied: [PostgresTableCopy] = []
        if !changed.isEmpty || refresh { try Ledger.set(loader, "resync", "open") }
        if !changed.isEmpty {
            try ForeignKeys.drop(catalog, of: changed, loader)
            recopied = try copyAgain(changed, snapshot: snapshot, login: login)
        }
        try between()
        // Also when nothing differs now: an earlier run may have stopped between the rows and the keys.
        try restore(catalog, admin: admin, loader: loader, login: login)
        return recopied
    }

    func readCatalog(_ control: PGConnection, _ admin: PGConnection) throws -> PGCatalog {
        guard try Ledger.exists(admin), let earlier = try Ledger.value(admin, "schema"),
            try Ledger.value(admin, "copied") != nil
        else {
            throw BasculeError(
                .invalidInput, "The target holds no finished copy to be synchronised",
                at: .thing(sides.move.targetDatabase), hint: "Run the copy to its end first.")
        }
        let catalog = try CatalogReader(control, sides.move, target: admin).read()
        guard try PGSchema.digest(catalog.text, admin) == earlier else { throw PGSchema.changed(sides.move) }
        return catalog
    }

    func copyAgain(
        _ changed: [PGTable], snapshot: SourceSnapshot, login: LoadingRole
    ) throws -> [PostgresTableCopy] {
        let done = LoadState(plan: BuildPlan())
        let sides = self.sides
        let progress = self.progress
        let pool = JobPool(changed.map { (priority: $0.bytes, job: $0) }, isCancelled: isCancelled)
        try pool.run(threads: min(sides.move.parallelism, changed.count)) { number in
            let source = try sides.source()
            try snapshot.adopt(source)
            let target = try sides.loading(as: login)
            pool.register(number, [source.canceller, target.canceller])
            let loading = TableLoad(source: source, target: target, run: snapshot.run, afterwards: true)
            return { table in
                let copy = try CopyMeter.measure(table, progress, phase: "sync", stop: { pool.shouldStop }) { tick in
                    try loading.run(table, tick: tick)
                }
                _ = done.add(copy, table.oid)
                try target.analyze(table.quoted)
            }
        }
        return done.copies
    }

    /// Puts foreign keys back, validated, and materialised views up to date.
    func restore(
        _ catalog: PGCatalog, admin: PGConnection, loader: PGConnection, login: LoadingRole
    ) throws {
        let plan = BuildPlan(catalog, existing: try ExistingObjects(admin))
        for statement in plan.foreignKeys { try Build.run(loader, statement) }
        try Build.parallel(plan.validations, sides: sides, login: login, isCancelled: isCancelled)
        if try Ledger.value(loader, "resync") == "open" {
            try Build.refresh(catalog, loader)
            try Ledger.set(loader, "resync", "closed")
        }
    }
}
