import BasculeModel
import Glibc

/// Whether anything can have changed in a PostgreSQL server, without asking it.
///
/// Every commit writes to the write-ahead log, and every ALTER SYSTEM to a file: where neither was written to, roles and
/// databases are what they were.
package struct PostgresPulse: Hashable, Sendable {
    private var newest: Int64 = 0
    private var files = 0
    private var settings: FileIdentity?
    private var lock: FileIdentity?

    /// nil where the server does not run, or is not this node's.
    package init?(_ server: PostgresServer) {
        let path = "\(server.socket)/.s.PGSQL.\(server.port).lock"
        lock = FileIdentity(path: path)
        guard lock != nil, let bytes = (try? AtomicFile.read(path)) ?? nil else { return nil }
        // Second line of the socket's lock file: the data directory.
        let lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
        guard lines.count > 1 else { return nil }
        let data = String(decoding: lines[1], as: UTF8.self)
        guard let names = directoryNames("\(data)/pg_wal") else { return nil }
        settings = FileIdentity(path: "\(data)/postgresql.auto.conf")
        for name in names {
            guard let file = FileIdentity(path: "\(data)/pg_wal/\(name)") else { continue }
            files += 1
            newest = max(newest, file.modified)
        }
    }
}

extension PostgresServer {
    /// Whether somebody fences a database of this server: its roles have other rights on purpose.
    package func isFenced() throws -> Bool {
        let rows = try PostgresSession(self, database: "postgres").query(
            "SELECT 1 FROM pg_db_role_setting, unnest(setconfig) AS word WHERE word LIKE 'bascule.fence=%' LIMIT 1")
        return !rows.isEmpty
    }
}

extension Resource {
    /// The server that a role, database, extension or setting is in.
    package var postgresServer: PostgresServer? {
        switch self {
        case .postgresRole(let spec): spec.server
        case .postgresDatabase(let spec): spec.server
        case .postgresExtension(let spec): spec.server
        case .postgresSetting(let spec): spec.server
        default: nil
        }
    }
}
