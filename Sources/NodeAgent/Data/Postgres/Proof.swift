import BasculeModel
import BasculePostgres

/// Proves that the target holds what the snapshot held: digests taken from the source's stream as it passed, against
/// digests that the target's own server computes from what it stored. The source is not read again.
struct Proof {
    let digests: TableDigests
    let hash: RowHash

    /// Throws `copy-differs` with the rows that differ.
    func run(
        _ catalog: PGCatalog, _ control: PGConnection, _ admin: PGConnection, _ snapshot: SourceSnapshot
    ) throws -> PostgresProof {
        let start = MoveClock.now()
        let recorded = try Ledger.ranges(admin)
        var passed: [PGTable] = []
        var others: [PGTable] = []
        var expected: [PostgresTableDigest] = []
        for table in catalog.loadable {
            let ranges = recorded[table.quoted] ?? []
            // What the target computes by itself did not pass.
            if !table.hasGenerated, let digest = Self.sum(ranges, table) {
                passed.append(table)
                expected.append(digest)
            } else {
                others.append(table)
            }
        }
        var source = expected
        var target = try digests.run(passed, hash: hash, side: .target, copied: true)
        if !others.isEmpty {
            let both = try digests.both(others, hash: hash, snapshot: snapshot)
            source += both.source
            target += both.target
        }
        let names = Set(differing(source, target))
        guard names.isEmpty else {
            throw try refusal(catalog.loadable.filter { names.contains($0.shown) }, control, admin)
        }
        return PostgresProof(
            tables: source.count, rows: source.reduce(0) { $0 + $1.rows }, seconds: MoveClock.now() - start)
    }

    private static func sum(_ ranges: [Ledger.Range], _ table: PGTable) -> PostgresTableDigest? {
        guard !ranges.isEmpty else { return nil }
        var (first, second, rows) = (HashSum(nil), HashSum(nil), Int64(0))
        for range in ranges {
            guard let digest = range.digest else { return nil }
            (first, second) = (first + HashSum(digest.first), second + HashSum(digest.second))
            rows += range.count.rows
        }
        return PostgresTableDigest(table: table.shown, rows: rows, first: first.text, second: second.text)
    }

    private func refusal(_ tables: [PGTable], _ control: PGConnection, _ admin: PGConnection) throws -> BasculeError {
        let bisect = Bisect(source: control, target: admin, hash: hash)
        let rows = try tables.prefix(3).flatMap { try bisect.run($0, rows: $0.estimatedRows) }
        let shown = rows.prefix(10).map { "\($0.table) \($0.kind.rawValue) \($0.key)" }.joined(separator: "; ")
        return BasculeError(
            .copyDiffers, "The copy is not what the source held",
            at: .thing(tables.map(\.shown).joined(separator: ", ")), cause: shown.isEmpty ? nil : shown,
            hint: "Something else writes to the target, or its disk or memory is not to be trusted.")
    }
}
