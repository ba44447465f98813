import BasculeCrypto
import BasculeModel
import BasculeMySQL
import BasculePostgres

/// Schema, rows, keys and marks in one transaction of the target: there wholly or not at all, whatever is killed.
struct MyCopy {
    let sides: MySides
    /// The same with all data and a comparison, and then rolled back.
    let isDryRun: Bool

    func run() throws -> MySQLReport {
        let admin = try sides.target.admin()
        let source = try sides.snapshot()
        let prepared = try MyPreflight(sides: sides, source: source, target: admin).run()
        if let refusal = MyPreflight.refusal(prepared.plan.findings) { throw refusal }
        if let ledger = prepared.ledger, !isDryRun {
            guard ledger.schema == prepared.digest else { throw PGSchema.changed(sides.target.move) }
            // Copied before: what has changed since is brought, so that less is left for the fence.
            return try MySync(sides: sides).run(prepared, ledger, source: source, admin: admin, isFenced: false)
        }
        if !isDryRun { try Ledger.prepare(admin, owner: sides.move.owner) }
        let login = try LoadingRole.prepare(sides.target, admin: admin)
        defer {
            login.retire(admin)
            if isDryRun { try? LoadingRole.drop(admin) }
        }
        let madeCitext = try prepare(admin, prepared.plan)
        defer { if isDryRun, madeCitext { _ = try? admin.query("DROP EXTENSION IF EXISTS citext") } }
        let loader = try sides.target.loading(as: login)
        try loader.query("BEGIN")
        do {
            let report = try load(prepared, source, loader)
            try loader.query("SET LOCAL synchronous_commit = on")
            try loader.query(isDryRun ? "ROLLBACK" : "COMMIT")
            return report
        } catch {
            _ = try? loader.query("ROLLBACK")
            throw error
        }
    }

    /// By the superuser: the schema and the extension; only names travel here, quoted by us. True where it made citext.
    private func prepare(_ admin: PGConnection, _ plan: MyPlan) throws -> Bool {
        try admin.query("SET client_min_messages = error")
        let (schema, owner) = (PGQuote.identifier(sides.move.schema), PGQuote.identifier(sides.move.owner))
        if try admin.query("SELECT FROM pg_namespace WHERE nspname = $1", [sides.move.schema]).isEmpty {
            try admin.query("CREATE SCHEMA \(schema) AUTHORIZATION \(owner)")
        } else if !plan.isMapped {
            try admin.query("GRANT USAGE, CREATE ON SCHEMA \(schema) TO \(owner)")
        }
        guard plan.needsCitext, try admin.query("SELECT FROM pg_extension WHERE extname = 'citext'").isEmpty else {
            return false
        }
        try admin.query("CREATE EXTENSION citext SCHEMA public")
        return true
    }

    private func load(
        _ prepared: MyPreflight.Prepared, _ source: MyConnection, _ loader: PGConnection
    ) throws -> MySQLReport {
        let plan = prepared.plan
        var report = MySQLReport()
        report.findings = plan.findings
        report.snapshot = MySides.snapshotText
        let since =
            try loader.query("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')").scalar ?? ""
        var ledger = MyLedger(schema: prepared.digest, since: since)
        ledger.began = MySides.clock(source)
        sides.report.say("schema")
        for statement in prepared.schema.before { try MyBuild.run(loader, statement) }
        var refusals = MyRefusals()
        for table in plan.tables {
            let started = MoveClock.now()
            let loading = MyTableLoad(sides: sides, source: source, loader: loader, ledger: ledger)
            let (sum, bytes, ranges) = try loading.run(table, &refusals)
            ledger.set(table.source.name, sum, ranges)
            report.tables.append(
                MySQLTableReport(
                    table: table.source.name, target: table.quoted, rows: sum.rows, bytes: bytes,
                    columns: zip(table.columns, sum.texts).map { MySQLColumnSum(column: $0.name, source: $1) },
                    seconds: MoveClock.now() - started))
        }
        try MyRows.refuse(refusals)
        sides.report.say("index")
        for statement in prepared.schema.after { try MyBuild.run(loader, statement) }
        try MyBuild.foreignKeys(prepared, loader, &report)
        try MyBuild.sequences(plan, loader)
        for table in plan.tables { try loader.analyze(table.quoted) }
        if isDryRun {
            try MyVerify(sides: sides).compare(plan, ledger: ledger, source: source, target: loader, into: &report)
        } else {
            ledger.seconds = report.tables.reduce(0) { $0 + $1.seconds }
            report.again = ledger.again
            try ledger.write(loader, sides.move.name)
            if !plan.isMapped { try Ledger.set(loader, "mysql/\(sides.move.name)/made", "yes") }
        }
        return report
    }
}

/// One table into the open transaction.
struct MyTableLoad {
    let sides: MySides
    let source: MyConnection
    let loader: PGConnection
    let ledger: MyLedger

    /// After the first refused value of any table nothing is sent any more: the transaction is lost, and the rest is
    /// looked at for the list.
    func run(_ table: MyTablePlan, _ refusals: inout MyRefusals) throws -> (MyTableSum, Int64, MyRangeSums?) {
        let scan = MyScan(plan: table, hash: ledger.hash, report: sides.report)
        guard refusals.count == 0 else {
            let (sum, bytes) = try scan.source(source, refusals: &refusals)
            return (sum, bytes, nil)
        }
        let (names, extra) = users(table)
        let ranges = table.rangeColumn.map { MyRangeTaker(column: $0) }
        var result = (sum: MyTableSum(columns: 0), bytes: Int64(0))
        do {
            _ = try loader.load(table.copyIn(extra: names)) { send in
                result = try scan.source(source, refusals: &refusals, extra: extra, ranges: ranges, sink: send)
                if refusals.count > 0 { throw MyRefused() }
            }
        } catch is MyRefused {
            return (result.sum, result.bytes, nil)
        } catch let error as PGError { throw Self.refused(table, error) }
        return (result.sum, result.bytes, ranges?.sums)
    }

    /// Only the ranges of keys that are not as they were.
    func replace(
        _ table: MyTablePlan, column: Int, old: MyRangeSums, touched: [Int64], _ refusals: inout MyRefusals
    ) throws -> (sum: MyTableSum, writer: MyRangeWriter) {
        let scan = MyScan(plan: table, hash: ledger.hash, report: sides.report)
        let (names, extra) = users(table)
        let writer = MyRangeWriter(
            table, column: column, loader, copy: table.copyIn(extra: names), old: old, touched: touched)
        writer.isLost = refusals.count > 0
        try loader.query("SAVEPOINT ranges")
        do {
            let sum = try scan.source(source, refusals: &refusals, extra: extra, ranges: writer).sum
            try writer.end()
            if writer.hasCollided { try loader.query("ROLLBACK TO SAVEPOINT ranges") }
            return (sum, writer)
        } catch let error as PGError { throw Self.refused(table, error) }
    }

    private func users(_ table: MyTablePlan) -> (String?, ((String) -> [UInt8])?) {
        let users = sides.move.users.flatMap { $0.table == table.source.name ? $0 : nil }
        return (users?.metadata, users?.metadata.map { _ in { key in metadata(key) } })
    }

    private static func refused(_ table: MyTablePlan, _ error: PGError) -> BasculeError {
        BasculeError(
            .rowRefused, "The target does not take a row of \(table.source.name)", at: .thing(table.quoted),
            cause: "SQLSTATE \(error.state): \(error.message)\(error.detail.map { " (\($0))" } ?? "")"
                + (error.context.map { " [\($0)]" } ?? ""),
            hint: "Correct the row at the source, or the rule of the target that it breaks; nothing was kept.")
    }

    private func metadata(_ key: String) -> [UInt8] {
        let id = key.split(separator: "=", maxSplits: 1).last.map(String.init) ?? ""
        var text = ""
        for scalar in id.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { text += "\\" }
            text.unicodeScalars.append(scalar)
        }
        return Array(
            "{\"migratedFrom\":\"mysql:\(sides.move.name)\",\"migratedId\":\"\(text)\",\"migratedAt\":\"\(ledger.since)\"}"
                .utf8)
    }
}

/// A value was refused; which one stands in the list.
struct MyRefused: Error {}

enum MyRows {
    /// Every value that cannot be stored, by table, key and column.
    static func refuse(_ refusals: MyRefusals) throws {
        guard refusals.count > 0 else { return }
        let reasons = Set(refusals.first.map(\.reason)).sorted()
        let hints = reasons.compactMap { word in MyReason(rawValue: word).map { "\(word): \($0.hint)" } }
        let more = refusals.count - Int64(refusals.first.count)
        throw BasculeError(
            .rowRefused, "\(refusals.count) value(s) cannot be stored; nothing was kept",
            cause: refusals.first.map(\.line).joined(separator: "; ") + (more > 0 ? "; and \(more) more" : ""),
            hint: hints.joined(separator: ". "))
    }
}

enum MyBuild {
    static func run(_ loader: PGConnection, _ statement: (name: String, sql: String)) throws {
        do { try loader.query(statement.sql) } catch {
            throw error.basculeError(
                "building", at: .thing(statement.name),
                hint: error.state == "23505"
                    ? "Rows that MySQL told apart are equal here: correct them, or give the column another rule."
                    : error.state == "42P17" || error.state == "42883"
                        ? "Give the column the rule plain, or accept that the check is left out." : nil)
        }
    }

    /// Foreign keys are added unchecked, every row without its parent is named, and only then are they validated.
    static func foreignKeys(
        _ prepared: MyPreflight.Prepared, _ loader: PGConnection, _ report: inout MySQLReport
    ) throws {
        for key in prepared.schema.foreignKeys { try run(loader, (key.name, key.sql)) }
        let names = prepared.plan.tables.map(\.quoted)
        let orphans = try MyOrphans(loader: loader).find(names)
        if orphans.count > 0 {
            throw BasculeError(
                .rowRefused, "\(orphans.count) row(s) refer to rows that do not exist; nothing was kept",
                cause: orphans.lines.joined(separator: "; "),
                hint: "Correct them at the source, or drop the key there; MySQL keeps such rows where checks were off.")
        }
        for key in prepared.schema.foreignKeys {
            try run(
                loader,
                (key.name, "ALTER TABLE ONLY \(key.table) VALIDATE CONSTRAINT \(PGQuote.identifier(key.name))"))
        }
    }

    /// Every counter goes on behind the source's next value and behind the largest one that is there.
    static func sequences(_ plan: MyPlan, _ loader: PGConnection) throws {
        for table in plan.tables {
            for column in table.columns where column.source.countsByItself {
                let name = PGQuote.identifier(column.name)
                do throws(PGError) {
                    guard
                        let sequence = try loader.query(
                            "SELECT pg_get_serial_sequence($1, $2)", [table.quoted, column.name]
                        ).scalar
                    else { continue }
                    let next = try loader.query(
                        "SELECT greatest(coalesce(max(\(name)), 0)::numeric + 1, $1::numeric, 1) FROM \(table.quoted)",
                        ["\(table.source.nextValue ?? 1)"]
                    ).scalar
                    try loader.query("ALTER SEQUENCE \(sequence) RESTART WITH \(next ?? "1")")
                } catch {
                    throw error.basculeError("setting the next value", at: .thing("\(table.name).\(column.name)"))
                }
            }
        }
    }
}

/// Rows that refer to nothing, by the target's own foreign keys.
struct MyOrphans {
    let loader: PGConnection

    func find(_ tables: [String]) throws -> (count: Int64, lines: [String]) {
        // Operators of extension types (citext) live where the extension does.
        try loader.query("SET LOCAL search_path = pg_catalog, public, pg_temp")
        let keys = try loader.query(
            """
            SELECT c.conname, c.conrelid::regclass::text, c.confrelid::regclass::text,
                (SELECT json_agg(quote_ident(a.attname) ORDER BY k.ord) FROM unnest(c.conkey) WITH ORDINALITY k(n, ord)
                    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n),
                (SELECT json_agg(quote_ident(a.attname) ORDER BY k.ord) FROM unnest(c.confkey) WITH ORDINALITY k(n, ord)
                    JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n)
            FROM pg_constraint c WHERE c.contype = 'f' AND c.conparentid = 0
                AND c.conrelid = ANY ($1::text[]::regclass[]) ORDER BY 2, 1
            """, [PGQuote.array(tables)])
        var (count, lines): (Int64, [String]) = (0, [])
        for row in keys.rows {
            let (own, other) = (JSONNames.decode(row[3] ?? ""), JSONNames.decode(row[4] ?? ""))
            let condition = zip(own, other).map { "c.\($0) = p.\($1)" }.joined(separator: " AND ")
            let present = own.map { "c.\($0) IS NOT NULL" }.joined(separator: " AND ")
            let shown = own.map { "c.\($0)::text" }.joined(separator: ", ")
            let found = try loader.query(
                """
                SELECT count(*) OVER (), concat_ws(',', \(shown)) FROM ONLY \(row[1] ?? "") c
                WHERE \(present) AND NOT EXISTS (SELECT FROM \(row[2] ?? "") p WHERE \(condition)) LIMIT 20
                """)
            guard let first = found.rows.first else { continue }
            count += Int64(first[0] ?? "") ?? 0
            lines += found.rows.map { orphan in
                "\(row[1] ?? "") (\(own.joined(separator: ","))) = \(MyText.shown((orphan[1] ?? "").utf8)): no row of "
                    + "\(row[2] ?? "") [\(row[0] ?? "")]"
            }
        }
        try loader.query("SET LOCAL search_path = pg_catalog, pg_temp")
        return (count, lines)
    }
}
