import BasculeModel
import BasculePostgres

/// The tasks about following, one way and back.
struct FollowTask: Sendable {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    func run(_ task: PostgresFollowTask) throws -> PostgresFollowReport {
        switch task {
        case .prove: try FollowProof(sides: sides, progress: progress, isCancelled: isCancelled).run()
        case .keep: try FollowKeep(sides: sides, progress: progress, isCancelled: isCancelled).run()
        case .changed: try FollowChanged(sides: sides, progress: progress, isCancelled: isCancelled).run()
        case .end: try FollowEnd(sides: sides, reason: "ended").run()
        case .backBegin: try ReverseBegin(sides: sides).run()
        case .backKeep: try ReversePush(sides: sides, progress: progress, isCancelled: isCancelled).keep()
        case .backDrain: try ReverseDrain(sides: sides, progress: progress, isCancelled: isCancelled).run()
        case .backEnd: try ReverseEnd(sides: sides).run()
        }
    }
}

/// After the copy: the subscription begins, and what the administrator should know of it.
struct FollowStart {
    let sides: Sides
    let admin: PGConnection

    func run() throws -> [PostgresFinding] {
        switch try FollowState.read(admin) {
        case .none, .begun: return []
        case .off(let reason): return [Self.off(reason)]
        case .on:
            do {
                try Subscription(sides: sides, admin: admin, names: FollowNames(admin)).enable()
                try keepApart()
            } catch let error as BasculeError where sides.move.follow?.mode == .auto {
                let reason = error.cause ?? error.message
                try FollowEnd(sides: sides, reason: reason).run()
                return [Self.off(reason)]
            }
            return [
                PostgresFinding(
                    "following", .info, sides.move.targetDatabase, "The source is followed until the freeze",
                    hint: "Keep schema changes away from it.")
            ]
        }
    }

    /// A rehearsal writes to a target into which the source's rows go on coming: its numbers must not be theirs. The
    /// sync sets every sequence to the source's value.
    private func keepApart() throws {
        do {
            try admin.query(
                """
                SELECT setval(format('%I.%I', schemaname, sequencename)::regclass,
                    coalesce(last_value, start_value) + 1000000 * increment_by)
                FROM pg_sequences WHERE schemaname !~ '^pg_' AND schemaname <> 'bascule' AND increment_by > 0
                    AND max_value - 1000000 * increment_by > coalesce(last_value, start_value)
                """)
        } catch { throw error.basculeError("setting sequences apart", at: .thing(admin.place)) }
    }

    private static func off(_ reason: String) -> PostgresFinding {
        PostgresFinding(
            "not-following", .warn, "",
            "The source is not followed: \(reason); tables that changed are copied again after the fence",
            hint: "Expect a write outage that grows with the tables that change.")
    }
}

/// What proof, sync and comparison of a followed source share.
struct FollowView {
    let sides: Sides
    let admin: PGConnection
    let source: PGConnection
    let names: FollowNames
    let catalog: PGCatalog
    let tables: FollowTables

    /// nil where the source is not followed. `control` may hold a snapshot.
    init?(_ sides: Sides, admin: PGConnection, source: PGConnection, catalog: PGCatalog) throws {
        guard try FollowState.read(admin) == .on else { return nil }
        (self.sides, self.admin, self.source, self.catalog) = (sides, admin, source, catalog)
        names = try FollowNames(admin)
        tables = try FollowTables(catalog.loadable, source: source)
    }

    var touched: Touched { Touched(admin: admin, source: source, names: names) }

    /// Waits until the target holds all that had been written at the source when this was called.
    /// - Returns: that position.
    @discardableResult
    func catchUp(within seconds: Double, _ progress: (MoveProgress) -> Void) throws -> UInt64 {
        do {
            let slots = Slots(connection: source)
            let goal = try slots.mark()
            let until = MoveClock.now() + seconds
            while true {
                guard let view = try slots.view(names.slot), !view.isLost else {
                    throw BasculeError(
                        .followFailed, "The source took its slot away", at: .thing(source.place),
                        hint: "The tables that changed are copied again.")
                }
                if view.confirmed >= goal { return goal }
                guard MoveClock.now() < until else {
                    throw BasculeError(
                        .followFailed, "The target does not catch up with the source", at: .thing(admin.place),
                        cause: try trouble() ?? "\((goal - view.confirmed) >> 10) KiB of WAL behind",
                        hint: "Look at the target server's log: a row that cannot be applied stops the subscription.")
                }
                // The worker tells how far it is on disk: this commit takes its commits there.
                try admin.query("SET synchronous_commit = on")
                try Ledger.set(admin, "follow.seen", WALPosition.text(view.confirmed))
                progress(MoveProgress(subject: "", phase: "catch up", bytes: Int64(clamping: goal - view.confirmed)))
                FollowPause.nap()
            }
        } catch let error as PGError {
            throw error.basculeError("waiting for the subscription", at: .thing(source.place))
        }
    }

    /// What keeps the apply worker from going on, where something does.
    func trouble() throws -> String? {
        let running = try admin.query(
            """
            SELECT s.subenabled, EXISTS (SELECT FROM pg_stat_subscription t WHERE t.subid = s.oid AND t.pid IS NOT NULL),
                (SELECT apply_error_count FROM pg_stat_subscription_stats e WHERE e.subid = s.oid)
            FROM pg_subscription s WHERE s.subname = $1
            """, [names.slot])
        guard let row = running.rows.first else { return "the subscription is gone" }
        if row[0] != "t" { return "the subscription is disabled" }
        if row[1] != "t" { return "its worker does not run; \(row[2] ?? "0") errors so far" }
        return nil
    }
}

extension FollowPause {
    static func nap() { sleep(0.02, unless: { false }) }
}
