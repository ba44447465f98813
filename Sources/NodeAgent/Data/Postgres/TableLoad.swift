import BasculeModel
import BasculePostgres

/// Copies the rows of a table, or of a part of it, and records that, in one transaction at the target: done wholly or
/// not at all.
struct TableLoad {
    let source: PGConnection
    let target: PGConnection
    /// As `SourceSnapshot.run`.
    let run: String
    /// True once triggers, forced row security and foreign keys may exist, as in a sync.
    let afterwards: Bool
    /// With it, rows are digested as they pass.
    var hash: RowHash?

    /// A whole table is emptied before. Throws `BasculeError`; a row that the target refuses is named with its table,
    /// key and column.
    func run(
        _ table: PGTable, range: TableRange = .whole, tick: (CopyCount) throws -> Void
    ) throws -> CopyCount {
        let isText = RowHash.isText(table.copied)
        let format = isText ? "text" : "binary"
        let columns = table.copied.map { PGQuote.identifier($0.name) }.joined(separator: ", ")
        let list = columns.isEmpty ? "" : " (\(columns))"
        let from =
            range.isWhole
            ? "\(table.quoted)\(list)" : "(SELECT \(columns) FROM ONLY \(table.quoted)\(range.condition)\(range.order))"
        let digest = hash.flatMap {
            CopyDigest(types: table.copied.map(\.typeNumber), isText: isText, seeds: $0.seeds)
        }
        do {
            return try target.transaction {
                let restore = afterwards ? try disarm(table) : []
                // In the transaction that empties the table its rows can be frozen at once: no second write later.
                if range.isWhole { try target.query("TRUNCATE ONLY \(table.quoted)") }
                let count = try target.copy(
                    from: source, out: "COPY \(from) TO STDOUT (FORMAT \(format))",
                    in: "COPY \(table.quoted)\(list) FROM STDIN (FORMAT \(format), FREEZE \(range.isWhole))",
                    digest: digest, tick: tick)
                for statement in restore { try target.query(statement) }
                let sums = digest?.sums.map { (first: "\($0.first)", second: "\($0.second)") }
                try Ledger.record(
                    target, table: table.quoted, range: range, count: count,
                    digest: digest?.sums?.rows == count.rows ? sums : nil, run: run)
                return count
            }
        } catch let failure as CopyFailure {
            throw named(failure, table, range)
        } catch let error as PGError {
            throw error.basculeError("copying a table", at: .thing(table.shown))
        }
    }

    /// Triggers that fire even for replicas, and row security that binds the owner, stay away during the load.
    private func disarm(_ table: PGTable) throws -> [String] {
        var restore: [String] = []
        let triggers = try target.query(
            "SELECT quote_ident(tgname), tgenabled FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal",
            [table.quoted])
        for row in triggers.rows where row[1] == "A" || row[1] == "R" {
            try target.query("ALTER TABLE \(table.quoted) DISABLE TRIGGER \(row[0] ?? "")")
            restore.append(
                "ALTER TABLE \(table.quoted) ENABLE \(row[1] == "A" ? "ALWAYS" : "REPLICA") TRIGGER \(row[0] ?? "")")
        }
        let forced = try target.query(
            "SELECT relforcerowsecurity FROM pg_class WHERE oid = $1::regclass", [table.quoted]
        ).scalar
        if forced == "t" {
            try target.query("ALTER TABLE \(table.quoted) NO FORCE ROW LEVEL SECURITY")
            restore.append("ALTER TABLE \(table.quoted) FORCE ROW LEVEL SECURITY")
        }
        return restore
    }

    private func named(_ failure: CopyFailure, _ table: PGTable, _ range: TableRange) -> BasculeError {
        let error = failure.error
        guard failure.side == .target, error.state.hasPrefix("22") || error.state.hasPrefix("23") else {
            return error.basculeError(
                failure.side == .source ? "reading a table from the source" : "writing a table to the target",
                at: .thing(table.shown))
        }
        // COPY's context ends with the value itself, which is a customer's and none of a log's business.
        let context = error.context ?? ""
        let parts = context.split(separator: ",").map { $0.drop { $0 == " " } }
        let line = parts.first { $0.hasPrefix("line ") }.flatMap { part in
            Int64(part.dropFirst(5).prefix { $0.isNumber })
        }
        let column = parts.first { $0.hasPrefix("column ") }.map { part in part.dropFirst(7).prefix { $0 != ":" } }
        var place = table.shown
        if let line { place += " row \(line)" }
        if let line, let key = key(of: line, in: table, range) { place += " key \(key)" }
        if let column { place += " column \(column)" }
        return BasculeError(
            .rowRefused, "A row of the source cannot be stored at the target", at: .thing(place),
            cause: "SQLSTATE \(error.state)",
            hint: "Correct the row at the source, or the column's type, and run again.")
    }

    // The same scan in the same snapshot meets rows in the same order.
    private func key(of line: Int64, in table: PGTable, _ range: TableRange) -> String? {
        guard !table.key.isEmpty else { return nil }
        let columns = table.key.map { PGQuote.identifier($0) }.joined(separator: ", ")
        _ = try? source.script(
            """
            SET max_parallel_workers_per_gather = 0; SET enable_indexscan = off; SET enable_indexonlyscan = off;
            SET enable_bitmapscan = off
            """)
        let from = "FROM ONLY \(table.quoted)\(range.condition)\(range.order)"
        let sql = "SELECT ROW(\(columns))::text \(from) OFFSET $1::int8 LIMIT 1"
        return (try? source.query(sql, ["\(line - 1)"]))?.scalar
    }
}
