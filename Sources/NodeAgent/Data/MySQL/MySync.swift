import BasculeModel
import BasculeMySQL
import BasculePostgres

/// After the fence: reads the source again, and replaces in one transaction the tables that are not as they were copied.
struct MySync {
    let sides: MySides

    func run() throws -> MySQLReport {
        let admin = try sides.target.admin()
        let source = try sides.snapshot()
        let prepared = try MyPreflight(sides: sides, source: source, target: admin).run()
        guard var ledger = prepared.ledger else {
            throw BasculeError(
                .moveRefused, "There is no copy that could be caught up", at: .thing(sides.move.targetDatabase),
                hint: "Copy first.")
        }
        guard ledger.schema == prepared.digest else { throw PGSchema.changed(sides.target.move) }
        var report = MySQLReport()
        report.snapshot = MySides.snapshotText
        var refusals = MyRefusals()
        var changed: [(table: MyTablePlan, sum: MyTableSum?)] = []
        for table in prepared.plan.tables {
            if ledger.knowsChanged(table.source) {
                changed.append((table, nil))
                continue
            }
            let scan = MyScan(plan: table, hash: ledger.hash, report: sides.report)
            let sum = try scan.source(source, refusals: &refusals).sum
            if sum != ledger.sum(table.source.name, columns: table.columns.count) { changed.append((table, sum)) }
        }
        try MyRows.refuse(refusals)
        ledger.began = MySides.clock(source)
        let login = try LoadingRole.prepare(sides.target, admin: admin)
        defer { login.retire(admin) }
        let loader = try sides.target.loading(as: login)
        try loader.transaction {
            for (table, sum) in changed {
                let started = MoveClock.now()
                do throws(PGError) { try loader.query("DELETE FROM ONLY \(table.quoted)") } catch {
                    throw error.basculeError("emptying a table", at: .thing(table.quoted))
                }
                let loading = MyTableLoad(sides: sides, source: source, loader: loader, ledger: ledger)
                let (again, bytes) = try loading.run(table, &refusals)
                try MyRows.refuse(refusals)
                guard sum == nil || again == sum else {
                    throw BasculeError(
                        .dataMoved, "\(table.source.name) changed between two readings of a fenced source",
                        at: .thing(sides.address.description), hint: "Find who still writes, then run again.")
                }
                ledger.set(table.source.name, again)
                report.tables.append(
                    MySQLTableReport(
                        table: table.source.name, target: table.quoted, rows: again.rows, bytes: bytes,
                        seconds: MoveClock.now() - started))
            }
            if !changed.isEmpty {
                let orphans = try MyOrphans(loader: loader).find(prepared.plan.tables.map(\.quoted))
                if orphans.count > 0 {
                    throw BasculeError(
                        .rowRefused, "\(orphans.count) row(s) refer to rows that do not exist; nothing was kept",
                        cause: orphans.lines.joined(separator: "; "), hint: "Correct them at the source.")
                }
                for (table, _) in changed { try loader.analyze(table.quoted) }
            }
            try MyBuild.sequences(prepared.plan, loader)
            ledger.isFenced = true
            try ledger.write(loader, sides.move.name)
            try loader.query("SET LOCAL synchronous_commit = on")
        }
        return report
    }
}

extension ErrorCode {
    /// A source that was fenced changed all the same.
    package static let dataMoved: ErrorCode = "data-moved"
}
