import BasculeModel
import BasculePostgres

/// Finds the rows in which a table differs: first by buckets of keys, then by key within the buckets that differ.
struct Bisect {
    let source: PGConnection
    let target: PGConnection
    let hash: RowHash
    /// Differences reported for a table.
    var limit = 20

    private struct Entry: Equatable {
        var count: String
        var first: String
        var second: String
        var shown: String
    }

    func run(_ table: PGTable, rows: Int64) throws -> [PostgresRowDifference] {
        let buckets = max(16, min(16384, rows / 256))
        let left = try query(source, byBucket(table, buckets), table)
        let right = try query(target, byBucket(table, buckets), table)
        var suspects = Set(left.keys).union(right.keys).filter { left[$0] != right[$0] }.sorted()[...]
        var found: [PostgresRowDifference] = []
        while !suspects.isEmpty, found.count < limit {
            let some = Array(suspects.prefix(16))
            suspects = suspects.dropFirst(16)
            let sql = byKey(table, buckets, some)
            found += compare(try query(source, sql, table), try query(target, sql, table), table)
        }
        return Array(found.prefix(limit))
    }

    private func compare(
        _ left: [String: Entry], _ right: [String: Entry], _ table: PGTable
    ) -> [PostgresRowDifference] {
        Set(left.keys).union(right.keys).sorted().compactMap { key in
            let (one, other) = (left[key], right[key])
            let kind: PostgresRowDifference.Kind
            switch (one, other) {
            case (.some, .none): kind = .missing
            case (.none, .some): kind = .extra
            case (.some(let one), .some(let other)):
                if one.count == other.count, one.first == other.first, one.second == other.second { return nil }
                // Without a key the hash is the key: another count means rows too many or too few.
                let fewer = (Int64(one.count) ?? 0) > (Int64(other.count) ?? 0)
                kind = table.key.isEmpty ? (fewer ? .missing : .extra) : .changed
            case (.none, .none): return nil
            }
            let place = one ?? other
            return PostgresRowDifference(
                table: table.shown, kind: kind, key: table.key.isEmpty ? "ctid \(place?.shown ?? "")" : key)
        }
    }

    private func rows(_ table: PGTable) -> String {
        let key =
            table.key.isEmpty
            ? "''" : "ROW(\(table.key.map { PGQuote.identifier($0) }.joined(separator: ", ")))::text COLLATE \"C\""
        return
            "SELECT \(key) AS k, ctid AS place, \(RowHash.wire(table.columns)) AS h FROM ONLY \(table.quoted) OFFSET 0"
    }

    private func bucket(_ table: PGTable, _ buckets: Int64) -> String {
        let number = table.key.isEmpty ? hash.halves.0 : "hashtextextended(k, 0)"
        return "mod(\(number), \(buckets))"
    }

    private func byBucket(_ table: PGTable, _ buckets: Int64) -> String {
        """
        SELECT \(bucket(table, buckets))::text, count(*), sum(\(hash.halves.0)), sum(\(hash.halves.1)), ''
        FROM (\(rows(table))) x GROUP BY 1
        """
    }

    private func byKey(_ table: PGTable, _ buckets: Int64, _ some: [String]) -> String {
        let key = table.key.isEmpty ? "\(hash.halves.0)::text || ':' || \(hash.halves.1)::text" : "k"
        return """
            SELECT \(key), count(*), sum(\(hash.halves.0)), sum(\(hash.halves.1)), min(place::text)
            FROM (\(rows(table))) x WHERE \(bucket(table, buckets)) IN (\(some.joined(separator: ", "))) GROUP BY 1
            """
    }

    private func query(_ connection: PGConnection, _ sql: String, _ table: PGTable) throws -> [String: Entry] {
        do {
            return Dictionary(
                try connection.query(sql).rows.map { row in
                    (
                        row[0] ?? "",
                        Entry(
                            count: row[1] ?? "", first: row[2] ?? "", second: row[3] ?? "", shown: row[4] ?? "")
                    )
                }, uniquingKeysWith: { first, _ in first })
        } catch { throw error.basculeError("looking for differing rows", at: .thing(table.shown)) }
    }
}
