import BasculeModel
import BasculePostgres
import Glibc

/// The copy: schema, rows, indexes, constraints, from one snapshot of a live source. Runs again where it stopped.
struct CopyTask: Sendable {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    enum Job: Sendable {
        case load(Int64, TableRange)
        case index(Int64, BuildPlan.Statement)
        case close(Int64)
        case key(BuildPlan.ForeignKey)
    }

    /// How often a copy that lost a server goes on by itself, and the first pause in seconds; it doubles.
    private static let (retries, pause) = (5, 0.5)

    func run() throws -> PostgresCopyReport {
        let started = MoveFlag()
        var pause = Self.pause
        for attempt in 0... {
            do { return try once(started) } catch let error as BasculeError {
                // Before the first row an unreachable server is the answer, not an accident.
                guard error.code == .postgresConnection, started.isSet, attempt < Self.retries, !isCancelled() else {
                    throw error
                }
                progress(MoveProgress(subject: "", phase: "reconnect"))
                usleep(UInt32(pause * 1_000_000))
                pause *= 2
            }
        }
        throw BasculeError(.defect, "the copy ended without a result")
    }

    private func once(_ started: MoveFlag) throws -> PostgresCopyReport {
        let start = MoveClock.now()
        let admin = try sides.admin()
        let control = try sides.source()
        let follow = try FollowBegin(sides: sides, admin: admin).run()
        defer { follow?.watch.stop() }
        let snapshot = try SourceSnapshot(control, joining: follow?.snapshot?.name)
        let preflight = try Preflight(sides: sides, source: control, target: admin).run(resuming: true)
        guard preflight.report.passes else { throw Preflight.refusal(preflight.report) }
        let catalog = preflight.catalog
        started.set()
        try Ledger.prepare(admin, owner: sides.move.owner)
        if let position = follow?.snapshot?.position { try Ledger.set(admin, "position", position) }
        let login = try LoadingRole.prepare(sides, admin: admin)
        defer { login.retire(admin) }
        let builder = SchemaBuilder(sides: sides, catalog: catalog, admin: admin)
        let loader = try sides.loading(as: login)
        progress(MoveProgress(subject: "", phase: "schema"))
        try makeSchema(builder, admin: admin, loader: loader)
        let hash = try Ledger.hash(loader)
        let digests = TableDigests(sides: sides, progress: progress, isCancelled: isCancelled)
        var resumption = try Resumption(catalog, sides, source: control)
        let isOver = try Ledger.value(admin, "copied") != nil
        if isOver {
            // What has happened at the source since is the sync's business.
            resumption.keepAll(try Ledger.ranges(loader))
        } else {
            try resumption.examine(try Ledger.ranges(loader), hash, snapshot, digests, loader)
        }
        let plan = BuildPlan(catalog, existing: try ExistingObjects(admin))
        let keys = KeyQueue(plan, tables: catalog.tables)
        let copied = try load(
            catalog, plan: plan, keys: keys, resumption, hash: hash, snapshot: snapshot, login: login)
        try build(catalog, plan: plan, keys: keys.late, builder: builder, login: login, loader: loader)
        let proof = isOver ? nil : try Proof(digests: digests, hash: hash).run(catalog, control, admin, snapshot)
        try builder.createFinals(loader)
        try Sequences.set(from: control, to: loader, catalog.sequences)
        // What was committed without waiting is on disk when this commit is.
        try loader.query("SET synchronous_commit = on")
        try Ledger.set(loader, "copied", snapshot.name)
        follow?.watch.stop()
        let findings = try preflight.report.findings + FollowStart(sides: sides, admin: admin).run()
        return PostgresCopyReport(
            copied: copied, alreadyDone: catalog.loadable.filter { resumption.isDone($0) }.map(\.shown),
            findings: findings, indexes: plan.indexCount, constraints: plan.constraintCount,
            seconds: MoveClock.now() - start, proof: proof)
    }

    private func makeSchema(_ builder: SchemaBuilder, admin: PGConnection, loader: PGConnection) throws {
        let digest = try PGSchema.digest(builder.catalog.text, admin)
        if let earlier = try Ledger.value(admin, "schema") {
            guard earlier == digest else { throw PGSchema.changed(sides.move) }
            return
        }
        try builder.prepareNamespaces()
        try builder.createEarly(loader, digest: digest)
    }

    private func load(
        _ catalog: PGCatalog, plan: BuildPlan, keys: KeyQueue, _ resumption: Resumption, hash: RowHash,
        snapshot: SourceSnapshot, login: LoadingRole
    ) throws -> [PostgresTableCopy] {
        let tables = catalog.byOid
        let state = LoadState(plan: plan, missing: resumption.missing, order: BuildOrder.ranks(catalog))
        var jobs: [(priority: Int64, job: Job)] = []
        let first = Int64(1) << 60
        for table in catalog.tables {
            let missing = resumption.missing[table.oid] ?? []
            // Larger tables first, and each from its front to its end.
            for range in missing { jobs.append((first + table.bytes - range.first, .load(table.oid, range))) }
            if missing.isEmpty { jobs += state.afterLoad(table.oid) }
        }
        let afterwards = resumption.isFinal
        let pool = JobPool(jobs, isCancelled: isCancelled)
        let sides = self.sides
        let progress = self.progress
        try pool.run(threads: sides.move.parallelism) { number in
            let source = try sides.source()
            try snapshot.adopt(source)
            let target = try sides.loading(as: login)
            pool.register(number, [source.canceller, target.canceller])
            let loading = TableLoad(
                source: source, target: target, run: snapshot.run, afterwards: afterwards, hash: hash)
            return { job in
                switch job {
                case .load(let oid, let range):
                    guard let table = tables[oid] else { return }
                    let copy = try CopyMeter.measure(
                        table, progress, before: state.count(oid), stop: { pool.shouldStop }
                    ) { tick in try loading.run(table, range: range, tick: tick) }
                    guard state.add(copy, oid) else { return }
                    for (priority, job) in state.afterLoad(oid) { pool.add(job, priority: priority) }
                case .index(let oid, let statement):
                    progress(MoveProgress(subject: statement.name, phase: "index"))
                    try Build.run(target, statement, workers: pool.spare)
                    if state.indexDone(oid) { pool.add(.close(oid), priority: first / 2) }
                case .close(let oid):
                    for statement in plan.closing[oid] ?? [] { try Build.run(target, statement) }
                    if let table = tables[oid], table.holdsRows { try target.analyze(table.quoted) }
                    for key in keys.closed(oid) { pool.add(.key(key), priority: first / 4) }
                case .key(let key):
                    let statements = BuildPlan.statements([key])
                    for statement in statements.add + statements.validate {
                        progress(MoveProgress(subject: statement.name, phase: "constraints"))
                        try Build.run(target, statement)
                    }
                    for key in keys.done(key) { pool.add(.key(key), priority: first / 4) }
                }
            }
        }
        return state.copies
    }

    private func build(
        _ catalog: PGCatalog, plan: BuildPlan, keys: [BuildPlan.ForeignKey], builder: SchemaBuilder,
        login: LoadingRole, loader: PGConnection
    ) throws {
        progress(MoveProgress(subject: "", phase: "constraints"))
        let keys = BuildPlan.statements(keys)
        for statement in plan.attachments + keys.add { try Build.run(loader, statement) }
        try Build.parallel(keys.validate, sides: sides, login: login, isCancelled: isCancelled)
        try builder.createLate(loader)
        try Build.refresh(catalog, loader)
        try Build.parallel(plan.viewIndexes, sides: sides, login: login, isCancelled: isCancelled)
        for table in catalog.tables where table.kind == "p" { try loader.analyze(table.quoted) }
    }
}

/// What the threads of a load share.
final class LoadState: @unchecked Sendable {
    private let lock = MoveLock()
    private let plan: BuildPlan
    private var left: [Int64: Int]
    private var missing: [Int64: Int]
    private var finished: [Int64: PostgresTableCopy] = [:]
    private let order: [Int64: Int64]

    init(plan: BuildPlan, missing: [Int64: [TableRange]] = [:], order: [Int64: Int64] = [:]) {
        self.plan = plan
        self.order = order
        self.missing = missing.mapValues(\.count)
        left = plan.indexes.mapValues(\.count)
    }

    /// What can start when a table's rows are in: its indexes, or at once its constraints.
    func afterLoad(_ oid: Int64) -> [(priority: Int64, job: CopyTask.Job)] {
        let indexes = plan.indexes[oid] ?? []
        if indexes.isEmpty { return [(Int64(1) << 59, .close(oid))] }
        let base = (order[oid] ?? 0) << 40
        return indexes.map { (base + min($0.weight, 1 << 40 - 1), .index(oid, $0)) }
    }

    /// True when it was the table's last index.
    func indexDone(_ oid: Int64) -> Bool {
        lock.held {
            left[oid, default: 1] -= 1
            return left[oid] == 0
        }
    }

    /// Adds a part of a table; true when it was the last one.
    func add(_ copy: PostgresTableCopy, _ oid: Int64) -> Bool {
        lock.held {
            let earlier = finished[oid]
            finished[oid] = PostgresTableCopy(
                table: copy.table, rows: copy.rows + (earlier?.rows ?? 0), bytes: copy.bytes + (earlier?.bytes ?? 0),
                seconds: copy.seconds + (earlier?.seconds ?? 0))
            missing[oid, default: 1] -= 1
            return missing[oid] == 0
        }
    }

    /// What has arrived of a table.
    func count(_ oid: Int64) -> CopyCount {
        lock.held { CopyCount(rows: finished[oid]?.rows ?? 0, bytes: finished[oid]?.bytes ?? 0) }
    }

    var copies: [PostgresTableCopy] { lock.held { finished.values.sorted { $0.table < $1.table } } }
}
