import BasculeModel
import BasculePostgres

/// Reads a whole catalog in the transaction that the connection is in.
struct CatalogReader {
    let connection: PGConnection
    /// nil: every schema that is not the system's, an extension's or Bascule's.
    let schemas: [String]?
    let targetRoles: Set<String>
    let targetVersion: Int
    /// Tables whose rows stay behind, as `schema.table`.
    var exclude: [String] = []

    /// For a move, with the roles that the target has.
    init(_ connection: PGConnection, _ move: PostgresMove, target: PGConnection, roles: Set<String>? = nil) throws {
        self.connection = connection
        schemas = move.schemas
        exclude = move.exclude ?? []
        targetVersion = target.serverVersion
        targetRoles =
            try roles ?? Set(target.query("SELECT rolname FROM pg_roles").rows.map { $0[0] ?? "" })
    }

    func read() throws -> PGCatalog {
        var catalog = PGCatalog(version: connection.serverVersion)
        catalog.schemas = try selectedSchemas()
        catalog.extensions = try extensions()
        let tables = CatalogTables(connection: connection, schemas: catalog.schemas)
        catalog.tables = try excluding(tables.tables())
        catalog.indexes = try tables.indexes()
        catalog.constraints = try tables.constraints()
        let reader = CatalogObjects(connection: connection, schemas: catalog.schemas)
        let sequences = try reader.sequences()
        catalog.sequences = sequences.all
        let views = try reader.views()
        catalog.materialized = views.materialized
        var objects = try reader.types() + reader.functions() + sequences.objects + views.objects + reader.defaults()
        objects += catalog.tables.map { table in
            SchemaObject(
                key: ObjectKey(catalog: "pg_class", oid: table.oid), kind: "table", name: table.quoted,
                sql: TableText.statements(
                    table, identity: sequences.identity[table.oid] ?? [:], targetVersion: targetVersion))
        }
        let built = Set(
            catalog.constraints.map { ObjectKey(catalog: "pg_constraint", oid: $0.oid) }
                + catalog.indexes.map { ObjectKey(catalog: "pg_class", oid: $0.oid) })
        let order = try CatalogOrder(connection: connection).sort(objects, built: built)
        catalog.early = order.early
        catalog.late = order.late
        catalog.apiRoles = try apiRoles()
        let finals = try CatalogFinals(
            connection: connection, schemas: catalog.schemas, targetRoles: targetRoles.union(catalog.apiRoles)
        ).all(tables: catalog.tables)
        catalog.finals = finals.objects
        catalog.findings = finals.findings
        let shape = CatalogShape(connection: connection, schemas: catalog.schemas)
        catalog.shape = try shape.read()
        catalog.text = text(catalog, policies: try shape.policies())
        return catalog
    }

    /// Supabase's roles that stand for visitors, users and the service: they own nothing and do not log in, so that the
    /// target can have them; without them every policy that names them would be lost.
    private func apiRoles() throws -> [String] {
        try connection.query(
            """
            SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') ORDER BY rolname
            """
        ).rows.map { $0[0] ?? "" }
    }

    private func excluding(_ tables: [PGTable]) throws -> [PGTable] {
        func names(_ table: PGTable) -> [String] { ["\(table.schema).\(table.name)", table.quoted] }
        let known = Set(tables.flatMap(names))
        let absent = exclude.filter { !known.contains($0) }
        guard absent.isEmpty else {
            throw BasculeError(
                .invalidInput, "The source has no table \(absent.joined(separator: ", ")) that could be left behind",
                at: .thing(connection.place), hint: "Write it as schema.table.")
        }
        return tables.map { table in
            var table = table
            table.isExcluded = names(table).contains(where: exclude.contains)
            return table
        }
    }

    func selectedSchemas() throws -> [String] {
        let rows = try connection.query(
            """
            SELECT n.nspname FROM pg_namespace n
            WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'bascule', 'bascule_pool')
                AND \(CatalogTables.notOfExtension("pg_namespace", "n.oid")) ORDER BY 1
            """)
        let present = rows.rows.map { $0[0] ?? "" }
        guard let schemas else { return present }
        let absent = schemas.filter { !present.contains($0) }
        guard absent.isEmpty else {
            throw BasculeError(
                .invalidInput, "The source has no schema \(absent.joined(separator: ", "))",
                at: .thing(connection.place), hint: "It has: \(present.joined(separator: ", ")).")
        }
        return schemas.sorted()
    }

    private func extensions() throws -> [(name: String, schema: String, version: String)] {
        try connection.query(
            """
            SELECT e.extname, n.nspname, e.extversion FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
            WHERE e.extname <> 'plpgsql' ORDER BY 1
            """
        ).rows.map { (name: $0[0] ?? "", schema: $0[1] ?? "", version: $0[2] ?? "") }
    }

    // Without grants, which a fence changes, and without what depends on the target's roles.
    private func text(_ catalog: PGCatalog, policies: [String]) -> String {
        let lines =
            catalog.schemas.map { "SCHEMA \($0)" } + catalog.extensions.map { "EXTENSION \($0.name)" }
            + (catalog.early + catalog.late).flatMap(\.sql) + catalog.indexes.map(\.definition)
            + catalog.constraints.map { "\($0.tableName) \($0.name) \($0.definition)" }
            + catalog.shape + policies
        return lines.sorted().joined(separator: ";\n")
    }
}

/// What two servers of different versions can be compared by: names, types, kinds and flags, no deparsed text. Types
/// lose their quotes: which words need them differs between versions.
struct CatalogShape {
    let connection: PGConnection
    let schemas: [String]

    func policies() throws -> [String] {
        try connection.query(
            """
            SELECT format('policy %I on %I.%I %s %s %s %s', p.polname, n.nspname, c.relname, p.polcmd, p.polpermissive,
                pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
            FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = ANY ($1::text[])
            """, [PGQuote.array(schemas)]
        ).rows.map { $0[0] ?? "" }
    }

    func read() throws -> [String] {
        let parameter: [String?] = [PGQuote.array(schemas)]
        let free = CatalogTables.notOfExtension
        return try connection.query(
            """
            SELECT line FROM (
            SELECT 'column ' || format('%I.%I.%I', n.nspname, c.relname, a.attname) || ' '
                || replace(format_type(a.atttypid, a.atttypmod), '"', '')
                || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
                || CASE WHEN a.attgenerated <> '' THEN ' generated' ELSE '' END
                || CASE WHEN a.attidentity <> '' AND NOT c.relispartition THEN ' identity ' || a.attidentity::text
                    ELSE '' END
                || CASE WHEN a.atthasdef THEN ' default' ELSE '' END AS line
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'c') AND c.relpersistence <> 't' AND a.attnum > 0
                AND NOT a.attisdropped AND n.nspname = ANY ($1::text[]) AND \(free("pg_class", "c.oid"))
            UNION ALL
            SELECT CASE c.relkind WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'S' THEN 'sequence'
                WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'c' THEN 'composite type'
                ELSE 'table' END || ' ' || format('%I.%I', n.nspname, c.relname)
                || CASE WHEN c.relrowsecurity THEN ' rls' ELSE '' END
                || CASE WHEN c.relforcerowsecurity THEN ' forced' ELSE '' END
                || CASE WHEN c.relpersistence = 'u' THEN ' unlogged' ELSE '' END
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'i', 'I', 'S', 'c') AND c.relpersistence <> 't'
                AND n.nspname = ANY ($1::text[]) AND \(free("pg_class", "c.oid"))
            UNION ALL
            SELECT 'constraint ' || format('%I.%I.%I', n.nspname, c.relname, k.conname) || ' ' || k.contype::text
                || CASE WHEN k.convalidated THEN '' ELSE ' not valid' END
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE k.contype IN ('p', 'u', 'x', 'c', 'f') AND k.conparentid = 0 AND n.nspname = ANY ($1::text[])
                AND \(free("pg_class", "c.oid"))
            UNION ALL
            SELECT 'trigger ' || format('%I.%I.%I', n.nspname, c.relname, g.tgname) || ' ' || g.tgenabled::text
            FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE NOT g.tgisinternal AND NOT c.relispartition AND n.nspname = ANY ($1::text[])
                AND \(free("pg_class", "c.oid"))
            UNION ALL
            SELECT 'function ' || format('%I.%I', n.nspname, p.proname) || '('
                || replace(oidvectortypes(p.proargtypes), '"', '') || ')'
                || CASE WHEN p.prosecdef THEN ' definer' ELSE '' END
            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
            WHERE p.prokind IN ('f', 'p', 'w') AND l.lanname IN ('sql', 'plpgsql') AND n.nspname = ANY ($1::text[])
                AND \(free("pg_proc", "p.oid"))
            UNION ALL
            SELECT 'enum ' || format('%I.%I', n.nspname, t.typname) || ' ' || (SELECT string_agg(
                quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
            FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE t.typtype = 'e' AND n.nspname = ANY ($1::text[]) AND \(free("pg_type", "t.oid"))
            UNION ALL
            SELECT 'domain ' || format('%I.%I', n.nspname, t.typname) || ' '
                || replace(format_type(t.typbasetype, t.typtypmod), '"', '')
            FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE t.typtype = 'd' AND n.nspname = ANY ($1::text[]) AND \(free("pg_type", "t.oid"))
            ) lines ORDER BY line COLLATE "C"
            """, parameter
        ).rows.map { $0[0] ?? "" }
    }
}
