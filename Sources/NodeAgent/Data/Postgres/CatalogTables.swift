import BasculePostgres

/// Reads tables, their columns, indexes, constraints and sequences.
struct CatalogTables {
    let connection: PGConnection
    let schemas: [String]
    private var parameter: [String?] { [PGQuote.array(schemas)] }

    /// Objects of extensions come with them.
    static func notOfExtension(_ catalog: String, _ oid: String) -> String {
        """
        NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '\(catalog)'::regclass AND e.objid = \(oid)
        AND e.deptype = 'e')
        """
    }

    func tables() throws -> [PGTable] {
        let rows = try connection.query(
            """
            SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence,
                (SELECT string_agg(quote_ident(o.option_name) || '=' || quote_literal(o.option_value), ', ')
                    FROM pg_options_to_table(c.reloptions) o),
                CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END,
                CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
                c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
                CASE c.relkind WHEN 'r' THEN pg_table_size(c.oid) ELSE 0 END, greatest(c.reltuples, 0)::int8,
                CASE c.relkind WHEN 'r' THEN pg_relation_size(c.oid) / 8192 ELSE 0 END
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname = ANY ($1::text[])
                AND \(Self.notOfExtension("pg_class", "c.oid"))
            ORDER BY n.nspname, c.relname
            """, parameter)
        var tables = rows.rows.map { row in
            PGTable(
                oid: number(row[0]), schema: row[1] ?? "", name: row[2] ?? "", kind: row[3] ?? "",
                persistence: row[4] ?? "", options: row[5], partitionKey: row[6], partitionBound: row[7],
                parents: [], rowSecurity: row[8] == "t", forcedRowSecurity: row[9] == "t",
                replicaIdentity: row[10] ?? "d", bytes: number(row[11]), estimatedRows: number(row[12]),
                pages: number(row[13]))
        }
        let columns = try self.columns()
        let keys = try primaryKeys()
        let parents = try self.parents()
        for index in tables.indices {
            tables[index].columns = columns[tables[index].oid] ?? []
            tables[index].key = keys[tables[index].oid] ?? []
            tables[index].parents = parents[tables[index].oid] ?? []
        }
        return tables
    }

    /// Types whose wire form holds nothing but the value, the same from version 12 on.
    static let portable = [
        "bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bpchar", "bytea", "date",
        "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "inet", "cidr", "macaddr",
        "bit", "varbit", "money", "name", "oid",
    ]

    private func columns() throws -> [Int64: [PGColumn]] {
        let names = Self.portable.map { "'\($0)'" }.joined(separator: ",")
        let compression = connection.majorVersion >= 14 ? "nullif(a.attcompression::text, '')" : "NULL"
        let rows = try connection.query(
            """
            SELECT a.attrelid, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
                CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) ELSE '' END, a.attidentity,
                CASE WHEN t.typcategory = 'A' THEN e.typname IN (\(names))
                        AND e.typnamespace = 'pg_catalog'::regnamespace
                    ELSE t.typname IN (\(names)) AND t.typnamespace = 'pg_catalog'::regnamespace END,
                CASE WHEN a.attcollation <> t.typcollation
                    THEN quote_ident(ln.nspname) || '.' || quote_ident(l.collname) END,
                a.attnotnull, CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END, \(compression),
                a.attstattarget, array_to_string(a.attoptions, ', '), a.atttypid
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typlen = -1
                LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                LEFT JOIN pg_collation l ON l.oid = a.attcollation LEFT JOIN pg_namespace ln ON ln.oid = l.collnamespace
            WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1::text[]) AND a.attnum > 0 AND NOT a.attisdropped
            ORDER BY a.attrelid, a.attnum
            """, parameter)
        var columns: [Int64: [PGColumn]] = [:]
        for row in rows.rows {
            let column = PGColumn(
                number: Int(number(row[1])), name: row[2] ?? "", type: row[3] ?? "",
                typeNumber: UInt32(clamping: number(row[13])), generated: row[4] ?? "",
                identity: row[5] ?? "", isPortable: row[6] == "t", collation: row[7], notNull: row[8] == "t",
                details: PGColumn.Details(
                    storage: row[9], compression: row[10], statistics: row[11].flatMap { Int($0) }, options: row[12]))
            columns[number(row[0]), default: []].append(column)
        }
        return columns
    }

    private func primaryKeys() throws -> [Int64: [String]] {
        let rows = try connection.query(
            """
            SELECT k.conrelid, a.attname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
                JOIN pg_namespace n ON n.oid = c.relnamespace
                CROSS JOIN LATERAL unnest(k.conkey) WITH ORDINALITY u(attnum, place)
                JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
            WHERE k.contype = 'p' AND n.nspname = ANY ($1::text[]) ORDER BY k.conrelid, u.place
            """, parameter)
        return Dictionary(grouping: rows.rows) { number($0[0]) }.mapValues { $0.map { $0[1] ?? "" } }
    }

    private func parents() throws -> [Int64: [String]] {
        let rows = try connection.query(
            """
            SELECT i.inhrelid, quote_ident(pn.nspname) || '.' || quote_ident(p.relname)
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
            WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1::text[]) ORDER BY i.inhrelid, i.inhseqno
            """, parameter)
        return Dictionary(grouping: rows.rows) { number($0[0]) }.mapValues { $0.map { $0[1] ?? "" } }
    }

    func indexes() throws -> [PGIndex] {
        let rows = try connection.query(
            """
            SELECT i.indexrelid, i.indrelid, c.relname, pg_get_indexdef(i.indexrelid),
                CASE WHEN p.oid IS NOT NULL THEN quote_ident(pn.nspname) || '.' || quote_ident(p.relname) END,
                quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind = 'I', i.indisunique, k.oid,
                i.indisreplident, pg_relation_size(c.oid)
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
                JOIN pg_namespace n ON n.oid = c.relnamespace
                LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = t.oid AND k.contype IN ('p', 'u', 'x')
                LEFT JOIN pg_inherits h ON h.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = h.inhparent
                LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
            WHERE t.relkind IN ('r', 'p', 'm') AND n.nspname = ANY ($1::text[]) AND t.relpersistence <> 't'
                AND \(CatalogTables.notOfExtension("pg_class", "t.oid"))
            ORDER BY n.nspname, c.relname
            """, parameter)
        return rows.rows.map { row in
            PGIndex(
                oid: number(row[0]), table: number(row[1]), name: row[2] ?? "", definition: row[3] ?? "",
                parent: row[4], quoted: row[5] ?? "", onPartitioned: row[6] == "t", isUnique: row[7] == "t",
                constraint: row[8].flatMap { Int64($0) }, isReplicaIdentity: row[9] == "t", bytes: number(row[10]))
        }
    }

    /// Inherited ones come from the parent; the parts of a partitioned primary key are attached, so they are listed.
    func constraints() throws -> [PGConstraint] {
        let rows = try connection.query(
            """
            SELECT k.oid, k.conrelid, k.conname, k.contype, pg_get_constraintdef(k.oid), k.confrelid,
                CASE WHEN k.condeferrable THEN ' DEFERRABLE' || CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED'
                    ELSE '' END ELSE '' END,
                quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind = 'p'
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE k.contype IN ('p', 'u', 'x', 'c', 'f') AND n.nspname = ANY ($1::text[])
                AND (k.contype <> 'f' OR k.conparentid = 0) AND (k.contype <> 'c' OR k.coninhcount = 0)
                AND \(CatalogTables.notOfExtension("pg_class", "c.oid"))
            ORDER BY n.nspname, c.relname, k.conname
            """, parameter)
        return rows.rows.map { row in
            PGConstraint(
                oid: number(row[0]), table: number(row[1]), name: row[2] ?? "", type: row[3] ?? "",
                definition: row[4] ?? "", foreignTable: number(row[5]), deferral: row[6] ?? "",
                tableName: row[7] ?? "", onPartitioned: row[8] == "t")
        }
    }
}

/// A catalog's number, 0 when it is not one.
func number(_ text: String?) -> Int64 { text.flatMap { Int64($0) } ?? 0 }
