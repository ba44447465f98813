import BasculeCrypto
import BasculeModel
import BasculeMySQL
import BasculePostgres

/// Compares both sides, each from its own text, and changes neither.
struct MyVerify {
    let sides: MySides

    /// With `fromSync` the source's sums are those that sync took under the fence. With `only` one table is compared, and
    /// `limit` rows that differ are shown.
    func run(fromSync: Bool, only: String? = nil, limit: Int = 0) throws -> MySQLReport {
        let target = try sides.target.admin()
        let source = try sides.snapshot()
        let prepared = try MyPreflight(sides: sides, source: source, target: target, looksForOthers: false).run()
        var report = MySQLReport()
        report.findings = prepared.plan.findings.filter { $0.severity == .refuse && $0.code.hasSuffix("-at-target") }
        report.snapshot = MySides.snapshotText
        try target.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        defer { _ = try? target.query("ROLLBACK") }
        let known = fromSync ? prepared.ledger.flatMap { $0.isFenced ? $0 : nil } : nil
        var plan = prepared.plan
        if let only { plan.tables = [try find(only, plan.tables)] }
        try compare(plan, ledger: known, source: source, target: target, limit: limit, into: &report)
        return report
    }

    private func find(_ name: String, _ tables: [MyTablePlan]) throws -> MyTablePlan {
        if let table = tables.first(where: { [$0.source.name, $0.quoted].contains(name) })
            ?? tables.first(where: { [$0.name, "\(sides.move.schema).\($0.name)"].contains(name) })
        {
            return table
        }
        throw BasculeError(
            .invalidInput, "The source has no table \(name) that is moved",
            hint: "It has: \(tables.prefix(20).map(\.source.name).joined(separator: ", ")).")
    }

    /// Counts, checksums of every column, the rows that differ, and rows side by side.
    func compare(
        _ plan: MyPlan, ledger: MyLedger?, source: MyConnection, target: PGConnection, limit: Int = 0,
        into report: inout MySQLReport
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
                try differences(scan, one.differing(other), source, target, limit, &report)
            }
            try MySpots(sides: sides, scan: scan).look(source, target, &report)
        }
    }

    /// Reads both sides once more, and keeps the rows of the buckets that differ.
    private func differences(
        _ scan: MyScan, _ buckets: Set<Int>, _ source: MyConnection, _ target: PGConnection, _ limit: Int,
        _ report: inout MySQLReport
    ) throws {
        var rows: [UInt128: (key: String, cells: [UInt128], count: Int)] = [:]
        var found: [(key: String, kind: String, columns: [String], hash: UInt128)] = []
        let (most, shown) = (2_000_000, max(100, limit))
        var refusals = MyRefusals()
        _ = try scan.source(
            source, refusals: &refusals,
            watch: { _, summer, key in
                guard buckets.contains(summer.bucket), rows.count < most else { return }
                rows[summer.keyHash, default: (key(), summer.cells, 0)].count += 1
            })
        var count: Int64 = 0
        func add(_ key: String, _ kind: String, _ columns: [String], _ hash: UInt128) {
            count += 1
            if found.count < shown { found.append((key, kind, columns, hash)) }
        }
        _ = try scan.target(
            target,
            watch: { _, summer, key in
                guard buckets.contains(summer.bucket) else { return }
                guard let row = rows[summer.keyHash], row.count > 0 else {
                    return add(key(), "extra", [], summer.keyHash)
                }
                rows[summer.keyHash]?.count -= 1
                guard row.cells != summer.cells else { return }
                let columns = scan.plan.columns.indices.filter { row.cells[$0] != summer.cells[$0] }
                add(row.key, "changed", columns.map { scan.plan.columns[$0].name }, summer.keyHash)
            })
        for (hash, row) in rows.sorted(by: { $0.value.key < $1.value.key }) where row.count > 0 {
            for _ in 0..<row.count { add(row.key, "missing", [], hash) }
        }
        report.differenceCount += max(1, count)
        report.differences += found.map {
            MySQLDifference(table: scan.plan.source.name, key: $0.key, kind: $0.kind, columns: $0.columns)
        }
        guard limit > 0 else { return }
        // Read once more, so that no more rows than are shown are ever held.
        let wanted = Set(found.prefix(limit).map(\.hash))
        let left = try values(scan, wanted) { _ = try scan.source(source, refusals: &refusals, watch: $0) }
        let right = try values(scan, wanted) { _ = try scan.target(target, watch: $0) }
        report.spots += found.prefix(limit).map { item in
            let (one, other) = (left[item.hash], right[item.hash])
            let cells = scan.plan.columns.enumerated().compactMap { index, column -> [String]? in
                guard item.kind != "changed" || one?[index] != other?[index] else { return nil }
                return [column.name, Self.shown(one, index, column.name), Self.shown(other, index, column.name)]
            }
            return MySQLSpot(table: scan.plan.source.name, key: item.key, cells: cells, isEqual: false)
        }
    }

    private static func shown(_ row: [[UInt8]?]?, _ index: Int, _ column: String) -> String {
        guard let row else { return "‹no row›" }
        return MySpots.isSecretive(column) && row[index] != nil ? "‹masked›" : MySpots.text(row[index])
    }

    /// The rows with these keys, in canonical form.
    private func values(
        _ scan: MyScan, _ wanted: Set<UInt128>, _ read: (@escaping MyRowWatcher) throws -> Void
    ) throws -> [UInt128: [[UInt8]?]] {
        var rows: [UInt128: [[UInt8]?]] = [:]
        try read { row, summer, _ in
            guard wanted.contains(summer.keyHash) else { return }
            rows[summer.keyHash] = scan.plan.columns.indices.map {
                row.isNull($0) ? nil : Array(row.bytes[row.cell($0)])
            }
        }
        return rows
    }
}

/// Rows of both sides, side by side, as a person would look at them.
struct MySpots {
    let sides: MySides
    let scan: MyScan

    /// Names of columns whose values are nobody's to see.
    private static let secretive = ["password", "passwd", "secret", "token", "hash", "salt", "apikey", "api_key"]

    static func isSecretive(_ column: String) -> Bool {
        let name = column.lowercased()
        return secretive.contains { name.contains($0) }
    }

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
            if Self.isSecretive(column.name) {
                return [column.name, "‹masked›", form == canon[index] ? "‹equal›" : "‹different›"]
            }
            return [column.name, Self.text(shown[index]), Self.text(stored[index])]
        }
        return MySQLSpot(table: plan.source.name, key: key, cells: cells, isEqual: isEqual)
    }

    static func text(_ bytes: [UInt8]?) -> String { bytes.map { MyText.shown($0) } ?? "NULL" }
}
