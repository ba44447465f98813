import BasculeModel
import BasculePostgres

/// Moves a PostgreSQL database, proves the copy, and fences the source. Everything blocks; the caller owns the thread.
package enum PostgresMover {
    /// Runs one task. `resolve` gives the value of a fleet's secret; it is asked once. `progress` is called from
    /// several threads, at most ten times a second for each. `isCancelled` is polled five times a second; a cancelled
    /// task throws `cancelled` and can be run again. Throws `BasculeError`.
    package static func run(
        _ task: PostgresTask, resolve: (SecretName) throws -> Secret,
        progress: @escaping @Sendable (MoveProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> PostgresReport {
        let sides = Sides(move: task.move, secret: try resolve(task.move.source))
        do {
            return try perform(task, sides, progress, isCancelled)
        } catch let error as PGError {
            throw error.basculeError("moving the database", at: .thing(task.move.targetDatabase))
        }
    }

    private static func perform(
        _ task: PostgresTask, _ sides: Sides, _ progress: @escaping @Sendable (MoveProgress) -> Void,
        _ isCancelled: @escaping @Sendable () -> Bool
    ) throws -> PostgresReport {
        switch task {
        case .preflight:
            let source = try sides.source()
            let target = try sides.admin()
            return .preflight(try Preflight(sides: sides, source: source, target: target).run(resuming: true).report)
        case .copy:
            return .copied(try CopyTask(sides: sides, progress: progress, isCancelled: isCancelled).run())
        case .sync:
            return .synced(try SyncTask(sides: sides, progress: progress, isCancelled: isCancelled).run())
        case .verify(_, let known):
            return .verified(
                try VerifyTask(sides: sides, progress: progress, isCancelled: isCancelled).run(known: known))
        case .fenceCapture:
            return .captured(try FenceCapture(sides: sides).run())
        case .fenceAcquire(_, let fence):
            return .fenced(try FenceAcquire(sides: sides, fence: fence, isCancelled: isCancelled).run())
        case .fenceProve(_, let fence):
            return .proved(try FenceProve(sides: sides, fence: fence).run())
        case .fenceRelease(_, let fence):
            return .released(try FenceRelease(sides: sides, fence: fence).run())
        case .diff(_, let table, let limit):
            return .compared(
                try DiffTask(sides: sides, progress: progress, isCancelled: isCancelled).run(table, limit: limit))
        case .follow(let task, _):
            return .followed(try FollowTask(sides: sides, progress: progress, isCancelled: isCancelled).run(task))
        case .finish:
            try FollowEnd.quietly(sides)
            let admin = try sides.admin()
            if try Ledger.exists(admin) {
                if try Ledger.value(admin, "back") != nil { try ReverseEnd(sides: sides).run() }
                try Autovacuum.resume(admin)
            }
            try LoadingRole.drop(admin)
            try admin.script("SET client_min_messages = error; DROP SCHEMA IF EXISTS bascule CASCADE")
            return .finished
        }
    }
}
