import BasculeModel
import BasculePostgres

/// Between copy and freeze: notes what is touched, watches the WAL that our slots keep at the source and whether the
/// subscription runs, and looks for schema changes. Runs until it is killed, or until following has ended.
struct FollowKeep {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    /// Seconds between two looks, and between two readings of the schema.
    private static let (step, schemaStep) = (1.0, 10.0)

    func run() throws -> PostgresFollowReport {
        let admin = try sides.admin()
        let source = try sides.source()
        let names = try FollowNames(admin)
        let cap = sides.move.follow?.walCap ?? .max
        var tables: FollowTables?
        var nextSchema = 0.0
        while !isCancelled() {
            switch try FollowState.read(admin) {
            case .on, .begun: break
            case .off(let reason): return PostgresFollowReport(isFollowing: false, reason: reason)
            case .none: return PostgresFollowReport(isFollowing: false, reason: "it never began")
            }
            do {
                let slots = Slots(connection: source)
                if let reason = try FollowWatch.overCap(slots, names, cap) {
                    return try FollowEnd(sides: sides, reason: reason).run()
                }
                guard let view = try slots.view(names.slot) else {
                    return try FollowEnd(sides: sides, reason: "the source lost its slot").run()
                }
                progress(MoveProgress(subject: sides.move.targetDatabase, phase: "follow", bytes: view.retained))
                if MoveClock.now() >= nextSchema {
                    let catalog = try SyncTask(sides: sides, progress: progress, isCancelled: isCancelled)
                        .readCatalog(source, admin)
                    tables = try FollowTables(catalog.loadable, source: source)
                    nextSchema = MoveClock.now() + Self.schemaStep
                }
                if let tables, try Ledger.value(admin, "proof") != nil {
                    let touched = Touched(admin: admin, source: source, names: names)
                    try touched.drain(tables, slot: names.proof, publications: names.publications)
                    if try touched.count() > Touched.limit {
                        try slots.drop(names.proof)
                        try touched.forget()
                    }
                }
            } catch let error as PGError {
                throw error.basculeError("following the source", at: .thing(source.place))
            } catch let error as BasculeError where error.code == .schemaChanged {
                return try FollowEnd(sides: sides, reason: error.message).run()
            }
            FollowPause.sleep(Self.step, unless: isCancelled)
        }
        return PostgresFollowReport(isFollowing: true)
    }
}
