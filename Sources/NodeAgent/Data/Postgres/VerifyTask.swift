import BasculeModel
import BasculePostgres

/// Compares both sides and changes neither.
struct VerifyTask: Sendable {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    /// With `known`, the digests of a fenced source, its rows are read again only where something differs.
    func run(known: PostgresDigests?) throws -> PostgresVerification {
        let start = MoveClock.now()
        let control = try sides.source()
        let admin = try sides.admin()
        let snapshot = try SourceSnapshot(control)
        let catalog = try CatalogReader(control, sides.move, target: admin).read()
        let shape = try compareShape(catalog, admin)
        let tables = try PresentTables.check(catalog.loadable, admin)
        let hash = known.map { RowHash(seeds: $0.seeds) } ?? RowHash.random()
        let digests = TableDigests(sides: sides, progress: progress, isCancelled: isCancelled)
        let source: [PostgresTableDigest]
        let target: [PostgresTableDigest]
        if let known, known.seeds.count == 2, Set(known.tables.map(\.table)) == Set(catalog.loadable.map(\.shown)) {
            source = known.tables
            target = try digests.run(tables.present, hash: hash, side: .target)
        } else {
            (source, target) = try digests.both(tables.present, hash: hash, snapshot: snapshot)
        }
        let bad = differing(source.filter { !tables.absent.contains($0.table) }, target)
        let byName = Dictionary(uniqueKeysWithValues: catalog.tables.map { ($0.shown, $0) })
        let bisect = Bisect(source: control, target: admin, hash: hash)
        let differences = try bad.compactMap { byName[$0] }.flatMap { table in
            try bisect.run(table, rows: source.first { $0.table == table.shown }?.rows ?? 0)
        }
        return PostgresVerification(
            tables: source.count, rows: source.reduce(0) { $0 + $1.rows },
            differingTables: (bad + tables.absent).sorted(), differences: differences,
            differingSequences: try compareSequences(catalog, known, control, admin), shapeDifferences: shape,
            seconds: MoveClock.now() - start)
    }

    func compareShape(_ catalog: PGCatalog, _ admin: PGConnection) throws -> [String] {
        let target = Set(try CatalogShape(connection: admin, schemas: catalog.schemas).read())
        let source = Set(catalog.shape)
        let missing = source.subtracting(target).sorted().map { "only at the source: \($0)" }
        let extra = target.subtracting(source).sorted().map { "only at the target: \($0)" }
        return missing + (sides.move.allowNonEmptyTarget ? [] : extra)
    }

    func compareSequences(
        _ catalog: PGCatalog, _ known: PostgresDigests?, _ source: PGConnection, _ target: PGConnection
    ) throws -> [String] {
        let names = try ExistingObjects(target).relations
        let there = catalog.sequences.filter { names.contains($0.quoted) }
        let expected = try known?.sequences ?? Sequences.read(source, catalog.sequences)
        let found = Dictionary(
            uniqueKeysWithValues: try Sequences.read(target, there).map { ($0.sequence, $0) })
        return expected.compactMap { value in
            guard let other = found[value.sequence] else { return "\(value.sequence): not at the target" }
            return other == value ? nil : "\(value.sequence): source \(value.shown), target \(other.shown)"
        }
    }
}

extension PostgresSequenceValue {
    var shown: String { "\(value)\(isCalled ? "" : " (not given out)")" }
}

/// Which tables the target has, so that one that is missing is a difference and no failure.
struct PresentTables {
    var present: [PGTable]
    var absent: [String]

    static func check(_ tables: [PGTable], _ target: PGConnection) throws -> PresentTables {
        let there = Set(
            try target.query(
                """
                SELECT n.nspname, c.relname, string_agg(a.attname, ',' ORDER BY a.attname COLLATE "C")
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                WHERE c.relkind = 'r' GROUP BY 1, 2
                """
            ).rows.map { [$0[0] ?? "", $0[1] ?? "", $0[2] ?? ""] })
        func isThere(_ table: PGTable) -> Bool {
            let columns = table.columns.map(\.name).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            return there.contains([table.schema, table.name, columns.joined(separator: ",")])
        }
        return PresentTables(
            present: tables.filter(isThere), absent: tables.filter { !isThere($0) }.map(\.shown))
    }
}
