import BasculeModel
import BasculePostgres

/// Tries to write as every role and in every way, for real, and asks the catalog about every combination.
struct FenceProve {
    let sides: Sides
    let fence: PostgresFence

    func run() throws -> PostgresFenceProof {
        let source = try sides.source()
        do {
            let me = try source.query("SELECT session_user, usesuper FROM pg_user WHERE usename = session_user")
            let isSuperuser = me.rows.first?[1] == "t"
            var attempts: [PostgresFenceAttempt] = []
            var findings: [PostgresFinding] = []
            for role in fence.roles {
                guard try !source.query("SELECT FROM pg_roles WHERE rolname = $1", [role.name]).isEmpty else {
                    continue
                }
                if role.isSuperuser {
                    if role.canLogin { findings.append(superuser(role, isUs: role.name == me.scalar)) }
                    continue
                }
                attempts += try self.attempts(role.name, source)
            }
            let holes = try PGCatalog(source: source).holes()
            if !isSuperuser {
                findings.append(
                    PostgresFinding(
                        "proof-not-by-superuser", .info, me.scalar ?? "",
                        "Roles that we may not assume are proved by the source's catalog only",
                        hint: "Use a superuser for a refused write from every role."))
            }
            return PostgresFenceProof(
                attempts: attempts, combinations: holes.asked, holes: holes.found, findings: findings)
        } catch let error as PGError {
            throw error.basculeError("proving the fence", at: .thing(source.place))
        }
    }

    private func superuser(_ role: PostgresFencedRole, isUs: Bool) -> PostgresFinding {
        PostgresFinding(
            "superuser-not-fenced", .warn, PGQuote.identifier(role.name),
            isUs
                ? "Bascule's own role at the source is a superuser and could write"
                : "A superuser could write by setting its transaction read-write",
            hint: "Keep applications from using it until the old system is decommissioned.")
    }

    private func attempts(_ role: String, _ source: PGConnection) throws -> [PostgresFenceAttempt] {
        var attempts: [PostgresFenceAttempt] = []
        for (kind, object, sql) in try writes(role, source) {
            let result = try FenceAttempt(source: source).run(role: role, sql: sql)
            var outcome = result.outcome
            var answer = result.answer
            if outcome == nil {
                // SET ROLE itself was refused: the catalog answers for it.
                outcome = try PGCatalog(source: source).may(role, kind, object) ? .notRefused : .catalogSaysNo
                answer = "asked the catalog: \(result.answer)"
            }
            attempts.append(
                PostgresFenceAttempt(
                    role: role, pooled: false, kind: kind, object: object, outcome: outcome ?? .notRefused,
                    answer: answer))
        }
        return attempts
    }

    /// One write of each kind, on an object where the role could do it before the fence, if there is one.
    private func writes(
        _ role: String, _ source: PGConnection
    ) throws -> [(PostgresFenceAttempt.Class, String, String)] {
        // A view answers some writes with an error about views, which proves nothing.
        let tables = Set(
            try source.query(
                """
                SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c
                JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')
                """
            ).rows.map { $0[0] ?? "" })
        func object(_ kind: PostgresFencedObject.Kind, _ privilege: String) -> String? {
            let candidates = fence.objects.filter { $0.kind == kind && (kind != .table || tables.contains($0.name)) }
            func holds(_ object: PostgresFencedObject) -> Bool {
                object.rights.contains {
                    $0.privilege == privilege && ($0.grantee == role || $0.grantee.isEmpty || object.owner == role)
                }
            }
            return (candidates.first(where: holds) ?? candidates.first)?.name
        }
        var writes: [(PostgresFenceAttempt.Class, String, String)] = []
        if let table = object(.table, "INSERT") {
            writes.append((.insert, table, "INSERT INTO \(table) DEFAULT VALUES"))
        }
        if let table = object(.table, "UPDATE"),
            let column = try source.query(
                """
                SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0
                AND NOT attisdropped AND attgenerated = '' AND attidentity <> 'a' ORDER BY attnum LIMIT 1
                """, [table]
            ).scalar
        {
            writes.append((.update, table, "UPDATE \(table) SET \(column) = NULL WHERE false"))
        }
        if let table = object(.table, "DELETE") { writes.append((.delete, table, "DELETE FROM \(table) WHERE false")) }
        if let table = object(.table, "TRUNCATE") { writes.append((.truncate, table, "TRUNCATE \(table)")) }
        if let sequence = object(.sequence, "USAGE") {
            writes.append((.sequence, sequence, "SELECT nextval(\(PGQuote.literal(sequence)))"))
        }
        if let schema = object(.schema, "CREATE") {
            writes.append((.create, schema, "CREATE TABLE \(schema).bascule_probe ()"))
        }
        return writes
    }
}

/// One write as another role, in a transaction that is always rolled back.
struct FenceAttempt {
    let source: PGConnection

    /// A nil outcome: the role could not be assumed.
    func run(role: String, sql: String) throws(PGError) -> (outcome: PostgresFenceAttempt.Outcome?, answer: String) {
        defer { _ = try? source.query("ROLLBACK") }
        // Read-write on purpose: a default that a session can override proves nothing. Row security off would refuse for
        // its own sake, with the same SQLSTATE as a missing right.
        try source.script("BEGIN READ WRITE; SET LOCAL row_security = on; SET LOCAL lock_timeout = '1s'")
        do { try source.query("SET LOCAL ROLE \(PGQuote.identifier(role))") } catch {
            return (nil, "SQLSTATE \(error.state)")
        }
        return Self.judge(source, sql)
    }

    static func judge(_ source: PGConnection, _ sql: String) -> (outcome: PostgresFenceAttempt.Outcome?, answer: String)
    {
        do {
            try source.query(sql)
            return (.notRefused, "accepted")
        } catch {
            if error.isRefusedRight { return (.refused, "SQLSTATE 42501: \(error.message)") }
            if error.isReadOnly { return (.refusedByDefault, "SQLSTATE 25006") }
            return (.notRefused, "SQLSTATE \(error.state): \(error.message)")
        }
    }
}

extension FenceProve {
    /// The source's own answer for every role, object and right.
    struct PGCatalog {
        let source: PGConnection

        private static let objects = """
            roles AS (SELECT oid, rolname FROM pg_roles WHERE NOT rolsuper AND rolname !~ '^pg_'),
            rels AS (SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, c.relkind
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p', 'v', 'f', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
                    AND n.nspname NOT IN ('information_schema', 'bascule')),
            asked AS (
                SELECT r.rolname, t.name, p.privilege, CASE WHEN t.relkind = 'S'
                    THEN CASE WHEN p.privilege IN ('USAGE', 'UPDATE')
                        THEN has_sequence_privilege(r.oid, t.oid, p.privilege) END
                    ELSE CASE WHEN p.privilege <> 'USAGE' THEN has_table_privilege(r.oid, t.oid, p.privilege)
                        OR (p.privilege IN ('INSERT', 'UPDATE')
                            AND has_any_column_privilege(r.oid, t.oid, p.privilege)) END END AS may
                FROM roles r CROSS JOIN rels t
                    CROSS JOIN (VALUES ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('USAGE')) p(privilege)
                UNION ALL
                SELECT r.rolname, quote_ident(n.nspname), 'CREATE', has_schema_privilege(r.oid, n.oid, 'CREATE')
                FROM roles r CROSS JOIN pg_namespace n WHERE n.nspname !~ '^pg_'
                    AND n.nspname NOT IN ('information_schema', 'bascule')
                UNION ALL
                SELECT r.rolname, p.oid::regprocedure::text, 'EXECUTE', has_function_privilege(r.oid, p.oid, 'EXECUTE')
                FROM roles r CROSS JOIN pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                    JOIN pg_roles o ON o.oid = p.proowner
                WHERE p.prosecdef AND o.rolsuper AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid
                        AND e.deptype = 'e'))
            """

        func holes() throws -> (asked: Int, found: [String]) {
            let rows = try source.query(
                """
                WITH \(Self.objects)
                SELECT count(*) FILTER (WHERE may IS NOT NULL), NULL FROM asked
                UNION ALL
                (SELECT NULL, rolname || ' may ' || privilege || ' ' || name FROM asked WHERE may
                    ORDER BY rolname, name LIMIT 100)
                """)
            return (Int(rows.scalar ?? "") ?? 0, rows.rows.dropFirst().compactMap { $0[1] })
        }

        func may(_ role: String, _ kind: PostgresFenceAttempt.Class, _ object: String) throws -> Bool {
            let privilege = kind == .sequence ? "USAGE" : kind.rawValue.uppercased()
            return try !source.query(
                "WITH \(Self.objects) SELECT FROM asked WHERE may AND rolname = $1 AND name = $2 AND privilege = $3",
                [role, object, privilege]
            ).isEmpty
        }
    }
}
