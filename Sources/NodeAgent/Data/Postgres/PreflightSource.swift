import BasculeModel
import BasculePostgres

/// What the source's role may not see or do, and what would be lost on the way.
struct PreflightSource {
    let source: PGConnection
    let schemas: [String]

    private static let relation = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
    private static let from = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"

    func findings() throws -> [PostgresFinding] {
        let ask = FindingQuery(connection: source, schemas: schemas)
        let (name, from) = (Self.relation, Self.from)
        let free = CatalogTables.notOfExtension("pg_class", "c.oid")
        return try pooler() + outside(ask)
            + ask.run(
                "foreign-key-unindexed", .info, "No index leads with the columns of this foreign key",
                hint: "Deleting or changing a parent reads the whole table: CREATE INDEX on those columns.",
                """
                SELECT \(name), quote_ident(k.conname) FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
                    JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE k.contype = 'f' AND k.conparentid = 0 AND n.nspname = ANY ($1::text[]) AND c.reltuples > 1000
                    AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indpred IS NULL
                        AND (SELECT array_agg(x ORDER BY x) FROM unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) x)
                            = (SELECT array_agg(x ORDER BY x) FROM unnest(k.conkey) x))
                """)
            + ask.run(
                "rls-hides-rows", .refuse, "Row security hides rows from the role of the connection string",
                hint: "Use the tables' owner, a superuser, or a role with BYPASSRLS.",
                "SELECT \(name) \(from) WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1::text[]) "
                    + "AND has_schema_privilege(n.oid, 'USAGE') AND row_security_active(c.oid)")
            + ask.run(
                "no-right-to-read", .refuse, "The role of the connection string may not read it",
                hint: "GRANT USAGE on the schema and SELECT on the object to that role.",
                """
                SELECT \(name) \(from) WHERE n.nspname = ANY ($1::text[]) AND \(free) AND c.relpersistence <> 't'
                AND (NOT has_schema_privilege(n.oid, 'USAGE')
                    OR (c.relkind IN ('r', 'p') AND NOT has_table_privilege(c.oid, 'SELECT'))
                    OR (CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(c.oid, 'SELECT') ELSE false END))
                AND c.relkind IN ('r', 'p', 'S')
                """)
            + ask.run(
                "large-objects", .refuse, "Large objects are not moved",
                hint: "Move them into bytea columns or files first, or accept their loss.",
                "SELECT count(*)::text || ' large objects' FROM pg_largeobject_metadata HAVING count(*) > 0")
            + ask.run(
                "foreign-server", .warn, "Foreign servers and their tables are not moved",
                hint: "Recreate them by hand at the target if they are still needed.",
                "SELECT quote_ident(srvname) FROM pg_foreign_server")
            + ask.run(
                "encoding", .refuse, "The source's encoding does not say what its bytes mean",
                hint: "Convert the source to UTF8 first.",
                "SELECT current_database()::text, 'SQL_ASCII' FROM pg_database WHERE datname = current_database() "
                    + "AND encoding = 0")
            + ask.run(
                "tablespace", .info, "It leaves its tablespace for the target's default one",
                hint: "Nothing, unless the node has several disks.",
                "SELECT \(name) \(from) WHERE c.reltablespace <> 0 AND n.nspname = ANY ($1::text[])")
            + ask.run(
                "subscription", .warn, "A subscription writes to the source, and is not moved",
                hint: "Disable it before the freeze.",
                "SELECT quote_ident(subname) FROM pg_stat_subscription WHERE pid IS NOT NULL")
            + ask.run(
                "publication", .info, "Publications are not moved", hint: "Recreate them if somebody subscribes.",
                "SELECT quote_ident(pubname) FROM pg_publication")
            + ask.run(
                "event-trigger", .warn, "Event triggers are not moved: they would run as a superuser",
                hint: "Recreate them by hand if they are still needed.",
                "SELECT quote_ident(evtname) FROM pg_event_trigger t WHERE "
                    + CatalogTables.notOfExtension("pg_event_trigger", "t.oid"))
            + ask.run(
                "definer-of-superuser", .warn,
                "It runs with a superuser's rights, past a fence; at the target it has its owner's",
                hint: "The fence takes EXECUTE on it from everybody; check that the owner's rights are enough for it.",
                """
                SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                    JOIN pg_roles o ON o.oid = p.proowner
                WHERE p.prosecdef AND o.rolsuper AND n.nspname = ANY ($1::text[])
                    AND \(CatalogTables.notOfExtension("pg_proc", "p.oid"))
                """)
            + ask.run(
                "fence-needs-owner", .warn, "The role of the connection string could not take rights away from it",
                hint: "Give the migration a role that is a member of the owner, or a superuser.",
                """
                SELECT \(name) \(from) WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
                    AND n.nspname = ANY ($1::text[]) AND NOT pg_has_role(c.relowner, 'USAGE') AND \(free)
                """)
            + ask.run(
                "fence-needs-admin", .warn,
                "A member of a role that may write everywhere, which the role of the connection string could not end",
                hint: "REVOKE it beforehand, or GRANT the role WITH ADMIN OPTION to the migration's role.",
                """
                SELECT quote_ident(m.rolname) || ' in ' || r.rolname FROM pg_auth_members a
                    JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
                    JOIN pg_roles me ON me.rolname = session_user
                WHERE r.rolname = ANY (\(PGQuote.literal(PGQuote.array(FenceCapture.writers)))::text[]) AND NOT m.rolsuper
                    AND NOT me.rolsuper AND NOT pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')
                    AND NOT (me.rolcreaterole AND current_setting('server_version_num')::int < 160000)
                """)
            + ask.run(
                "prepared-transaction", .warn, "A prepared transaction could write after the fence",
                hint: "COMMIT PREPARED or ROLLBACK PREPARED it before the freeze.",
                "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
    }

    /// A pooler in between gives the login a process number of its own making.
    private func pooler() throws -> [PostgresFinding] {
        let told = try source.query("SELECT pg_backend_pid()").scalar.flatMap { Int($0) }
        guard let told, source.backend != 0, told != source.backend else { return [] }
        return [
            PostgresFinding(
                "pooler", .refuse, source.place, "The connection goes through a pooler",
                hint:
                    "Use the direct connection (Supabase: db.PROJECT.supabase.co:5432, perhaps with the IPv4 add-on). "
                    + "A pooler in session mode can be accepted; one in transaction mode cannot hold a snapshot.")
        ]
    }

    /// Functions of schemas that stay behind, where something that is moved calls them: it could not be made.
    private func outside(_ ask: FindingQuery) throws -> [PostgresFinding] {
        let users: [(what: String, catalog: String, oid: String, name: String, from: String)] = [
            (
                "policy", "pg_policy", "p.oid", "quote_ident(p.polname) || ' on ' || \(Self.relation)",
                "pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
            ),
            (
                "view", "pg_rewrite", "p.oid", Self.relation,
                "pg_rewrite p JOIN pg_class c ON c.oid = p.ev_class AND c.relkind IN ('v', 'm')"
            ),
            (
                "default", "pg_attrdef", "p.oid", Self.relation,
                "pg_attrdef p JOIN pg_class c ON c.oid = p.adrelid"
            ),
            (
                "trigger", "pg_trigger", "p.oid", "quote_ident(p.tgname) || ' on ' || \(Self.relation)",
                "pg_trigger p JOIN pg_class c ON c.oid = p.tgrelid AND NOT p.tgisinternal"
            ),
        ]
        var findings: [PostgresFinding] = []
        for user in users {
            findings += try ask.run(
                "depends-outside", .refuse, "This \(user.what) needs something of a schema that is not moved",
                hint: "Move that schema too (schemas: [public, auth] for Supabase's auth.uid()), or drop it.",
                """
                SELECT DISTINCT \(user.name), coalesce(f.oid::regprocedure::text, r.oid::regclass::text)
                FROM \(user.from) JOIN pg_namespace n ON n.oid = c.relnamespace
                    JOIN pg_depend d ON d.classid = '\(user.catalog)'::regclass AND d.objid = \(user.oid)
                    LEFT JOIN pg_proc f ON d.refclassid = 'pg_proc'::regclass AND f.oid = d.refobjid
                    LEFT JOIN pg_class r ON d.refclassid = 'pg_class'::regclass AND r.oid = d.refobjid
                    JOIN pg_namespace o ON o.oid = coalesce(f.pronamespace, r.relnamespace)
                WHERE n.nspname = ANY ($1::text[]) AND NOT o.nspname = ANY ($1::text[])
                    AND o.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
                    AND \(CatalogTables.notOfExtension("pg_class", "c.oid"))
                    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e' AND e.classid = d.refclassid
                        AND e.objid = d.refobjid)
                """)
        }
        return findings
    }
}
