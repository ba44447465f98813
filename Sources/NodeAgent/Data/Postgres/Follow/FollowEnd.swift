import BasculeModel
import BasculePostgres
import Glibc

/// Removes everything that following made, on both sides. May run at any time, also where nothing was made, and where
/// the target's ledger is gone: names come from the target database itself.
struct FollowEnd {
    let sides: Sides
    /// Why the source is not followed any more.
    let reason: String

    @discardableResult
    func run() throws -> PostgresFollowReport {
        let start = MoveClock.now()
        let admin = try sides.admin()
        let names = try FollowNames(admin)
        try Subscription(sides: sides, admin: admin, names: names).drop()
        let source = try sides.source()
        do {
            let slots = Slots(connection: source)
            try slots.drop(names.slot)
            try slots.drop(names.proof)
            try slots.drop(names.passing)
            for publication in names.publications { try slots.dropPublication(publication) }
        } catch let error as PGError {
            throw error.basculeError("removing slots and publications", at: .thing(source.place))
        }
        if try Ledger.exists(admin) {
            try FollowState.off(reason).write(admin)
            try Touched(admin: admin, source: source, names: names).forget()
        }
        return PostgresFollowReport(isFollowing: false, reason: reason, seconds: MoveClock.now() - start)
    }
}

enum FollowPause {
    /// Sleeps in small steps.
    static func sleep(_ seconds: Double, unless stop: () -> Bool) {
        let until = MoveClock.now() + seconds
        while MoveClock.now() < until, !stop() { usleep(50_000) }
    }
}

extension FollowEnd {
    /// Where the ledger says that there may be something; a source that is gone for good is no reason not to end.
    static func quietly(_ sides: Sides) throws {
        let admin = try sides.admin()
        switch try FollowState.read(admin) {
        case .on, .begun: break
        case .none, .off: return
        }
        do { try FollowEnd(sides: sides, reason: "the move has ended").run() } catch let error as BasculeError {
            guard error.code == .postgresConnection else { throw error }
            let names = try FollowNames(admin)
            try Subscription(sides: sides, admin: admin, names: names).drop()
        }
    }
}
