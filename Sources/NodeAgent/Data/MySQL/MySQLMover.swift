import BasculeModel
import BasculeMySQL
import BasculePostgres

/// Moves a MySQL or MariaDB database into PostgreSQL: preflight, dry run, copy, sync, comparison, and the fence.
package enum MySQLMover {
    /// Does one task and reports. Blocks the calling thread until done.
    ///
    /// `resolve` gives the value of a fleet's secret. `progress` is called about once a thousand rows; `isCancelled` is
    /// asked as often. Throws `BasculeError`: `move-refused` with the findings, `row-refused` with the values that
    /// cannot be stored, `schema-changed`, `cancelled`, and what connections throw. A comparison that finds differences
    /// does not throw: it reports them.
    package static func run(
        _ task: MySQLTask, resolve: (SecretName) throws -> Secret,
        progress: @escaping @Sendable (MoveProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> MySQLReport {
        let start = MoveClock.now()
        var move = task.move
        // A comparison of one table shows what differs, not what it happens to look at.
        if task.verb == .diff { move.spotChecks = 0 }
        let sides = try MySides(
            move, afterOpen: task.afterOpen == true, resolve: resolve,
            report: MyReporter(progress: progress, isCancelled: isCancelled))
        do {
            var report = try perform(task, sides, resolve)
            report.seconds = MoveClock.now() - start
            return report
        } catch let error as PGError {
            throw error.basculeError("moving the database", at: .thing(task.move.targetDatabase))
        } catch let error as MyError {
            throw error.basculeError("moving the database", at: .thing(sides.address.description))
        }
    }

    private static func perform(
        _ task: MySQLTask, _ sides: MySides, _ resolve: (SecretName) throws -> Secret
    ) throws -> MySQLReport {
        switch task.verb {
        case .preflight:
            let source = try sides.snapshot()
            var report = MySQLReport()
            let prepared = try MyPreflight(
                sides: sides, source: source, target: try sides.target.admin(), looksForOthers: sides.afterOpen
            ).run()
            report.findings = prepared.plan.findings
            report.snapshot = MySides.snapshotText
            report.tables = prepared.plan.tables.map {
                MySQLTableReport(
                    table: $0.source.name, target: $0.quoted, rows: $0.source.estimatedRows, bytes: $0.source.bytes)
            }
            return report
        case .rehearse: return try MyCopy(sides: sides, isDryRun: true).run()
        case .copy: return try MyCopy(sides: sides, isDryRun: false).run()
        case .sync: return try MySync(sides: sides).run()
        case .verify: return try MyVerify(sides: sides).run(fromSync: false)
        case .validate: return try MyVerify(sides: sides).run(fromSync: true)
        case .diff:
            return try MyVerify(sides: sides).run(fromSync: false, only: task.table ?? "", limit: task.limit ?? 20)
        case .finish:
            let admin = try sides.target.admin()
            try LoadingRole.drop(admin)
            if try Ledger.exists(admin) {
                let mark = "mysql/\(task.move.name)"
                try admin.query("DELETE FROM bascule.move WHERE key = $1 OR key = $1 || '/made'", [mark])
                if try admin.query("SELECT FROM bascule.move").isEmpty {
                    try admin.script("SET client_min_messages = error; DROP SCHEMA bascule CASCADE")
                }
            }
            return MySQLReport()
        case .fenceCapture, .fenceAcquire, .fenceProve, .fenceRelease:
            let fence = MyFence(
                address: try task.move.fence.map { try MyAddress(url: try resolve($0)) } ?? sides.address)
            var report = MySQLReport()
            guard task.verb != .fenceCapture else {
                report.fence = try fence.capture()
                return report
            }
            guard let captured = task.fence else {
                throw BasculeError(.fenceFailed, "The fence needs the rights that were captured before it")
            }
            switch task.verb {
            case .fenceAcquire: report = try fence.acquire(captured)
            case .fenceProve: report = try fence.prove(captured)
            default: try fence.release(captured)
            }
            return report
        }
    }
}
