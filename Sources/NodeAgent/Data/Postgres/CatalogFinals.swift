import BasculeModel
import BasculePostgres

/// Reads what comes after rows and constraints: statistics, rules, triggers, policies, comments, grants.
struct CatalogFinals {
    let connection: PGConnection
    let schemas: [String]
    let targetRoles: Set<String>
    private var parameter: [String?] { [PGQuote.array(schemas)] }

    func all(tables: [PGTable]) throws -> (objects: [LateObject], findings: [FindingDraft]) {
        var findings: [FindingDraft] = []
        var objects = try single(
            """
            SELECT 'statistics ' || quote_ident(n.nspname) || '.' || quote_ident(s.stxname),
                pg_get_statisticsobjdef(s.oid)
            FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE n.nspname = ANY ($1::text[])
            """)
        objects += try single(
            """
            SELECT 'rule ' || quote_ident(r.rulename) || ' on ' || c.oid::regclass::text, pg_get_ruledef(r.oid)
            FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE r.rulename <> '_RETURN' AND c.relkind IN ('r', 'p', 'v') AND n.nspname = ANY ($1::text[])
                AND \(CatalogTables.notOfExtension("pg_class", "c.oid"))
            """)
        objects += try triggers()
        let policies = try self.policies()
        objects += policies.objects
        findings += policies.findings
        for table in tables {
            if table.rowSecurity {
                objects.append(
                    LateObject(
                        name: "row security of \(table.quoted)",
                        sql: ["ALTER TABLE \(table.quoted) ENABLE ROW LEVEL SECURITY"]))
            }
            if table.forcedRowSecurity {
                objects.append(
                    LateObject(
                        name: "forced row security of \(table.quoted)",
                        sql: ["ALTER TABLE \(table.quoted) FORCE ROW LEVEL SECURITY"]))
            }
        }
        objects += try comments()
        let grants = try CatalogGrants(connection: connection, schemas: schemas, targetRoles: targetRoles).all()
        return (objects + grants.objects, findings + grants.findings)
    }

    private func single(_ sql: String) throws -> [LateObject] {
        try connection.query(sql, parameter).rows.map { LateObject(name: $0[0] ?? "", sql: [$0[1] ?? ""]) }
    }

    private func triggers() throws -> [LateObject] {
        let cloned = connection.majorVersion >= 13 ? "AND g.tgparentid = 0" : ""
        return try connection.query(
            """
            SELECT quote_ident(g.tgname), quote_ident(n.nspname) || '.' || quote_ident(c.relname),
                pg_get_triggerdef(g.oid), g.tgenabled, c.relkind
            FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE NOT g.tgisinternal \(cloned) AND n.nspname = ANY ($1::text[])
                AND \(CatalogTables.notOfExtension("pg_class", "c.oid"))
            ORDER BY n.nspname, c.relname, g.tgname
            """, parameter
        ).rows.map { row in
            let name = row[0] ?? ""
            let table = row[1] ?? ""
            var sql = [row[2] ?? ""]
            let states = ["D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"]
            if row[4] != "v", let state = states[row[3] ?? ""] {
                sql.append("ALTER TABLE \(table) \(state) TRIGGER \(name)")
            }
            return LateObject(name: "trigger \(name) on \(table)", sql: sql)
        }
    }

    private func policies() throws -> (objects: [LateObject], findings: [FindingDraft]) {
        let rows = try connection.query(
            """
            SELECT quote_ident(p.polname), quote_ident(n.nspname) || '.' || quote_ident(c.relname), p.polpermissive,
                p.polcmd, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
                0 = ANY (p.polroles),
                (SELECT coalesce(json_agg(r.rolname ORDER BY r.rolname), '[]')::text FROM pg_roles r
                    WHERE r.oid = ANY (p.polroles))
            FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = ANY ($1::text[]) ORDER BY n.nspname, c.relname, p.polname
            """, parameter)
        var objects: [LateObject] = []
        var findings: [FindingDraft] = []
        let commands = ["r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE", "*": "ALL"]
        for row in rows.rows {
            let name = "\(row[0] ?? "") on \(row[1] ?? "")"
            var roles = ["PUBLIC"]
            if row[6] != "t" {
                let named = JSONNames.decode(row[7] ?? "[]")
                roles = named.filter(targetRoles.contains).map { PGQuote.identifier($0) }
                let absent = named.filter { !targetRoles.contains($0) }
                if !absent.isEmpty {
                    findings.append(
                        FindingDraft(
                            "role-missing", .warn, "policy \(name)",
                            "The policy is for roles that the target lacks: \(absent.joined(separator: ", "))",
                            hint: "Create these roles on the target before the copy if anything uses them."))
                }
                // A policy for nobody lets nobody in and keeps nobody out: leaving it away changes nothing.
                guard !roles.isEmpty else { continue }
            }
            var sql = "CREATE POLICY \(name) AS \(row[2] == "t" ? "PERMISSIVE" : "RESTRICTIVE")"
            sql += " FOR \(commands[row[3] ?? "*"] ?? "ALL") TO \(roles.joined(separator: ", "))"
            if let qualification = row[4] { sql += " USING (\(qualification))" }
            if let check = row[5] { sql += " WITH CHECK (\(check))" }
            objects.append(LateObject(name: "policy \(name)", sql: [sql]))
        }
        return (objects, findings)
    }

    private func comments() throws -> [LateObject] {
        let rows = try connection.query(
            """
            SELECT i.type, i.identity, d.description FROM pg_description d
                CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
            WHERE d.objoid >= 16384 AND (i.schema = ANY
                (SELECT quote_ident(s) FROM unnest($1::text[]) s) OR (i.type = 'schema' AND i.name = ANY
                (SELECT quote_ident(s) FROM unnest($1::text[]) s))
                OR i.type IN ('table constraint', 'trigger', 'policy', 'rule', 'domain constraint', 'table column',
                    'view column', 'materialized view column', 'composite type column'))
                AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid
                    AND e.deptype = 'e')
            ORDER BY i.type, i.identity
            """, parameter)
        let words = [
            "table": "TABLE", "table column": "COLUMN", "view": "VIEW", "view column": "COLUMN",
            "materialized view": "MATERIALIZED VIEW", "materialized view column": "COLUMN", "index": "INDEX",
            "sequence": "SEQUENCE", "schema": "SCHEMA", "type": "TYPE", "composite type": "TYPE",
            "composite type column": "COLUMN", "function": "FUNCTION", "procedure": "PROCEDURE",
            "table constraint": "CONSTRAINT", "trigger": "TRIGGER", "policy": "POLICY", "rule": "RULE",
            "statistics object": "STATISTICS",
        ]
        return rows.rows.compactMap { row in
            let type = row[0] ?? ""
            var identity = row[1] ?? ""
            // "c on schema.domain" lacks the word that COMMENT wants.
            if type == "domain constraint", let on = identity.range(of: " on ") {
                identity = "\(identity[..<on.lowerBound]) ON DOMAIN \(identity[on.upperBound...])"
            }
            guard let word = type == "domain constraint" ? "CONSTRAINT" : words[type] else { return nil }
            return LateObject(
                name: "comment on \(type) \(identity)",
                sql: ["COMMENT ON \(word) \(identity) IS \(PGQuote.literal(row[2] ?? ""))"])
        }
    }
}

extension String {
    /// The first place where `text` stands.
    fileprivate func range(of text: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
