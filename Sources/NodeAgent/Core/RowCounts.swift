import BasculeModel
import BasculeResources

/// How many rows each table of a local database has, and how many were deleted since its statistics began.
enum RowCounts {
    struct Count: Sendable {
        var rows: Int64
        var deleted: Int64
    }

    /// By table, as the movers write it: schema and name, each quoted.
    static func read(_ move: PostgresMove) throws -> [String: Count] {
        let query = """
            SELECT '"' || replace(schemaname, '"', '""') || '"."' || replace(relname, '"', '""') || '"',
              (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %I.%I', schemaname, relname), false, true, '')))[1]::text,
              n_tup_del
            FROM pg_stat_user_tables
            """
        var options = Subprocess.Options()
        options.user = move.targetUser
        options.deadline = .seconds(600)
        let outcome = try Subprocess.run(
            [
                "psql", "-AtX", "-F", "\t", "-h", move.targetSocket, "-p", "\(move.targetPort)", "-d",
                move.targetDatabase, "-c", query,
            ], options)
        guard outcome.status == 0 else {
            throw BasculeError(
                .commandFailed, "the rows of \(move.targetDatabase) could not be counted", cause: outcome.cause())
        }
        var counts: [String: Count] = [:]
        for line in outcome.text.split(separator: "\n") {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count == 3, let rows = Int64(fields[1]), let deleted = Int64(fields[2]) else { continue }
            counts[String(fields[0])] = Count(rows: rows, deleted: deleted)
        }
        return counts
    }
}
