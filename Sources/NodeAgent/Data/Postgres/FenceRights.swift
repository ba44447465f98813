import BasculeModel
import BasculePostgres

/// Reads and writes rights of a source's objects, the same way for capture, release and proof.
struct FenceRights {
    let source: PGConnection

    /// Privileges that write, by kind of object.
    private static let query = """
        WITH items AS (
            SELECT 'table' AS kind, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, '' AS part,
                c.relowner AS owner, coalesce(c.relacl, acldefault('r', c.relowner)) AS acl
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'f') AND c.relpersistence <> 't' AND {user}
            UNION ALL
            SELECT 'column', quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(a.attname),
                c.relowner, a.attacl
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'f') AND {user}
            UNION ALL
            SELECT 'sequence', quote_ident(n.nspname) || '.' || quote_ident(c.relname), '', c.relowner,
                coalesce(c.relacl, acldefault('s', c.relowner))
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {user}
            UNION ALL
            SELECT 'schema', quote_ident(n.nspname), '', n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
            FROM pg_namespace n WHERE {user}
            UNION ALL
            SELECT 'function', p.oid::regprocedure::text, '', p.proowner,
                coalesce(p.proacl, acldefault('f', p.proowner))
            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles o ON o.oid = p.proowner
            WHERE p.prosecdef AND o.rolsuper AND {user} AND NOT EXISTS (SELECT FROM pg_depend e
                WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
            UNION ALL
            SELECT 'defaults', coalesce((SELECT quote_ident(n.nspname) FROM pg_namespace n
                WHERE n.oid = d.defaclnamespace), ''),
                CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' ELSE 'SEQUENCES' END, d.defaclrole, d.defaclacl
            FROM pg_default_acl d WHERE d.defaclobjtype IN ('r', 'S')
        )
        SELECT i.kind, i.name, i.part, o.rolname, x.privilege_type, x.is_grantable,
            coalesce(e.rolname, ''), coalesce(g.rolname, '')
        FROM items i JOIN pg_roles o ON o.oid = i.owner
            LEFT JOIN LATERAL (SELECT * FROM aclexplode(i.acl) a WHERE
                (i.kind IN ('table', 'column') AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'))
                OR (i.kind = 'sequence' AND a.privilege_type IN ('USAGE', 'UPDATE'))
                OR (i.kind = 'schema' AND a.privilege_type = 'CREATE')
                OR (i.kind = 'function' AND a.privilege_type = 'EXECUTE' AND a.grantee <> i.owner)
                OR (i.kind = 'defaults' AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'USAGE'))
            ) x ON true
            LEFT JOIN pg_roles e ON e.oid = x.grantee LEFT JOIN pg_roles g ON g.oid = x.grantor
        ORDER BY 1, 2, 3
        """

    /// Objects of the system and Bascule's own are left alone.
    private static let user = "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'bascule')"

    func read() throws -> [PostgresFencedObject] {
        let sql = Self.query.split(separator: "{user}", omittingEmptySubsequences: false).joined(separator: Self.user)
        let rows: PGRows
        do { rows = try source.query(sql) } catch {
            throw error.basculeError("reading rights", at: .thing(source.place))
        }
        var objects: [PostgresFencedObject] = []
        for row in rows.rows {
            guard let kind = PostgresFencedObject.Kind(rawValue: row[0] ?? "") else { continue }
            let object = PostgresFencedObject(
                kind: kind, name: row[1] ?? "", owner: row[3] ?? "", part: row[2] ?? "", rights: [])
            if objects.last?.identity != object.identity { objects.append(object) }
            guard let privilege = row[4] else { continue }
            objects[objects.count - 1].rights.append(
                PostgresRight(
                    grantee: row[6] ?? "", grantor: row[7] ?? "", privilege: privilege, grantable: row[5] == "t"))
        }
        return objects.map { object in
            var sorted = object
            sorted.rights.sort()
            return sorted
        }
    }

    static func who(_ grantee: String) -> String { grantee.isEmpty ? "PUBLIC" : PGQuote.identifier(grantee) }
}

extension PostgresFencedObject {
    var identity: [String] { [kind.rawValue, name, part, kind == .defaults ? owner : ""] }

    /// What GRANT and REVOKE call it.
    var word: String {
        switch kind {
        case .table, .column: "TABLE \(name)"
        case .sequence: "SEQUENCE \(name)"
        case .schema: "SCHEMA \(name)"
        case .function: "ROUTINE \(name)"
        case .defaults: part
        }
    }

    /// Takes every writing right away, from the owner too. Rights passed on by a grantee go with theirs.
    var revocations: [String] {
        if kind == .defaults {
            let scope = name.isEmpty ? "" : " IN SCHEMA \(name)"
            return Set(rights.map(\.grantee)).sorted().map { grantee in
                let list = rights.filter { $0.grantee == grantee }.map(\.privilege).joined(separator: ", ")
                return """
                    ALTER DEFAULT PRIVILEGES FOR ROLE \(PGQuote.identifier(owner))\(scope)
                    REVOKE \(list) ON \(part) FROM \(FenceRights.who(grantee))
                    """
            }
        }
        let list: String
        switch kind {
        case .table: list = "INSERT, UPDATE, DELETE, TRUNCATE"
        case .column: list = "INSERT (\(part)), UPDATE (\(part))"
        case .sequence: list = "USAGE, UPDATE"
        case .schema: list = "CREATE"
        default: list = "EXECUTE"
        }
        // Dependent grants are captured one by one, and given back by their own grantors.
        return Set(rights.map(\.grantee)).sorted { one, other in one == owner ? false : one < other || other == owner }
            .map { "REVOKE \(list) ON \(word) FROM \(FenceRights.who($0)) CASCADE" }
    }

    /// Gives one right back.
    func grant(_ right: PostgresRight) -> String {
        let option = right.grantable ? " WITH GRANT OPTION" : ""
        let who = FenceRights.who(right.grantee)
        switch kind {
        case .defaults:
            let scope = name.isEmpty ? "" : " IN SCHEMA \(name)"
            return """
                ALTER DEFAULT PRIVILEGES FOR ROLE \(PGQuote.identifier(owner))\(scope)
                GRANT \(right.privilege) ON \(part) TO \(who)\(option)
                """
        case .column: return "GRANT \(right.privilege) (\(part)) ON \(word) TO \(who)\(option)"
        default: return "GRANT \(right.privilege) ON \(word) TO \(who)\(option)"
        }
    }
}
