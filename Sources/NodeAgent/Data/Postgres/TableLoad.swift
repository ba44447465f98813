import BasculeModel
import BasculePostgres

/// Copies one table's rows and records it, in one transaction at the target: done wholly or not at all.
struct TableLoad {
    let source: PGConnection
    let target: PGConnection
    let snapshot: String
    /// True once triggers, forced row security and foreign keys may exist, as in a sync.
    let afterwards: Bool

    /// Throws `BasculeError`; a row that the target refuses is named with its table, key and column.
    func run(_ table: PGTable, tick: (CopyCount) throws -> Void) throws -> CopyCount {
        let format = table.copied.allSatisfy(\.isPortable) ? "binary" : "text"
        let columns = table.copied.map { PGQuote.identifier($0.name) }.joined(separator: ", ")
        let list = columns.isEmpty ? "" : " (\(columns))"
        do {
            return try target.transaction {
                let restore = afterwards ? try disarm(table) : []
                // In the transaction that empties the table its rows can be frozen at once: no second write later.
                try target.query("TRUNCATE ONLY \(table.quoted)")
                let count = try target.copy(
                    from: source, out: "COPY \(table.quoted)\(list) TO STDOUT (FORMAT \(format))",
                    in: "COPY \(table.quoted)\(list) FROM STDIN (FORMAT \(format), FREEZE)", tick: tick)
                for statement in restore { try target.query(statement) }
                try Ledger.record(target, table: table.quoted, count: count, snapshot: snapshot)
                return count
            }
        } catch let failure as CopyFailure {
            throw named(failure, table)
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

    private func named(_ failure: CopyFailure, _ table: PGTable) -> BasculeError {
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
        if let line, let key = key(of: line, in: table) { place += " key \(key)" }
        if let column { place += " column \(column)" }
        return BasculeError(
            .rowRefused, "A row of the source cannot be stored at the target", at: .thing(place),
            cause: "SQLSTATE \(error.state)",
            hint: "Correct the row at the source, or the column's type, and run again.")
    }

    // The same scan in the same snapshot meets rows in the same order.
    private func key(of line: Int64, in table: PGTable) -> String? {
        guard !table.key.isEmpty else { return nil }
        let columns = table.key.map { PGQuote.identifier($0) }.joined(separator: ", ")
        _ = try? source.script(
            """
            SET max_parallel_workers_per_gather = 0; SET enable_indexscan = off; SET enable_indexonlyscan = off;
            SET enable_bitmapscan = off
            """)
        let sql = "SELECT ROW(\(columns))::text FROM ONLY \(table.quoted) OFFSET $1::int8 LIMIT 1"
        return (try? source.query(sql, ["\(line - 1)"]))?.scalar
    }
}
