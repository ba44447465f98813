import BasculeModel
import BasculePostgres

/// What an earlier run has left at the target, and what of it still is what the source has.
///
/// A run that was cut had another snapshot. Mixing rows of two snapshots would break foreign keys and double rows that
/// moved in between, so every range that an earlier run copied is digested at the source again, in this run's snapshot:
/// what is equal stays, what is not is removed and copied again. The whole copy is then of one snapshot.
struct Resumption {
    /// Ranges still to be copied, by table.
    private(set) var missing: [Int64: [TableRange]]
    /// Triggers, policies and the like are there already, and must be set aside while a table is loaded.
    private(set) var isFinal = false
    private let tables: [PGTable]
    private let catalog: PGCatalog

    init(_ catalog: PGCatalog, _ sides: Sides, source: PGConnection) throws {
        self.catalog = catalog
        tables = catalog.loadable
        missing = try Dictionary(
            uniqueKeysWithValues: tables.map { ($0.oid, try TableRange.copying($0, sides, from: source)) })
    }

    func isDone(_ table: PGTable) -> Bool { missing[table.oid]?.isEmpty ?? true }

    /// After a finished copy nothing that is recorded is copied again.
    mutating func keepAll(_ found: [String: [Ledger.Range]]) {
        for table in tables where found[table.quoted] != nil { missing[table.oid] = [] }
    }

    mutating func examine(
        _ found: [String: [Ledger.Range]], _ hash: RowHash, _ snapshot: SourceSnapshot, _ digests: TableDigests,
        _ loader: PGConnection
    ) throws {
        guard !found.isEmpty else { return }
        isFinal = try Ledger.value(loader, "finals") != nil
        var comparable: [(table: PGTable, range: TableRange)] = []
        for table in tables {
            for item in found[table.quoted] ?? [] where item.digest != nil {
                // The table may have grown: its last range, which had no end, has one now.
                guard let range = missing[table.oid]?.first(where: { $0.first == item.range.first }) else { continue }
                comparable.append((table, range))
            }
        }
        let source = try digests.run(ranges: comparable, hash: hash, side: .source(snapshot))
        var changed: [(table: PGTable, stale: [Ledger.Range])] = []
        for table in tables {
            guard let items = found[table.quoted] else { continue }
            let planned = missing[table.oid] ?? []
            var stale: [Ledger.Range] = []
            var good: Set<TableRange> = []
            for item in items {
                let range = planned.first { $0.first == item.range.first }
                let now = range.flatMap { source[table.quoted]?[$0] }
                if let range, let now, let digest = item.digest,
                    now.rows == item.count.rows, now.first == digest.first, now.second == digest.second
                {
                    good.insert(range)
                } else {
                    stale.append(item)
                }
            }
            missing[table.oid] = planned.filter { !good.contains($0) }
            guard !stale.isEmpty else { continue }
            // What is set aside for a load binds the whole table, so then it is loaded as one.
            if isFinal { missing[table.oid] = [.whole] }
            changed.append((table, stale))
        }
        // A key that was checked before these rows come must be checked again.
        try ForeignKeys.drop(catalog, of: tables.filter { !isDone($0) } + changed.map(\.table), loader)
        for (table, stale) in changed where missing[table.oid] != [.whole] { try remove(stale, of: table, loader) }
    }

    /// Removes the rows that the transactions of these ranges wrote.
    private func remove(_ stale: [Ledger.Range], of table: PGTable, _ loader: PGConnection) throws {
        let transactions = stale.map(\.transaction)
        // A row carries the lower half of the number.
        let marks = transactions.map { "\($0 & 0xffff_ffff)" }.joined(separator: ",")
        do {
            try loader.transaction {
                try loader.query(
                    "DELETE FROM ONLY \(table.quoted) WHERE xmin::text::int8 = ANY ($1::int8[])", ["{\(marks)}"])
                try Ledger.forget(loader, table: table.quoted, transactions: transactions)
            }
        } catch let error as PGError {
            throw error.basculeError("removing what has changed since", at: .thing(table.shown))
        }
    }
}
