import BasculeModel
import BasculePostgres

/// Digests of the rows with given keys: index look-ups, so that the cost is that of the keys and not of the table.
struct KeyDigest {
    let hash: RowHash
    let table: PGTable
    let key: [String]

    struct Sum: Equatable {
        var rows: Int64 = 0
        var first = HashSum(nil)
        var second = HashSum(nil)

        static func + (left: Sum, right: Sum) -> Sum {
            Sum(rows: left.rows + right.rows, first: left.first + right.first, second: left.second + right.second)
        }
        static func - (left: Sum, right: Sum) -> Sum {
            Sum(rows: left.rows - right.rows, first: left.first - right.first, second: left.second - right.second)
        }
    }

    private var names: String { key.map { PGQuote.identifier($0) }.joined(separator: ", ") }

    /// The rows asked for, as a condition with one array parameter a key column.
    private var condition: String {
        let arrays = key.enumerated().map { place, name in
            "$\(place + 1)::\(table.columns.first { $0.name == name }?.type ?? "text")[]"
        }
        return "(\(names)) IN (SELECT * FROM unnest(\(arrays.joined(separator: ", "))))"
    }

    private func parameters(_ keys: [[String]]) -> [String?] {
        key.indices.map { place in PGQuote.array(keys.map { $0[place] }) }
    }

    func sum(_ keys: [[String]], _ connection: PGConnection) throws -> Sum {
        guard !keys.isEmpty else { return Sum() }
        let rows: PGRows
        do {
            rows = try connection.query(
                """
                SELECT count(*), coalesce(sum(\(hash.halves.0)), 0), coalesce(sum(\(hash.halves.1)), 0)
                FROM (SELECT \(RowHash.wire(table.columns)) AS h FROM ONLY \(table.quoted)
                    WHERE \(condition) OFFSET 0) x
                """, parameters(keys))
        } catch { throw error.basculeError("comparing touched rows", at: .thing(table.shown)) }
        let row = rows.rows.first ?? [nil, nil, nil]
        return Sum(rows: number(row[0]), first: HashSum(row[1]), second: HashSum(row[2]))
    }

    /// Each row by its key.
    private func each(_ keys: [[String]], _ connection: PGConnection) throws -> [String: [String?]] {
        do {
            let rows = try connection.query(
                """
                SELECT k, \(hash.halves.0), \(hash.halves.1) FROM (SELECT ROW(\(names))::text AS k,
                    \(RowHash.wire(table.columns)) AS h FROM ONLY \(table.quoted) WHERE \(condition) OFFSET 0) x
                """, parameters(keys))
            return Dictionary(rows.rows.map { ($0[0] ?? "", [$0[1], $0[2]]) }, uniquingKeysWith: { one, _ in one })
        } catch { throw error.basculeError("comparing touched rows", at: .thing(table.shown)) }
    }

    /// The rows that are not the same, at most `limit`.
    func differences(
        _ keys: [[String]], source: PGConnection, target: PGConnection, limit: Int = 20
    ) throws -> [PostgresRowDifference] {
        let here = try each(keys, source)
        let there = try each(keys, target)
        return Set(here.keys).union(there.keys).filter { here[$0] != there[$0] }.sorted().prefix(limit).map { key in
            PostgresRowDifference(
                table: table.shown, kind: here[key] == nil ? .extra : there[key] == nil ? .missing : .changed, key: key)
        }
    }
}

extension HashSum {
    static func - (left: HashSum, right: HashSum) -> HashSum { left + right.negative }
}
