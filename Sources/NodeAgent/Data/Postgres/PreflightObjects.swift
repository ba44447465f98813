import BasculeModel
import BasculePostgres

/// Objects that Bascule does not move: each is named, none is left out silently.
struct PreflightObjects {
    let source: PGConnection
    let schemas: [String]

    func findings() throws -> [PostgresFinding] {
        let ask = FindingQuery(connection: source, schemas: schemas)
        var findings = try ask.run(
            "language-unsupported", .refuse, "Functions in this language are not moved",
            hint: "Rewrite it in SQL or PL/pgSQL, or recreate it by hand and accept the finding.",
            """
            SELECT p.oid::regprocedure::text, l.lanname::text FROM pg_proc p
                JOIN pg_namespace n ON n.oid = p.pronamespace
                JOIN pg_language l ON l.oid = p.prolang
            WHERE p.prokind IN ('f', 'p', 'w') AND l.lanname NOT IN ('sql', 'plpgsql') AND n.nspname = ANY ($1::text[])
                AND \(CatalogTables.notOfExtension("pg_proc", "p.oid"))
                AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                    AND d.deptype = 'i')
            """)
        // (what, catalog, alias's number, schema column or nil, name)
        let kinds: [(String, String, String)] = [
            ("aggregate", "pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace WHERE o.prokind = 'a'", "o.proname"),
            ("operator", "pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE true", "o.oprname"),
            ("operator class", "pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace WHERE true", "o.opcname"),
            ("collation", "pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace WHERE true", "o.collname"),
            ("conversion", "pg_conversion o JOIN pg_namespace n ON n.oid = o.connamespace WHERE true", "o.conname"),
            (
                "text search configuration",
                "pg_ts_config o JOIN pg_namespace n ON n.oid = o.cfgnamespace WHERE true", "o.cfgname"
            ),
            (
                "text search dictionary", "pg_ts_dict o JOIN pg_namespace n ON n.oid = o.dictnamespace WHERE true",
                "o.dictname"
            ),
            (
                "base type",
                """
                pg_type o JOIN pg_namespace n ON n.oid = o.typnamespace WHERE (o.typtype = 'b' AND o.typcategory <> 'A')
                OR o.oid IN (SELECT rngtypid FROM pg_range WHERE rngcanonical <> 0)
                """, "o.typname"
            ),
            (
                "foreign table",
                "pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace WHERE o.relkind = 'f'", "o.relname"
            ),
            (
                "typed table",
                "pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace WHERE o.reloftype <> 0", "o.relname"
            ),
            (
                "table of another access method",
                """
                pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace JOIN pg_am m ON m.oid = o.relam
                WHERE o.relkind IN ('r', 'm') AND m.amname <> 'heap'
                """, "o.relname"
            ),
        ]
        for (what, from, name) in kinds {
            let catalog = String(from.split(separator: " ")[0])
            let (head, condition) = Self.halves(from)
            findings += try ask.run(
                "unsupported-object", .refuse, "An object of kind '\(what)' is not moved",
                hint: "Recreate it by hand at the target, or drop it at the source; then accept the finding.",
                """
                SELECT quote_ident(n.nspname) || '.' || quote_ident(\(name)) FROM \(head)
                WHERE (\(condition)) AND n.nspname = ANY ($1::text[])
                    AND \(CatalogTables.notOfExtension(catalog, "o.oid"))
                """)
        }
        findings += try ask.run(
            "depends-outside", .refuse, "A foreign key leads into a schema that is not moved",
            hint: "Move that schema too, or drop the foreign key.",
            """
            SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(k.conname)
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
            WHERE k.contype = 'f' AND n.nspname = ANY ($1::text[]) AND NOT fn.nspname = ANY ($1::text[])
            """)
        findings += try ask.run(
            "depends-outside", .refuse, "A column has a type of a schema that is not moved",
            hint: "Move that schema too, or change the column.",
            """
            SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(a.attname)
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = t.typnamespace
            WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND n.nspname = ANY ($1::text[])
                AND NOT tn.nspname = ANY ($1::text[]) AND tn.nspname NOT IN ('pg_catalog', 'information_schema')
                AND \(CatalogTables.notOfExtension("pg_type", "CASE WHEN t.typelem <> 0 THEN t.typelem ELSE t.oid END"))
            """)
        return findings + (try newer(ask))
    }

    private static func halves(_ from: String) -> (String, String) {
        let parts = from.split(separator: "WHERE", maxSplits: 1).map(String.init)
        return (parts.first ?? from, parts.count > 1 ? parts[1] : "true")
    }

    /// What only newer versions know.
    private func newer(_ ask: FindingQuery) throws -> [PostgresFinding] {
        try ask.run(
            "feature-too-new", .refuse, "A virtual generated column needs version 18 at the target",
            hint: "Make it STORED at the source.",
            """
            SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(a.attname)
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE a.attgenerated = 'v' AND n.nspname = ANY ($1::text[])
            """)
    }
}
