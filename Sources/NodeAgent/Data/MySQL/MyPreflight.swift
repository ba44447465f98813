import BasculeModel
import BasculeMySQL
import BasculePostgres

/// Looks at both sides and names what stands in the way. Changes nothing.
struct MyPreflight {
    let sides: MySides
    let source: MyConnection
    let target: PGConnection
    /// Whether to look for rows that others wrote to the target's tables: it reads these.
    var looksForOthers = true

    struct Prepared {
        var catalog: MyCatalog
        var plan: MyPlan
        var schema: MySchema
        var ledger: MyLedger?
        /// What others have written to the tables of an earlier copy.
        var written: MyWritten?
        /// SHA-256 of what the target is made from.
        var digest: String
    }

    func run() throws -> Prepared {
        let catalog = try sides.catalog(source)
        var plan = try MyPlanner(move: sides.move, catalog: catalog, target: target).plan()
        let ledger = try MyLedger.read(target, sides.move.name)
        if ledger != nil, plan.isMapped, try madeByUs() {
            // An earlier run made the tables: planned again as if they were not there.
            var anew = try MyPlanner(move: sides.move, catalog: catalog, target: target).plan(ignoring: true)
            anew.isMapped = false
            plan = anew
        }
        let users = sides.move.users
        let metadata = users.flatMap { users in users.metadata.map { (table: users.table, column: $0) } }
        let schema = MySchema(
            plan, schema: sides.move.schema, citext: try citext(plan), metadata: metadata)
        plan.findings += schema.findings
        plan.findings += transport() + things(catalog, plan)
        if ledger == nil { plan.findings += try occupied(plan) }
        let written = looksForOthers ? try ledger.map { try MyWritten(plan, $0, sides.move.name, target) } : nil
        if sides.afterOpen, let written { plan.findings += written.findings(plan) }
        plan.findings += try collisions(plan)
        if let users { plan.findings += try MyUserChecks(source: source, users: users, plan: plan).findings() }
        plan.findings = judged(plan.findings)
        let digest = try PGSchema.digest(
            catalog.text + "\(sides.move.rules.sorted { $0.key < $1.key })\(sides.move.schema)", target)
        return Prepared(catalog: catalog, plan: plan, schema: schema, ledger: ledger, written: written, digest: digest)
    }

    static func refusal(_ findings: [PostgresFinding]) -> BasculeError? {
        let refusing = findings.filter { $0.severity == .refuse }
        guard let first = refusing.first else { return nil }
        let list = refusing.prefix(20).map { "\($0.code) \($0.object): \($0.message)" }.joined(separator: "; ")
        return BasculeError(
            .moveRefused, "\(refusing.count) finding(s) refuse the move of the MySQL database", cause: list,
            hint: "\(first.hint) Or accept: [\(first.code)].")
    }

    private func madeByUs() throws -> Bool { try Ledger.value(target, "mysql/\(sides.move.name)/made") != nil }

    private func judged(_ findings: [PostgresFinding]) -> [PostgresFinding] {
        findings.map { finding in
            guard finding.severity == .refuse, sides.move.accept.contains(finding.code) else { return finding }
            var accepted = finding
            accepted.severity = .warn
            return accepted
        }
        .sorted { ($1.severity, $0.code, $0.object) < ($0.severity, $1.code, $1.object) }
    }

    private func citext(_ plan: MyPlan) throws -> String {
        let found = try target.query(
            """
            SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
            WHERE e.extname = 'citext'
            """
        ).scalar
        return "\(found ?? "public").citext"
    }

    private func transport() -> [PostgresFinding] {
        guard sides.address.isExposed else { return [] }
        return [
            PostgresFinding(
                sides.address.tls == .off ? "connection-readable" : "connection-unverified", .warn,
                sides.address.description,
                sides.address.tls == .off
                    ? "The address turns TLS off: data and password cross the network readable"
                    : "The address does not verify the server: whoever answers gets the password",
                hint: "Leave ?tls= out, and name the authority with ?ca=/FILE where it is your own.")
        ]
    }

    /// What is there and does not go over, by name.
    private func things(_ catalog: MyCatalog, _ plan: MyPlan) -> [PostgresFinding] {
        var findings = catalog.others.map { kind, name in
            PostgresFinding(
                "\(kind)-not-carried", plan.isMapped ? .warn : .refuse, name,
                "The \(kind) is written in MySQL's language and is not carried over",
                hint: "Write it anew for the target where the app needs it, then accept the finding.")
        }
        for table in catalog.tables {
            if !["InnoDB", "ROCKSDB", "RocksDB"].contains(table.engine) {
                findings.append(
                    PostgresFinding(
                        "not-in-the-snapshot", .warn, table.name,
                        "\(table.engine) has no transactions: the copy of a live table may mix moments",
                        hint: "Nothing: it is read again after the fence, and compared."))
            }
            if table.type == "SYSTEM VERSIONED" {
                findings.append(
                    PostgresFinding(
                        "history-not-carried", plan.isMapped ? .warn : .refuse, table.name,
                        "The table keeps the history of its rows; only the present ones go over",
                        hint: "Save the history elsewhere, then accept the finding."))
            }
            if table.isPartitioned {
                findings.append(
                    PostgresFinding(
                        "partitions-merged", .info, table.name, "The table's partitions become one table",
                        hint: "Partition it at the target where its size asks for it."))
            }
            for column in table.columns where column.touchesOnUpdate && !plan.isMapped {
                findings.append(
                    PostgresFinding(
                        "on-update-by-trigger", .info, "\(table.name).\(column.name)",
                        "ON UPDATE CURRENT_TIMESTAMP becomes a trigger", hint: "Nothing."))
            }
        }
        for table in plan.tables where table.key.isEmpty {
            findings.append(
                PostgresFinding(
                    "no-key", .warn, table.name, "Without a key differing rows cannot be named",
                    hint: "Give the table a primary key at the source."))
        }
        if plan.needsCitext, !plan.isMapped { findings += missingCitext() }
        return findings
    }

    private func missingCitext() -> [PostgresFinding] {
        let there = try? target.query("SELECT FROM pg_available_extensions WHERE name = 'citext'")
        guard there?.isEmpty ?? true else { return [] }
        return [
            PostgresFinding(
                "extension-missing", .refuse, "citext", "The target does not have the extension citext",
                hint: "Install the server's contrib package, or give the columns the rule varchar.")
        ]
    }

    /// A target's table with rows that we did not write is nobody's to fill.
    private func occupied(_ plan: MyPlan) throws -> [PostgresFinding] {
        var findings: [PostgresFinding] = []
        for table in plan.tables where table.exists {
            guard try !target.query("SELECT FROM \(table.quoted) LIMIT 1").isEmpty else { continue }
            findings.append(
                plan.refuse(
                    "target-not-empty", table.name, "The target's table already holds rows",
                    hint: "Empty it, or move into another schema or database."))
        }
        return findings
    }

    /// Rows that differ only by case where the target will not tell them apart.
    private func collisions(_ plan: MyPlan) throws -> [PostgresFinding] {
        var findings: [PostgresFinding] = []
        for table in plan.tables {
            for column in table.columns
            where column.target.base == "citext" && !column.source.ignoresCase && column.source.isText {
                let isUnique = table.source.indexes.contains {
                    $0.isUnique && $0.parts.map(\.column) == [column.source.name]
                }
                guard isUnique else { continue }
                let name = MyQuote.identifier(column.source.name)
                let rows = try source.query(
                    """
                    SELECT LOWER(\(name)), COUNT(*) FROM \(MyQuote.identifier(table.source.name))
                    WHERE \(name) IS NOT NULL GROUP BY LOWER(\(name)) HAVING COUNT(*) > 1 LIMIT 20
                    """)
                for row in rows {
                    findings.append(
                        plan.refuse(
                            "case-collision", "\(table.name).\(column.name)",
                            "\(row[1] ?? "") rows hold \(MyText.shown((row[0] ?? "").utf8)) in ways that differ by case",
                            hint: "Correct the rows, or rule varchar for the column."))
                }
            }
        }
        return findings
    }
}

/// The app's users, looked at as users.
struct MyUserChecks {
    let source: MyConnection
    let users: MySQLUsers
    let plan: MyPlan

    func findings() throws -> [PostgresFinding] {
        guard let table = plan.tables.first(where: { $0.source.name == users.table }) else {
            return [
                plan.refuse(
                    "users-table-missing", users.table, "The users' table is not among those that are moved",
                    hint: "Correct users.table in the fleet file.")
            ]
        }
        for column in [users.email, users.password].compactMap({ $0 }) where table.source.column(column) == nil {
            return [
                plan.refuse(
                    "users-column-missing", "\(users.table).\(column)", "The users' table has no such column",
                    hint: "Correct users in the fleet file.")
            ]
        }
        if let metadata = users.metadata, table.source.column(metadata) != nil {
            return [
                plan.refuse(
                    "users-metadata-taken", "\(users.table).\(metadata)",
                    "The source fills the column that is to say where a user came from",
                    hint: "Name another column under users.metadata.")
            ]
        }
        let (name, email) = (MyQuote.identifier(users.table), MyQuote.identifier(users.email))
        var findings: [PostgresFinding] = []
        let doubled = try source.query(
            """
            SELECT LOWER(TRIM(\(email))), COUNT(*) FROM \(name) WHERE \(email) <> ''
            GROUP BY LOWER(TRIM(\(email))) HAVING COUNT(*) > 1 LIMIT 20
            """)
        for row in doubled {
            findings.append(
                plan.refuse(
                    "users-collide", "\(users.table).\(users.email)",
                    "\(row[1] ?? "") users share the address \(MyText.shown((row[0] ?? "").utf8))",
                    hint: "Merge them at the source: a login by address would find either."))
        }
        let counts = try source.query(
            "SELECT COUNT(*), SUM(\(email) IS NULL OR \(email) NOT LIKE '%_@_%') FROM \(name)")
        let without = counts.first?[1].flatMap { Int($0) } ?? 0
        if without > 0 {
            findings.append(
                PostgresFinding(
                    "users-without-address", .warn, users.table, "\(without) users have no address to write to",
                    hint: "They get no message about the migration."))
        }
        if let password = users.password {
            let column = MyQuote.identifier(password)
            let kinds = try source.query(
                """
                SELECT CASE WHEN \(column) IS NULL OR \(column) = '' THEN 'none'
                    WHEN \(column) REGEXP '^[$]2[abxy][$]' THEN 'bcrypt' WHEN \(column) LIKE '$argon2%' THEN 'argon2'
                    WHEN \(column) LIKE '$6$%' THEN 'sha512-crypt' WHEN \(column) LIKE 'pbkdf2%' THEN 'pbkdf2'
                    WHEN \(column) REGEXP '^[0-9a-fA-F]{32}$' THEN 'md5' ELSE 'other' END AS kind, COUNT(*)
                FROM \(name) GROUP BY kind ORDER BY kind
                """
            ).map { "\($0[1] ?? "") \($0[0] ?? "")" }
            findings.append(
                PostgresFinding(
                    "users-passwords", .info, "\(users.table).\(password)",
                    "Password hashes: \(kinds.joined(separator: ", "))",
                    hint: "They go over as they are: logins go on where the new app checks that kind."))
        }
        return findings
    }
}
