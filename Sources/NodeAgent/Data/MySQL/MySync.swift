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
        guard let ledger = prepared.ledger else {
            throw BasculeError(
                .moveRefused, "There is no copy that could be caught up", at: .thing(sides.move.targetDatabase),
                hint: "Copy first.")
        }
        guard ledger.schema == prepared.digest else { throw PGSchema.changed(sides.target.move) }
        if let refusal = MyPreflight.refusal(prepared.plan.findings.filter { $0.code == "written-since-t0" }) {
            throw refusal
        }
        return try run(prepared, ledger, source: source, admin: admin, isFenced: true)
    }

    /// Without the fence it is a copy that is run again: the sums are not the source's last.
    func run(
        _ prepared: MyPreflight.Prepared, _ kept: MyLedger, source: MyConnection, admin: PGConnection, isFenced: Bool
    ) throws -> MySQLReport {
        var (report, refusals, ledger) = (MySQLReport(), MyRefusals(), kept)
        report.snapshot = MySides.snapshotText
        report.findings = isFenced ? [] : prepared.plan.findings
        report.again = isFenced ? nil : ledger.again
        ledger.began = MySides.clock(source)
        let login = try LoadingRole.prepare(sides.target, admin: admin)
        defer { login.retire(admin) }
        let loader = try sides.target.loading(as: login)
        try loader.transaction {
            for table in prepared.plan.tables {
                try bring(table, kept, &ledger, MyTools(source: source, loader: loader), prepared, &report, &refusals)
            }
            try MyRows.refuse(refusals)
            if !report.tables.isEmpty {
                let orphans = try MyOrphans(loader: loader).find(prepared.plan.tables.map(\.quoted))
                if orphans.count > 0 {
                    throw BasculeError(
                        .rowRefused, "\(orphans.count) row(s) refer to rows that do not exist; nothing was kept",
                        cause: orphans.lines.joined(separator: "; "), hint: "Correct them at the source.")
                }
                for table in report.tables { try loader.analyze(table.target) }
            }
            try MyBuild.sequences(prepared.plan, loader)
            ledger.isFenced = isFenced
            // Its transaction's number must be the last: see `MyWritten`.
            try loader.query("SAVEPOINT ledger")
            try ledger.write(loader, sides.move.name)
            try loader.query("SET LOCAL synchronous_commit = on")
        }
        return report
    }

    private struct MyTools {
        let source: MyConnection
        let loader: PGConnection
    }

    /// Reads one table, and writes what of it changed.
    private func bring(
        _ table: MyTablePlan, _ kept: MyLedger, _ ledger: inout MyLedger, _ tools: MyTools,
        _ prepared: MyPreflight.Prepared, _ report: inout MySQLReport, _ refusals: inout MyRefusals
    ) throws {
        let (name, started) = (table.source.name, MoveClock.now())
        let loading = MyTableLoad(sides: sides, source: tools.source, loader: tools.loader, ledger: ledger)
        func tell(_ rows: Int64, _ bytes: Int64) {
            report.tables.append(
                MySQLTableReport(
                    table: name, target: table.quoted, rows: rows, bytes: bytes, seconds: MoveClock.now() - started))
        }
        var sum: MyTableSum?
        if let column = table.rangeColumn, let old = kept.ranges(name) {
            let touched = try prepared.written?.ranges(table, column: column, old) ?? []
            let (found, writer) = try loading.replace(table, column: column, old: old, touched: touched, &refusals)
            guard writer.hasCollided else {
                if writer.isChanged {
                    ledger.set(name, found, writer.sums)
                    tell(writer.rows, writer.bytes)
                }
                return
            }
            sum = found
        } else if !kept.knowsChanged(table.source), prepared.written?.rows[name] == nil {
            let scan = MyScan(plan: table, hash: ledger.hash, report: sides.report)
            let found = try scan.source(tools.source, refusals: &refusals).sum
            if found == kept.sum(name, columns: table.columns.count) { return }
            sum = found
        }
        do throws(PGError) { try tools.loader.query("DELETE FROM ONLY \(table.quoted)") } catch {
            throw error.basculeError("emptying a table", at: .thing(table.quoted))
        }
        let (again, bytes, ranges) = try loading.run(table, &refusals)
        guard refusals.count > 0 || sum == nil || again == sum else {
            throw BasculeError(
                .dataMoved, "\(name) changed between two readings of a fenced source",
                at: .thing(sides.address.description), hint: "Find who still writes, then run again.")
        }
        ledger.set(name, again, ranges)
        tell(again.rows, bytes)
    }
}

extension ErrorCode {
    /// A source that was fenced changed all the same.
    package static let dataMoved: ErrorCode = "data-moved"
}
