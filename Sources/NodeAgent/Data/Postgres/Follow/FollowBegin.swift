import BasculeModel
import BasculePostgres

/// The beginning of following: publications, the slot, and the snapshot at which the rows are copied.
struct FollowBegin {
    let sides: Sides
    let admin: PGConnection

    /// What a copy works with.
    final class Started {
        let names: FollowNames
        /// nil where no row is left to be copied.
        let snapshot: PlacedSnapshot?
        let watch: FollowWatch
        init(_ names: FollowNames, _ snapshot: PlacedSnapshot?, _ watch: FollowWatch) {
            (self.names, self.snapshot, self.watch) = (names, snapshot, watch)
        }
    }

    /// nil where the source is not followed; why, the ledger says. `remaining` asks whether rows are left to be copied.
    func run() throws -> Started? {
        let names = try FollowNames(admin)
        let state = try FollowState.read(admin)
        guard let follow = sides.move.follow, follow.mode != .never else {
            if state == .on || state == .begun { try FollowEnd(sides: sides, reason: "not wanted").run() }
            return nil
        }
        let source = try sides.source()
        switch state {
        case .off: return nil
        case .on: return try goOn(source, names, follow)
        case .none, .begun:
            let preflight = try Preflight(sides: sides, source: source, target: admin).run(resuming: true)
            guard preflight.report.passes else { throw Preflight.refusal(preflight.report) }
            let findings = try FollowPreflight(
                sides: sides, source: source, schemas: preflight.catalog.schemas
            ).findings(preflight.catalog.loadable)
            let obstacle = findings.first { $0.message.hasPrefix("The source cannot be followed") }
            try Ledger.prepare(admin, owner: sides.move.owner)
            // An unfinished copy is brought to the new snapshot as a whole; a finished one is of nobody knows when.
            let copied = try Ledger.value(admin, "copied") != nil
            if copied || obstacle != nil {
                let reason = obstacle?.message ?? "the copy began without following"
                try FollowState.off(reason).write(admin)
                return nil
            }
            do {
                return try fresh(source, names, follow, preflight.catalog)
            } catch let error as BasculeError where follow.mode == .auto && error.code != .cancelled {
                _ = try? FollowEnd(sides: sides, reason: error.cause ?? error.message).run()
                return nil
            }
        }
    }

    private func fresh(
        _ source: PGConnection, _ names: FollowNames, _ follow: PostgresFollow, _ catalog: PGCatalog
    ) throws -> Started {
        try FollowState.begun.write(admin)
        try clear(source, names)
        let tables = try FollowTables(catalog.loadable, source: source)
        do {
            try publish(source, names.publication, tables.published, "insert, update, delete, truncate")
            try publish(source, names.inserts, tables.inserts, "insert, truncate")
        } catch {
            throw error.basculeError(
                "making a publication", at: .thing(source.place), hint: "The role must own every table.")
        }
        let snapshot = try PlacedSnapshot(sides, slot: names.slot, passing: false)
        try Ledger.set(admin, "follow.position", snapshot.position)
        try FollowState.on.write(admin)
        return Started(names, snapshot, FollowWatch(sides, names, cap: follow.walCap))
    }

    /// Rows of a later snapshot are told apart by its own position.
    private func goOn(_ source: PGConnection, _ names: FollowNames, _ follow: PostgresFollow) throws -> Started? {
        guard let slot = try Slots(connection: source).view(names.slot), !slot.isLost else {
            try FollowEnd(sides: sides, reason: "the source took its slot away").run()
            return nil
        }
        let finished = try Ledger.value(admin, "copied") != nil
        let snapshot = finished ? nil : try PlacedSnapshot(sides, slot: names.passing, passing: true)
        return Started(names, snapshot, FollowWatch(sides, names, cap: follow.walCap))
    }

    private func clear(_ source: PGConnection, _ names: FollowNames) throws {
        do {
            let slots = Slots(connection: source)
            try slots.drop(names.slot)
            try slots.drop(names.proof)
            for publication in names.publications { try slots.dropPublication(publication) }
        } catch let error as PGError {
            throw error.basculeError("removing what an earlier attempt left", at: .thing(source.place))
        }
    }

    private func publish(
        _ source: PGConnection, _ name: String, _ tables: [PGTable], _ operations: String
    ) throws(PGError) {
        let list = tables.map { "ONLY \($0.quoted)" }.joined(separator: ", ")
        try source.query(
            "CREATE PUBLICATION \(name)\(tables.isEmpty ? "" : " FOR TABLE \(list)") WITH (publish = '\(operations)')")
    }
}

/// Gives the slots up when they keep more of the source's WAL than declared, also while the rows are copied.
final class FollowWatch: Sendable {
    private let stopped = MoveFlag()

    init(_ sides: Sides, _ names: FollowNames, cap: Int64) {
        let stopped = stopped
        MoveThread.detach {
            // A source that cannot be reached is the copy's to complain about.
            while !stopped.isSet {
                _ = try? Self.check(sides, names, cap: cap, stopped: stopped)
                FollowPause.sleep(2, unless: { stopped.isSet })
            }
        }
    }

    func stop() { stopped.set() }
    deinit { stopped.set() }

    private static func check(_ sides: Sides, _ names: FollowNames, cap: Int64, stopped: MoveFlag) throws {
        let source = try sides.source()
        while !stopped.isSet {
            guard let reason = try overCap(Slots(connection: source), names, cap) else {
                FollowPause.sleep(1, unless: { stopped.isSet })
                continue
            }
            try FollowEnd(sides: sides, reason: reason).run()
            stopped.set()
        }
    }

    /// Why the slots have to be given up, nil where all is well.
    static func overCap(_ slots: Slots, _ names: FollowNames, _ cap: Int64) throws -> String? {
        for name in [names.slot, names.proof] {
            guard let view = try slots.view(name) else { continue }
            if view.isLost { return "the source took the WAL of its slot away" }
            if view.retained > cap {
                return "its slot kept \(view.retained >> 20) MiB of WAL at the source, more than \(cap >> 20) MiB"
            }
        }
        return nil
    }
}
