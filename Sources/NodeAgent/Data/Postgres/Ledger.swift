import BasculeModel
import BasculePostgres

/// What a move has done, kept in the target database (schema `bascule`), so that it commits together with the work.
struct Ledger {
    /// Makes the schema; by the superuser. The owner, as whom the rows are loaded, may write in it.
    static func prepare(_ admin: PGConnection, owner: String) throws {
        let role = PGQuote.identifier(owner)
        try admin.script(
            """
            SET client_min_messages = error;
            CREATE SCHEMA IF NOT EXISTS bascule;
            CREATE TABLE IF NOT EXISTS bascule.move (key text PRIMARY KEY, value text NOT NULL);
            CREATE TABLE IF NOT EXISTS bascule.ranges (name text NOT NULL, first bigint NOT NULL, "end" bigint,
                rows bigint NOT NULL, bytes bigint NOT NULL, sum1 text, sum2 text, run text NOT NULL,
                xid bigint NOT NULL, PRIMARY KEY (name, first));
            GRANT USAGE ON SCHEMA bascule TO \(role);
            GRANT SELECT, INSERT, UPDATE, DELETE ON bascule.move, bascule.ranges TO \(role);
            """)
    }

    static func exists(_ connection: PGConnection) throws -> Bool {
        try connection.query("SELECT to_regclass('bascule.move')").scalar != nil
    }

    static func value(_ connection: PGConnection, _ key: String) throws -> String? {
        try connection.query("SELECT value FROM bascule.move WHERE key = $1", [key]).scalar
    }

    static func set(_ connection: PGConnection, _ key: String, _ value: String) throws {
        try connection.query(
            "INSERT INTO bascule.move VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [key, value])
    }

    /// The tables that a list in the ledger names, quoted. The owner may write in the ledger, and a superuser reads it:
    /// what it names is looked for in the catalog, and nothing of it reaches a statement.
    static func tables(_ connection: PGConnection, _ key: String) throws -> [String] {
        guard let list = try value(connection, key) else { return [] }
        var named: Set<String> = []
        do {
            for row in try connection.query("SELECT unnest($1::text[])", [list]).rows { named.insert(row[0] ?? "") }
        } catch {
            guard !error.isConnection else { throw error }
            return []
        }
        var found: [String] = []
        for row in try connection.query(
            """
            SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384
            """
        ).rows {
            let name = PGQuote.identifier(row[0] ?? "", row[1] ?? "")
            if named.contains(name) { found.append(name) }
        }
        return found
    }

    /// A part of a table that is at the target.
    struct Range: Sendable {
        var range: TableRange
        var count: CopyCount
        /// The digest taken as it passed; nil where none was.
        var digest: (first: String, second: String)?
        /// Which snapshot it is from.
        var run: String
        /// The transaction that wrote it, which its rows carry.
        var transaction: Int64
    }

    /// What is at the target, by table.
    static func ranges(_ connection: PGConnection) throws -> [String: [Range]] {
        let rows = try connection.query(
            """
            SELECT name, first, "end", rows, bytes, sum1, sum2, run, xid FROM bascule.ranges ORDER BY name, first
            """
        ).rows
        return Dictionary(grouping: rows) { $0[0] ?? "" }.mapValues { rows in
            rows.map { row in
                var digest: (String, String)?
                if let first = row[5], let second = row[6] { digest = (first, second) }
                return Range(
                    range: TableRange(first: number(row[1]), end: row[2].flatMap { Int64($0) }),
                    count: CopyCount(rows: number(row[3]), bytes: number(row[4])), digest: digest, run: row[7] ?? "",
                    transaction: number(row[8]))
            }
        }
    }

    /// In the transaction that wrote the rows.
    static func record(
        _ connection: PGConnection, table: String, range: TableRange, count: CopyCount,
        digest: (first: String, second: String)?, run: String
    ) throws {
        if range.isWhole { try connection.query("DELETE FROM bascule.ranges WHERE name = $1", [table]) }
        try connection.query(
            """
            INSERT INTO bascule.ranges VALUES ($1, $2::int8, $3::int8, $4::int8, $5::int8, $6, $7, $8, txid_current())
            """,
            [
                table, "\(range.first)", range.end.map { "\($0)" }, "\(count.rows)", "\(count.bytes)", digest?.first,
                digest?.second, run,
            ])
    }

    /// Forgets ranges of a table, as its rows go.
    static func forget(_ connection: PGConnection, table: String, transactions: [Int64]) throws {
        try connection.query(
            "DELETE FROM bascule.ranges WHERE name = $1 AND xid = ANY ($2::int8[])",
            [table, "{\(transactions.map { "\($0)" }.joined(separator: ","))}"])
    }

    /// The keys of the row hashes, the same for all runs of a move.
    static func hash(_ connection: PGConnection) throws -> RowHash {
        let fresh = RowHash.random()
        try connection.query(
            "INSERT INTO bascule.move VALUES ('seeds', $1) ON CONFLICT (key) DO NOTHING",
            [fresh.seeds.map { "\($0)" }.joined(separator: " ")])
        let seeds = (try value(connection, "seeds") ?? "").split(separator: " ").compactMap { Int64($0) }
        guard seeds.count == 2 else { throw BasculeError(.defect, "the move's ledger holds no keys of hashes") }
        return RowHash(seeds: seeds)
    }
}
