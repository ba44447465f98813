import BasculeModel
import BasculeMySQL
import BasculePostgres

/// Makes the plan of a move from both catalogs and the rules. Changes nothing.
struct MyPlanner {
    let move: MySQLMove
    let catalog: MyCatalog
    let target: PGConnection

    /// `ignoring`: as if the target had no tables.
    func plan(ignoring: Bool = false) throws -> MyPlan {
        var plan = MyPlan()
        let rules = MyRules(move.rules)
        for name in rules.strangers(catalog.tables) {
            plan.findings.append(
                plan.refuse(
                    "rule-without-column", name, "A rule names a column that the source does not have",
                    hint: "Correct the name, or take the rule out."))
        }
        let there = try MyExisting(target, schema: ignoring ? "" : move.schema)
        var tables = catalog.tables.filter { table in
            guard MyPlan.bookkeeping.contains(table.name) else { return true }
            plan.findings.append(
                PostgresFinding(
                    "bookkeeping-left", .info, table.name,
                    "The table of a migration tool says what ran on MySQL, so it stays behind",
                    hint: "Nothing; the tool keeps its own at the target."))
            return false
        }
        tables.removeAll { table in
            let isNamed = table.name.utf8.count <= 63
            if !isNamed {
                plan.findings.append(
                    plan.refuse(
                        "name-too-long", table.name, "PostgreSQL's names have at most 63 bytes",
                        hint: "Rename the table at the source, or exclude it."))
            }
            return !isNamed
        }
        plan.isMapped = tables.contains { there.tables[$0.name] != nil }
        for table in tables { try add(table, &plan, rules, there) }
        if !plan.isMapped { unify(&plan) }
        plan.needsCitext =
            !plan.isMapped && plan.tables.contains { $0.columns.contains { $0.target.base == "citext" } }
        return plan
    }

    private func add(_ table: MyTable, _ plan: inout MyPlan, _ rules: MyRules, _ there: MyExisting) throws {
        let existing = there.tables[table.name]
        if plan.isMapped, existing == nil {
            plan.findings.append(
                plan.refuse(
                    "table-missing-at-target", table.name, "The app's own migrations did not make this table",
                    hint: "Exclude it, or let the app's migrations make it."))
            return
        }
        var columns: [MyColumnPlan] = []
        for column in table.columns {
            let rule = rules.rule(table: table.name, column)
            if rule.says("skip") {
                plan.findings.append(
                    PostgresFinding(
                        "column-left", .warn, "\(table.name).\(column.name)",
                        "The column stays behind, as the rule says",
                        hint: "Nothing, if that is meant."))
                continue
            }
            if let made = try self.column(column, of: table, rule, existing, &plan) { columns.append(made) }
        }
        if let existing { missing(existing, table, columns, &plan) }
        plan.tables.append(
            MyTablePlan(
                source: table, name: table.name,
                quoted: "\(PGQuote.identifier(move.schema)).\(PGQuote.identifier(table.name))", columns: columns,
                key: key(of: table, columns), exists: existing != nil))
    }

    private func column(
        _ column: MyColumn, of table: MyTable, _ rule: MyRule, _ existing: MyExisting.Table?, _ plan: inout MyPlan
    ) throws -> MyColumnPlan? {
        let shown = "\(table.name).\(column.name)"
        var target: MyTarget
        var isComputed = false
        var takesNull = column.isNullable
        if let existing {
            guard let found = existing.columns[column.name] else {
                plan.findings.append(
                    plan.refuse(
                        "column-missing-at-target", shown, "The app's own migrations did not make this column",
                        hint: "Rule skip leaves it behind; or let the app's migrations make it."))
                return nil
            }
            (target, isComputed, takesNull) = (found.type, found.isGenerated, found.takesNull)
        } else {
            guard column.name.utf8.count <= 63 else {
                plan.findings.append(
                    plan.refuse(
                        "name-too-long", shown, "PostgreSQL's names have at most 63 bytes",
                        hint: "Rename the column at the source, or rule skip."))
                return nil
            }
            guard let found = made(column, of: table, rule, &plan) else { return nil }
            target = found
            isComputed = column.isGenerated && !rule.says("plain")
        }
        guard let kind = MyFit.kind(column, target, rule) else {
            plan.findings.append(
                plan.refuse(
                    "type-does-not-fit", shown, "Values of \(column.columnType) do not go into \(target.ddl)",
                    hint: "Give the column a rule with a type that does."))
            return nil
        }
        if kind == .jsonb || column.isJSON, kind == .jsonb {
            plan.findings.append(
                PostgresFinding(
                    "json-by-value", .info, shown, "jsonb keeps values, not the order of keys nor spaces",
                    hint: "Rule text keeps the text."))
        }
        var made = MyColumnPlan(
            source: column, name: column.name, target: target, rule: rule,
            converter: try MyConverter(kind, rule: rule, takesNull: takesNull),
            select: MyFit.select(column, kind, rule), isComputed: isComputed)
        if isComputed, existing == nil {
            guard let expression = MyExpression.translate(column.generation, of: table) else {
                plan.findings.append(
                    plan.refuse(
                        "generated-not-translated", shown,
                        "The expression \(MyText.shown(column.generation.utf8)) has no translation",
                        hint: "Rule plain makes an ordinary column of it, with the values as they are."))
                return nil
            }
            made.expression = expression
        }
        return made
    }

    /// The type of a column in a table that we make.
    private func made(
        _ column: MyColumn, of table: MyTable, _ rule: MyRule, _ plan: inout MyPlan
    ) -> MyTarget? {
        let shown = "\(table.name).\(column.name)"
        guard var target = MyDefaults.target(column, rule) else {
            plan.findings.append(
                plan.refuse(
                    "type-unknown", shown, "\(column.columnType) has no type at the target",
                    hint: "Give the column a rule: wkt or wkb for spatial values, skip to leave it behind."))
            return nil
        }
        if target.base == "enum" {
            target.name =
                "\(PGQuote.identifier(move.schema)).\(PGQuote.identifier(MyNames.cut("\(table.name)_\(column.name)")))"
            let bad = target.labels.first { $0.utf8.count > 63 || $0.isEmpty }
            if bad != nil || target.labels.isEmpty {
                plan.findings.append(
                    plan.refuse(
                        "enum-label", shown, "A label is empty or longer than 63 bytes",
                        hint: "Rule text for the column."))
                return nil
            }
        }
        if rule.type == nil, column.ignoresCase, ["varchar", "bpchar", "text"].contains(target.base),
            table.indexes.contains(where: { index in
                index.isUnique && index.parts.contains { $0.column == column.name && $0.prefix == nil }
            })
        {
            target = MyTarget("citext")
            plan.findings.append(
                PostgresFinding(
                    "case-insensitive-key", .info, shown,
                    "\(column.collation) takes A and a for equal in a unique index, so the column becomes citext",
                    hint: "Rule varchar or text makes its letters count."))
        }
        return target
    }

    /// What the target demands and the source does not give.
    private func missing(
        _ existing: MyExisting.Table, _ table: MyTable, _ columns: [MyColumnPlan], _ plan: inout MyPlan
    ) {
        if let users = move.users, users.table == table.name, let metadata = users.metadata,
            existing.columns[metadata]?.type.base != "jsonb"
        {
            plan.findings.append(
                plan.refuse(
                    "users-metadata-missing", "\(table.name).\(metadata)",
                    "The target has no such column of type jsonb", hint: "Add it, or leave users.metadata out."))
        }
        let given = Set(columns.map(\.name))
        for (name, column) in existing.columns.sorted(by: { $0.key < $1.key })
        where !given.contains(name) && !column.takesNull && !column.hasDefault && !column.isGenerated
            && table.column(name) == nil && name != (move.users?.table == table.name ? move.users?.metadata : nil)
        {
            plan.findings.append(
                plan.refuse(
                    "column-missing-at-source", "\(table.name).\(name)",
                    "The target wants a value that the source does not have",
                    hint: "Give the target's column a default, or let it take NULL."))
        }
    }

    private func key(of table: MyTable, _ columns: [MyColumnPlan]) -> [Int] {
        let unique = ([table.primary].compactMap { $0 } + table.indexes.filter { $0.isUnique && $0.name != "PRIMARY" })
        for index in unique {
            let places = index.parts.compactMap { part in
                columns.firstIndex { $0.source.name == part.column && part.prefix == nil && !$0.source.isNullable }
            }
            if places.count == index.parts.count, !places.isEmpty { return places }
        }
        return []
    }

    /// Both ends of a foreign key have one type.
    private func unify(_ plan: inout MyPlan) {
        let places = Dictionary(uniqueKeysWithValues: plan.tables.enumerated().map { ($1.source.name, $0) })
        for _ in 0..<8 {
            var changed = false
            for (child, table) in plan.tables.enumerated() {
                for key in table.source.foreignKeys {
                    guard let parent = places[key.table] else { continue }
                    for (from, to) in zip(key.columns, key.targets) {
                        guard let one = table.columns.firstIndex(where: { $0.source.name == from }),
                            let other = plan.tables[parent].columns.firstIndex(where: { $0.source.name == to })
                        else { continue }
                        let wanted = plan.tables[parent].columns[other].target
                        let column = plan.tables[child].columns[one]
                        guard column.target != wanted, column.rule.type == nil,
                            let kind = MyFit.kind(column.source, wanted, column.rule),
                            let converter = try? MyConverter(
                                kind, rule: column.rule, takesNull: column.source.isNullable)
                        else { continue }
                        plan.tables[child].columns[one].target = wanted
                        plan.tables[child].columns[one].converter = converter
                        plan.tables[child].columns[one].select = MyFit.select(column.source, kind, column.rule)
                        changed = true
                    }
                }
            }
            if !changed { return }
        }
    }
}

/// Names that we make.
enum MyNames {
    /// At most 63 bytes, never in the middle of a character.
    static func cut(_ name: String) -> String {
        var text = name
        while text.utf8.count > 63 { text.removeLast() }
        return text
    }
}

/// The tables that the target's schema has already.
struct MyExisting {
    struct Column {
        var type: MyTarget
        var takesNull: Bool
        var hasDefault: Bool
        var isGenerated: Bool
    }
    struct Table { var columns: [String: Column] }
    var tables: [String: Table] = [:]

    init(_ target: PGConnection, schema: String) throws {
        let rows: PGRows
        do throws(PGError) {
            rows = try target.query(
                """
                SELECT c.relname, a.attname, CASE WHEN t.typtype = 'e' THEN 'enum' ELSE t.typname END, a.atttypmod,
                    a.attnotnull, a.atthasdef OR a.attidentity <> '', a.attgenerated <> '',
                    format_type(a.atttypid, NULL),
                    (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                    JOIN pg_type t ON t.oid = a.atttypid
                WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
                """, [schema])
        } catch { throw error.basculeError("reading the target's tables") }
        for row in rows.rows {
            let base = row[2] ?? ""
            let modifier = Int(row[3] ?? "") ?? -1
            var type = MyTarget(base)
            switch base {
            case "varchar", "bpchar": type.length = modifier >= 4 ? modifier - 4 : (base == "bpchar" ? 1 : nil)
            case "bit", "varbit", "timestamp", "timestamptz", "time": type.length = modifier >= 0 ? modifier : nil
            case "numeric" where modifier >= 4:
                type.length = (modifier - 4) >> 16 & 0xFFFF
                type.scale = (modifier - 4) & 0x7FF
            case "enum":
                type.name = row[7] ?? ""
                type.labels = JSONNames.decode(row[8] ?? "[]")
            default: break
            }
            tables[row[0] ?? "", default: Table(columns: [:])].columns[row[1] ?? ""] = Column(
                type: type, takesNull: row[4] != "t", hasDefault: row[5] == "t", isGenerated: row[6] == "t")
        }
    }
}
