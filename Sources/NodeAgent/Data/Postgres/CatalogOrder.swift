import BasculePostgres

/// Puts objects into an order in which each follows what it needs, from the server's own record of dependencies.
struct CatalogOrder {
    let connection: PGConnection

    /// `built` are the objects made after the load (indexes and constraints): what needs one of them is late.
    func sort(_ objects: [SchemaObject], built: Set<ObjectKey>) throws -> (early: [SchemaObject], late: [SchemaObject])
    {
        let aliases = try self.aliases()
        let known = Set(objects.map(\.key))
        var needs: [ObjectKey: Set<ObjectKey>] = [:]
        for row in try dependencies().rows {
            let from = resolve(ObjectKey(catalog: row[0] ?? "", oid: number(row[1])), aliases)
            let to = resolve(ObjectKey(catalog: row[2] ?? "", oid: number(row[3])), aliases)
            guard from != to, known.contains(from), known.contains(to) || built.contains(to) else { continue }
            needs[from, default: []].insert(to)
        }
        var ordered: [SchemaObject] = []
        var state: [ObjectKey: Bool] = [:]
        var late: Set<ObjectKey> = []
        let byKey = Dictionary(objects.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        func visit(_ key: ObjectKey) {
            // A cycle is entered once; the server will name what it misses.
            guard state[key] == nil, let object = byKey[key] else { return }
            state[key] = false
            for need in (needs[key] ?? []).sorted() {
                if built.contains(need) { late.insert(key) } else { visit(need) }
                if late.contains(need) { late.insert(key) }
            }
            state[key] = true
            ordered.append(object)
        }
        for object in objects.sorted(by: { ($0.rank, $0.name) < ($1.rank, $1.name) }) { visit(object.key) }
        return (ordered.filter { !late.contains($0.key) }, ordered.filter { late.contains($0.key) })
    }

    private func resolve(_ key: ObjectKey, _ aliases: [ObjectKey: ObjectKey]) -> ObjectKey {
        var key = key
        // An array's element may be a row type, which is its table: two steps.
        for _ in 0..<3 { if let next = aliases[key] { key = next } else { break } }
        return key
    }

    private func dependencies() throws -> PGRows {
        try connection.query(
            """
            SELECT c.relname, d.objid, r.relname, d.refobjid
            FROM pg_depend d JOIN pg_class c ON c.oid = d.classid JOIN pg_class r ON r.oid = d.refclassid
            WHERE d.deptype IN ('n', 'a', 'i', 'P', 'S') AND d.objid >= 16384 AND d.refobjid >= 16384
                AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass,
                    'pg_constraint'::regclass)
            """)
    }

    /// Parts that stand for the whole: row types and array types, view rules, generation expressions, domain checks.
    private func aliases() throws -> [ObjectKey: ObjectKey] {
        let rows = try connection.query(
            """
            SELECT 'pg_type', t.oid, 'pg_class', t.typrelid FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid
                WHERE t.oid >= 16384 AND c.relkind <> 'c'
            UNION ALL SELECT 'pg_class', c.oid, 'pg_type', c.reltype FROM pg_class c WHERE c.relkind = 'c'
            UNION ALL SELECT 'pg_type', t.oid, 'pg_type', t.typelem FROM pg_type t
                WHERE t.oid >= 16384 AND t.typelem <> 0 AND t.typcategory = 'A'
            UNION ALL SELECT 'pg_rewrite', r.oid, 'pg_class', r.ev_class FROM pg_rewrite r WHERE r.rulename = '_RETURN'
            UNION ALL SELECT 'pg_attrdef', d.oid, 'pg_class', d.adrelid FROM pg_attrdef d JOIN pg_attribute a
                ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attgenerated <> ''
            UNION ALL SELECT 'pg_constraint', k.oid, 'pg_type', k.contypid FROM pg_constraint k WHERE k.contypid <> 0
            UNION ALL SELECT 'pg_class', d.objid, 'pg_class', d.refobjid FROM pg_depend d
                WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i'
                    AND EXISTS (SELECT FROM pg_sequence s WHERE s.seqrelid = d.objid)
            """)
        return Dictionary(
            rows.rows.map {
                (
                    ObjectKey(catalog: $0[0] ?? "", oid: number($0[1])),
                    ObjectKey(catalog: $0[2] ?? "", oid: number($0[3]))
                )
            }, uniquingKeysWith: { first, _ in first })
    }
}

extension SchemaObject {
    /// The usual order where dependencies leave a choice.
    fileprivate var rank: Int {
        switch kind {
        case "type": 0
        case "table": 1
        case "sequence": 2
        case "function": 3
        case "default": 4
        default: 5
        }
    }
}
