import BasculeModel
import BasculePostgres

/// With the target fenced: the rest of what it wrote, its sequences, and the proof that both sides hold the same.
struct ReverseDrain: Sendable {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    func run() throws -> PostgresFollowReport {
        let start = MoveClock.now()
        let line = try ReverseLine(sides)
        let source = try sides.source()
        do {
            let goal = try line.slots.mark()
            try line.drain()
            guard let view = try line.slots.view(line.names.back), !view.isLost else {
                throw BasculeError(
                    .followFailed, "The way back is gone", at: .thing(line.admin.place),
                    hint: "What was written after T0 is on the node only.")
            }
            if sides.move.follow?.back == .journal {
                return PostgresFollowReport(
                    isFollowing: true, reason: try ReverseJournal.path(line.admin, line.names),
                    position: WALPosition.text(max(goal, view.confirmed)), changes: line.changes,
                    seconds: MoveClock.now() - start)
            }
            for value in try Sequences.read(line.admin, line.catalog.sequences) { try Sequences.set(value, source) }
            let verification = try compare(line, source, start)
            return PostgresFollowReport(
                isFollowing: true, position: WALPosition.text(goal), tables: verification.tables,
                keys: verification.rows, changes: line.changes, verification: verification,
                seconds: MoveClock.now() - start)
        } catch let error as PGError {
            throw error.basculeError("draining the way back", at: .thing(line.admin.place))
        }
    }

    private func compare(_ line: ReverseLine, _ source: PGConnection, _ start: Double) throws -> PostgresVerification {
        let pushed = Touched(admin: line.admin, source: source, names: line.names, place: "pushed")
        let unknown = try pushed.unknown()
        var rows: Int64 = 0
        var differences: [PostgresRowDifference] = []
        for (table, key) in line.tables.keyed where !unknown.contains(table.quoted) {
            let digest = KeyDigest(hash: RowHash.random(), table: table, key: key)
            try pushed.batches(table) { keys in
                rows += Int64(keys.count)
                guard try digest.sum(keys, source) != digest.sum(keys, line.admin) else { return }
                differences += try digest.differences(keys, source: source, target: line.admin)
            }
        }
        let whole =
            line.tables.unproved.filter { $0.persistence == "p" }
            + line.tables.keyed.map(\.table).filter { unknown.contains($0.quoted) }
        let (here, there) = try TableDigests(sides: sides, progress: progress, isCancelled: isCancelled)
            .both(whole, hash: RowHash.random(), snapshot: nil)
        let bad = differing(here, there)
        let old = Dictionary(
            uniqueKeysWithValues: try Sequences.read(source, line.catalog.sequences).map { ($0.sequence, $0) })
        let sequences = try Sequences.read(line.admin, line.catalog.sequences).filter { old[$0.sequence] != $0 }
        return PostgresVerification(
            tables: line.catalog.loadable.count, rows: rows + here.reduce(0) { $0 + $1.rows },
            differingTables: Set(bad + differences.map(\.table)).sorted(), differences: differences,
            differingSequences: sequences.map { "\($0.sequence): \($0.shown) on the new side only" },
            shapeDifferences: [], seconds: MoveClock.now() - start)
    }
}

/// Removes what the way back made, on both sides. The journal's file stays: it is what is left of new writes.
struct ReverseEnd {
    let sides: Sides

    @discardableResult
    func run() throws -> PostgresFollowReport {
        let start = MoveClock.now()
        let admin = try sides.admin()
        do {
            let names = try FollowNames(admin)
            let slots = Slots(connection: admin)
            try slots.drop(names.back)
            try slots.dropPublication(names.back)
            if try Ledger.exists(admin) {
                for name in try Ledger.tables(admin, "back.full") {
                    try admin.query("ALTER TABLE \(name) REPLICA IDENTITY DEFAULT")
                }
                try admin.script("SET client_min_messages = error; DROP TABLE IF EXISTS bascule.pushed")
                try admin.query("DELETE FROM bascule.move WHERE key IN ('back', 'back.full')")
            }
            if sides.move.follow?.back == .replicate {
                let source = try sides.source()
                try ReverseTarget(source: source, names: names).remove()
            }
        } catch let error as PGError {
            throw error.basculeError("removing the way back", at: .thing(admin.place))
        }
        return PostgresFollowReport(isFollowing: false, reason: "ended", seconds: MoveClock.now() - start)
    }
}
