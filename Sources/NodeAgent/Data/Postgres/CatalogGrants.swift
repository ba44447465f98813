import BasculeModel
import BasculePostgres

/// Reads grants and turns them into statements for the roles that the target has.
struct CatalogGrants {
    let connection: PGConnection
    let schemas: [String]
    let targetRoles: Set<String>

    func all() throws -> (objects: [LateObject], findings: [FindingDraft]) {
        let rows = try connection.query(
            """
            WITH items AS (
                SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS word,
                    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, '' AS part, c.relowner AS owner,
                    c.relacl AS acl
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.nspname = ANY ($1::text[])
                    AND \(CatalogTables.notOfExtension("pg_class", "c.oid"))
                UNION ALL
                SELECT 'TABLE', quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(a.attname),
                    c.relowner, a.attacl
                FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm')
                    AND n.nspname = ANY ($1::text[]) AND \(CatalogTables.notOfExtension("pg_class", "c.oid"))
                UNION ALL
                SELECT 'SCHEMA', quote_ident(n.nspname), '', n.nspowner, n.nspacl FROM pg_namespace n
                WHERE n.nspname = ANY ($1::text[]) AND n.nspname <> 'public'
                UNION ALL
                SELECT 'ROUTINE', p.oid::regprocedure::text, '', p.proowner, p.proacl
                FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
                WHERE p.prokind IN ('f', 'p', 'w') AND l.lanname IN ('sql', 'plpgsql')
                    AND n.nspname = ANY ($1::text[]) AND \(CatalogTables.notOfExtension("pg_proc", "p.oid"))
                UNION ALL
                SELECT 'TYPE', quote_ident(n.nspname) || '.' || quote_ident(t.typname), '', t.typowner, t.typacl
                FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
                WHERE (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND n.nspname = ANY ($1::text[])
                    AND \(CatalogTables.notOfExtension("pg_type", "t.oid"))
            )
            SELECT i.word, i.name, i.part, x.privilege_type, x.is_grantable, coalesce(r.rolname, ''), x.grantee = 0,
                x.grantee = i.owner
            FROM items i CROSS JOIN LATERAL aclexplode(i.acl) x LEFT JOIN pg_roles r ON r.oid = x.grantee
            WHERE i.acl IS NOT NULL
            ORDER BY 1, 2, 3, 4, 6
            """, [PGQuote.array(schemas)])
        var objects: [LateObject] = []
        var absent: [String: Int] = [:]
        // PUBLIC may use functions and types unless their rights say otherwise.
        var closed: [String: Bool] = [:]
        for row in rows.rows {
            let word = row[0] ?? ""
            let name = row[1] ?? ""
            let privilege = row[3] ?? ""
            let isPublic = row[6] == "t"
            if word == "ROUTINE" || word == "TYPE" { closed["\(word) \(name)"] = closed["\(word) \(name)"] ?? true }
            if isPublic, word == "ROUTINE" || word == "TYPE" { closed["\(word) \(name)"] = false }
            // The owner at the target has everything already; MAINTAIN came with version 17.
            if row[7] == "t" || privilege == "MAINTAIN" { continue }
            let role = row[5] ?? ""
            guard isPublic || targetRoles.contains(role) else {
                absent[role, default: 0] += 1
                continue
            }
            let part = (row[2] ?? "").isEmpty ? "" : " (\(row[2] ?? ""))"
            let who = isPublic ? "PUBLIC" : PGQuote.identifier(role)
            let option = row[4] == "t" ? " WITH GRANT OPTION" : ""
            objects.append(
                LateObject(
                    name: "grant on \(name)", sql: ["GRANT \(privilege)\(part) ON \(word) \(name) TO \(who)\(option)"]))
        }
        let revokes = closed.filter(\.value).keys.sorted().map { name in
            LateObject(name: "revoke on \(name)", sql: ["REVOKE ALL ON \(name) FROM PUBLIC"])
        }
        let findings = absent.sorted { $0.key < $1.key }.map { role, count in
            FindingDraft(
                "role-missing", .warn, PGQuote.identifier(role),
                "\(count) grant(s) are to a role that the target lacks",
                hint: "Create the role on the target before the copy if anything uses it.")
        }
        return (revokes + objects, findings)
    }
}
