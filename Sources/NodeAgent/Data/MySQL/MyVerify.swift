import BasculeCrypto
import BasculeModel
import BasculeMySQL
import BasculePostgres

/// Compares both sides, each from its own text, and changes neither.
struct MyVerify {
    let sides: MySides

    /// With `fromSync` the source's sums are those that sync took under the fence.
    func run(fromSync: Bool) throws -> MySQLReport {
        let target = try sides.target.admin()
        let source = try sides.snapshot()
        let prepared = try MyPreflight(sides: sides, source: source, target: target).run()
        var report = MySQLReport()
        report.findings = prepared.plan.findings.filter { $0.severity == .refuse && $0.code.hasSuffix("-at-target") }
        report.snapshot = MySides.snapshotText
        try target.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        defer { _ = try? target.query("ROLLBACK") }
        let known = fromSync ? prepared.ledger.flatMap { $0.isFenced ? $0 : nil } : nil
        try compare(prepared.plan, ledger: known, source: source, target: target, into: &report)
        return report
    }

    /// Counts, checksums of every column, the rows that differ, and rows side by side.
    func compare(
        _ plan: MyPlan, ledger: MyLedger?, source: MyConnection, target: PGConnection, into report: inout MySQLReport
    ) throws {
        report.tables = []
        let present = Set(
            try target.query(
                """
                SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c
                JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')
                """
            ).rows.compactMap { $0[0] })
        let hash = ledger?.hash ?? MyLedger(schema: "", since: "").hash
        for table in plan.tables {
            let started = MoveClock.now()
            guard present.contains(table.quoted) else {
                report.tables.append(
                    MySQLTableReport(table: table.source.name, target: table.quoted, rows: -1, targetRows: 0))
                continue
            }
            let scan = MyScan(plan: table, hash: hash, report: sides.report)
            var refusals = MyRefusals()
            let one =
                try ledger?.sum(table.source.name, columns: table.columns.count)
                ?? scan.source(source, refusals: &refusals).sum
            let other = try scan.target(target)
            report.refusedCount += refusals.count
            report.tables.append(
                MySQLTableReport(
                    table: table.source.name, target: table.quoted, rows: one.rows, targetRows: other.rows,
                    columns: table.columns.indices.map {
                        MySQLColumnSum(
                            column: table.columns[$0].name, source: one.texts[$0], target: other.texts[$0])
                    }, seconds: MoveClock.now() - started))
            if one.columns != other.columns || one.rows != other.rows {
                try differences(scan, one.differing(other), source, target, &report)
            }
            try MySpots(sides: sides, scan: scan).look(source, target, &report)
        }
    }

    /// Reads both sides once more, and keeps the rows of the buckets that differ.
    private func differences(
        _ scan: MyScan, _ buckets: Set<Int>, _ source: MyConnection, _ target: PGConnection,
        _ report: inout MySQLReport
    ) throws {
        var rows: [UInt128: (key: String, cells: [UInt128], count: Int)] = [:]
        var found: [(key: String, kind: String, columns: [String])] = []
        let limit = 2_000_000
        var refusals = MyRefusals()
        _ = try scan.source(
            source, refusals: &refusals,
            watch: { _, summer, key in
                guard buckets.contains(summer.bucket), rows.count < limit else { return }
                rows[summer.keyHash, default: (key(), summer.cells, 0)].count += 1
            })
        var count: Int64 = 0
        func add(_ key: String, _ kind: String, _ columns: [String]) {
            count += 1
            if found.count < 100 { found.append((key, kind, columns)) }
        }
        _ = try scan.target(
            target,
            watch: { _, summer, key in
                guard buckets.contains(summer.bucket) else { return }
                guard let row = rows[summer.keyHash], row.count > 0 else { return add(key(), "extra", []) }
                rows[summer.keyHash]?.count -= 1
                guard row.cells != summer.cells else { return }
                let columns = scan.plan.columns.indices.filter { row.cells[$0] != summer.cells[$0] }
                add(row.key, "changed", columns.map { scan.plan.columns[$0].name })
            })
        for row in rows.values.sorted(by: { $0.key < $1.key }) where row.count > 0 {
            for _ in 0..<row.count { add(row.key, "missing", []) }
        }
        report.differenceCount += max(1, count)
        report.differences += found.map {
            MySQLDifference(table: scan.plan.source.name, key: $0.key, kind: $0.kind, columns: $0.columns)
        }
    }
}

/// Rows of both sides, side by side, as a person would look at them.
struct MySpots {
    let sides: MySides
    let scan: MyScan

    /// Names of columns whose values are nobody's to see.
    private static let secretive = ["password", "passwd", "secret", "token", "hash", "salt", "apikey", "api_key"]

    func look(_ source: MyConnection, _ target: PGConnection, _ report: inout MySQLReport) throws {
        let plan = scan.plan
        guard sides.move.spotChecks > 0, !plan.key.isEmpty, report.spots.count < 60 else { return }
        let rows = report.tables.last?.rows ?? 0
        guard rows > 0 else { return }
        // The first, the last, and one in between: along the key, so that no table is read whole for it.
        let key = plan.key.map { MyQuote.identifier(plan.columns[$0].source.name) }
        let columns = plan.columns.map(\.select).joined(separator: ", ")
        let from = "SELECT \(columns) FROM \(MyQuote.identifier(plan.source.name)) ORDER BY "
        let up = key.joined(separator: ", ")
        let down = key.map { "\($0) DESC" }.joined(separator: ", ")
        let count = sides.move.spotChecks
        var queries = ["\(from)\(down) LIMIT 1", "\(from)\(up) LIMIT 1"]
        if count > 2 {
            let step = min(rows, 10_000) / Int64(count - 1)
            queries += (1..<max(1, count - 1)).map { "\(from)\(up) LIMIT 1 OFFSET \(Int64($0) * step)" }
        }
        var seen: Set<String> = []
        for query in queries.prefix(count) {
            guard let spot = try one(query, source, target), seen.insert(spot.key).inserted else { continue }
            report.spots.append(spot)
            if !spot.isEqual { report.differenceCount = max(1, report.differenceCount) }
        }
    }

    private func one(_ query: String, _ source: MyConnection, _ target: PGConnection) throws -> MySQLSpot? {
        let plan = scan.plan
        var shown: [[UInt8]?] = []
        var canon: [[UInt8]?] = []
        var texts: [String] = []
        do {
            try source.stream(query) { row in
                var text: [UInt8] = []
                for (index, column) in plan.columns.enumerated() {
                    guard let cell = row[index] else {
                        shown.append(nil)
                        canon.append(nil)
                        texts.append("")
                        continue
                    }
                    var form: [UInt8] = []
                    let outcome = column.converter.convert(cell, canon: &form, text: &text)
                    shown.append(Array(cell))
                    canon.append(outcome == .null ? nil : form)
                    texts.append(String(decoding: outcome == .other ? text : form, as: UTF8.self))
                }
            }
        } catch let error as MyError { throw error.basculeError("looking at a row", at: .thing(source.place)) }
        guard shown.count == plan.columns.count else { return nil }
        // Compared as the type itself: a text beside it takes the type of the column.
        let condition = plan.key.map { place in
            "\(PGQuote.identifier(plan.columns[place].name)) = \(PGQuote.literal(texts[place]))"
        }.joined(separator: " AND ")
        var stored: [[UInt8]?] = []
        try target.unload(plan.copyOut(where: condition)) { chunk in
            var place = 0
            var cell: [UInt8] = []
            while place < chunk.count, stored.count < plan.columns.count {
                stored.append(MyScan.field(chunk, &place, into: &cell) ? nil : cell)
            }
        }
        let key = plan.key.map { "\(plan.columns[$0].source.name)=\(texts[$0])" }.joined(separator: ",")
        guard stored.count == plan.columns.count else {
            return MySQLSpot(table: plan.source.name, key: key, cells: [], isEqual: false)
        }
        var isEqual = true
        let cells = plan.columns.enumerated().map { index, column -> [String] in
            var form: [UInt8]?
            if let bytes = stored[index] {
                var out: [UInt8] = []
                bytes.withUnsafeBytes { column.converter.canonical(stored: $0, into: &out) }
                form = out
            }
            if form != canon[index] { isEqual = false }
            let name = column.name.lowercased()
            if Self.secretive.contains(where: { name.contains($0) }) {
                return [column.name, "‹masked›", form == canon[index] ? "‹equal›" : "‹different›"]
            }
            return [column.name, Self.text(shown[index]), Self.text(stored[index])]
        }
        return MySQLSpot(table: plan.source.name, key: key, cells: cells, isEqual: isEqual)
    }

    private static func text(_ bytes: [UInt8]?) -> String { bytes.map { MyText.shown($0) } ?? "NULL" }
}
