import BasculePostgres

/// Reads types, functions, sequences and views, each as the statements that make it.
struct CatalogObjects {
    let connection: PGConnection
    let schemas: [String]
    private var parameter: [String?] { [PGQuote.array(schemas)] }

    func types() throws -> [SchemaObject] {
        let enums = try connection.query(
            """
            SELECT t.oid, quote_ident(n.nspname) || '.' || quote_ident(t.typname),
                (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e
                    WHERE e.enumtypid = t.oid)
            FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE t.typtype = 'e' AND n.nspname = ANY ($1::text[]) AND \(free("pg_type", "t.oid"))
            """, parameter)
        let domains = try connection.query(
            """
            SELECT t.oid, quote_ident(n.nspname) || '.' || quote_ident(t.typname),
                format_type(t.typbasetype, t.typtypmod)
                || CASE WHEN t.typcollation <> b.typcollation
                    THEN ' COLLATE ' || quote_ident(ln.nspname) || '.' || quote_ident(l.collname) ELSE '' END
                || coalesce(' DEFAULT ' || pg_get_expr(t.typdefaultbin, 0), '')
                || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
                || coalesce((SELECT string_agg(' CONSTRAINT ' || quote_ident(k.conname) || ' '
                    || pg_get_constraintdef(k.oid), '' ORDER BY k.conname) FROM pg_constraint k
                    WHERE k.contypid = t.oid AND k.contype = 'c' AND k.convalidated), '')
            FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_type b ON b.oid = t.typbasetype
                LEFT JOIN pg_collation l ON l.oid = t.typcollation LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace
            WHERE t.typtype = 'd' AND n.nspname = ANY ($1::text[]) AND \(free("pg_type", "t.oid"))
            """, parameter)
        let composites = try connection.query(
            """
            SELECT t.oid, quote_ident(n.nspname) || '.' || quote_ident(t.typname),
                (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', '
                    ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                    AND NOT a.attisdropped)
            FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE c.relkind = 'c' AND n.nspname = ANY ($1::text[]) AND \(free("pg_type", "t.oid"))
            """, parameter)
        let multirange =
            connection.majorVersion >= 14
            ? """
            || ', MULTIRANGE_TYPE_NAME = ' || (SELECT quote_ident(mn.nspname) || '.' || quote_ident(m.typname)
                FROM pg_type m JOIN pg_namespace mn ON mn.oid = m.typnamespace WHERE m.oid = r.rngmultitypid)
            """ : ""
        let ranges = try connection.query(
            """
            SELECT t.oid, quote_ident(n.nspname) || '.' || quote_ident(t.typname),
                'SUBTYPE = ' || format_type(r.rngsubtype, NULL) || coalesce(', SUBTYPE_DIFF = '
                || nullif(r.rngsubdiff, 0)::regproc::text, '') \(multirange)
            FROM pg_type t JOIN pg_range r ON r.rngtypid = t.oid JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE n.nspname = ANY ($1::text[]) AND r.rngcanonical = 0 AND \(free("pg_type", "t.oid"))
            """, parameter)
        func objects(_ rows: PGRows, _ make: (String, String) -> String) -> [SchemaObject] {
            rows.rows.map { row in
                let name = row[1] ?? ""
                return SchemaObject(
                    key: ObjectKey(catalog: "pg_type", oid: number(row[0])), kind: "type", name: name,
                    sql: [make(name, row[2] ?? "")])
            }
        }
        return objects(enums) { "CREATE TYPE \($0) AS ENUM (\($1))" }
            + objects(domains) { "CREATE DOMAIN \($0) AS \($1)" }
            + objects(composites) { "CREATE TYPE \($0) AS (\($1))" }
            + objects(ranges) { "CREATE TYPE \($0) AS RANGE (\($1))" }
    }

    func functions() throws -> [SchemaObject] {
        let rows = try connection.query(
            """
            SELECT p.oid, p.oid::regprocedure::text, pg_get_functiondef(p.oid)
            FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
            WHERE p.prokind IN ('f', 'p', 'w') AND l.lanname IN ('sql', 'plpgsql') AND n.nspname = ANY ($1::text[])
                AND \(free("pg_proc", "p.oid"))
            """, parameter)
        return rows.rows.map { row in
            SchemaObject(
                key: ObjectKey(catalog: "pg_proc", oid: number(row[0])), kind: "function", name: row[1] ?? "",
                sql: [row[2] ?? ""])
        }
    }

    /// Sequences of their own and of `serial` columns; those of identity columns come with the column.
    func sequences() throws -> (objects: [SchemaObject], all: [PGSequence], identity: [Int64: [Int: String]]) {
        let rows = try connection.query(
            """
            SELECT c.oid, n.nspname, c.relname, d.deptype, d.refobjid, d.refobjsubid,
                'AS ' || format_type(s.seqtypid, NULL) || ' INCREMENT BY ' || s.seqincrement || ' MINVALUE ' || s.seqmin
                || ' MAXVALUE ' || s.seqmax || ' START WITH ' || s.seqstart || ' CACHE ' || s.seqcache
                || CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END,
                quote_ident(tn.nspname) || '.' || quote_ident(t.relname) || '.' || quote_ident(a.attname)
            FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
                LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
                LEFT JOIN pg_class t ON t.oid = d.refobjid LEFT JOIN pg_namespace tn ON tn.oid = t.relnamespace
                LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname = ANY ($1::text[])
                AND \(free("pg_class", "c.oid")) ORDER BY n.nspname, c.relname
            """, parameter)
        var objects: [SchemaObject] = []
        var all: [PGSequence] = []
        var identity: [Int64: [Int: String]] = [:]
        for row in rows.rows {
            let sequence = PGSequence(oid: number(row[0]), schema: row[1] ?? "", name: row[2] ?? "")
            all.append(sequence)
            if row[3] == "i" {
                // An identity's type is its column's.
                let options =
                    (row[6] ?? "").split(separator: " INCREMENT BY ", maxSplits: 1).last.map(String.init) ?? ""
                identity[number(row[4]), default: [:]][Int(number(row[5]))] =
                    "(SEQUENCE NAME \(sequence.quoted) INCREMENT BY \(options))"
                continue
            }
            var sql = ["CREATE SEQUENCE \(sequence.quoted) \(row[6] ?? "")"]
            if let column = row[7] { sql.append("ALTER SEQUENCE \(sequence.quoted) OWNED BY \(column)") }
            objects.append(
                SchemaObject(
                    key: ObjectKey(catalog: "pg_class", oid: sequence.oid), kind: "sequence", name: sequence.quoted,
                    sql: sql))
        }
        return (objects, all, identity)
    }

    func views() throws -> (objects: [SchemaObject], materialized: [(oid: Int64, quoted: String, populated: Bool)]) {
        let rows = try connection.query(
            """
            SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind,
                rtrim(pg_get_viewdef(c.oid), E'; \\n'),
                (SELECT string_agg(quote_ident(o.option_name) || '=' || quote_literal(o.option_value), ', ')
                    FROM pg_options_to_table(c.reloptions) o), c.relispopulated,
                (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attnum > 0)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('v', 'm') AND n.nspname = ANY ($1::text[]) AND c.relpersistence <> 't'
                AND \(free("pg_class", "c.oid"))
            """, parameter)
        var materialized: [(oid: Int64, quoted: String, populated: Bool)] = []
        let objects = rows.rows.map { row in
            let name = row[1] ?? ""
            let options = row[4].map { " WITH (\($0))" } ?? ""
            let isMaterialized = row[2] == "m"
            if isMaterialized { materialized.append((number(row[0]), name, row[5] == "t")) }
            let columns = row[6].map { " (\($0))" } ?? ""
            let sql =
                isMaterialized
                ? "CREATE MATERIALIZED VIEW \(name)\(columns)\(options) AS \(row[3] ?? "") WITH NO DATA"
                : "CREATE VIEW \(name)\(columns)\(options) AS \(row[3] ?? "")"
            return SchemaObject(
                key: ObjectKey(catalog: "pg_class", oid: number(row[0])),
                kind: isMaterialized ? "materialized view" : "view", name: name, sql: [sql])
        }
        return (objects, materialized)
    }

    /// Defaults of columns, apart from generation expressions, which stand in CREATE TABLE.
    func defaults() throws -> [SchemaObject] {
        let rows = try connection.query(
            """
            SELECT d.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(a.attname),
                pg_get_expr(d.adbin, d.adrelid), c.relkind
            FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
            WHERE c.relkind IN ('r', 'p', 'v') AND c.relpersistence <> 't' AND a.attgenerated = ''
                AND n.nspname = ANY ($1::text[]) AND \(free("pg_class", "c.oid"))
            """, parameter)
        return rows.rows.map { row in
            let kind = row[4] == "v" ? "VIEW" : "TABLE ONLY"
            let name = "\(row[1] ?? "").\(row[2] ?? "")"
            return SchemaObject(
                key: ObjectKey(catalog: "pg_attrdef", oid: number(row[0])), kind: "default", name: name,
                sql: ["ALTER \(kind) \(row[1] ?? "") ALTER COLUMN \(row[2] ?? "") SET DEFAULT \(row[3] ?? "")"])
        }
    }

    private func free(_ catalog: String, _ oid: String) -> String { CatalogTables.notOfExtension(catalog, oid) }
}
