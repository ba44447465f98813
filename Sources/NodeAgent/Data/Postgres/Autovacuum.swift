import BasculeModel
import BasculePostgres

/// Keeps autovacuum away from the tables of a copy: a vacuum in the middle would read and write all rows once more, and
/// index builds would wait for it. The ledger knows the tables, whatever becomes of the copy.
enum Autovacuum {
    private static let key = "unattended"

    /// In the transaction that makes the tables. Those for which the source says what autovacuum shall do are left alone.
    static func pause(_ tables: [PGTable], _ loader: PGConnection) throws {
        let names = tables.filter { $0.options?.contains("autovacuum_enabled") != true }.map(\.quoted)
        for name in names { try loader.query("ALTER TABLE \(name) SET (autovacuum_enabled = off)") }
        try Ledger.set(loader, key, PGQuote.array(names))
    }

    /// At the end, or when the move is given up.
    static func resume(_ connection: PGConnection) throws {
        for name in try Ledger.tables(connection, key) {
            try connection.query("ALTER TABLE \(name) RESET (autovacuum_enabled)")
        }
        try connection.query("DELETE FROM bascule.move WHERE key = $1", [key])
    }
}
