/// The order in which tables get their indexes.
enum BuildOrder {
    /// By table, the higher the earlier: the largest, then what its foreign keys lead to, then the next. The check of a
    /// large table's keys is the longest work that nothing shares, and can start when these are built.
    static func ranks(_ catalog: PGCatalog) -> [Int64: Int64] {
        var sizes: [Int64: Int64] = [:]
        for table in catalog.tables { sizes[table.oid] = table.bytes }
        var targets: [Int64: [Int64]] = [:]
        for key in catalog.constraints where key.type == "f" {
            targets[key.table, default: []].append(key.foreignTable)
        }
        func ascending(_ oids: [Int64]) -> [Int64] {
            oids.sorted { one, other in (sizes[one] ?? 0, one) < (sizes[other] ?? 0, other) }
        }
        var ranks: [Int64: Int64] = [:]
        for oid in ascending(catalog.tables.map(\.oid)).reversed() {
            for each in [oid] + ascending(targets[oid] ?? []) where ranks[each] == nil {
                // The first one is the highest; as many as fit before an index's size.
                ranks[each] = max(0, 1 << 18 - 1 - Int64(ranks.count))
            }
        }
        return ranks
    }
}
