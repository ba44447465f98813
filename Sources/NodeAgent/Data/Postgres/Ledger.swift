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
            CREATE TABLE IF NOT EXISTS bascule.tables (name text PRIMARY KEY, rows bigint NOT NULL,
                bytes bigint NOT NULL, snapshot text NOT NULL, done timestamptz NOT NULL DEFAULT clock_timestamp());
            GRANT USAGE ON SCHEMA bascule TO \(role);
            GRANT SELECT, INSERT, UPDATE, DELETE ON bascule.move, bascule.tables TO \(role);
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

    static func done(_ connection: PGConnection) throws -> Set<String> {
        Set(try connection.query("SELECT name FROM bascule.tables").rows.map { $0[0] ?? "" })
    }

    static func record(_ connection: PGConnection, table: String, count: CopyCount, snapshot: String) throws {
        try connection.query(
            """
            INSERT INTO bascule.tables (name, rows, bytes, snapshot) VALUES ($1, $2::int8, $3::int8, $4)
            ON CONFLICT (name) DO UPDATE SET rows = excluded.rows, bytes = excluded.bytes,
                snapshot = excluded.snapshot, done = clock_timestamp()
            """, [table, "\(count.rows)", "\(count.bytes)", snapshot])
    }
}
