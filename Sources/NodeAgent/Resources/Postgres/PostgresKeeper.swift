import BasculeModel
import BasculeNet

/// Roles, databases, extensions and settings of the node's PostgreSQL servers.
enum PostgresKeeper {
    static func apply(_ spec: PostgresRoleSpec, _ context: NodeContext) throws {
        let seen = try PostgresObserver([], context).observe(spec)
        let session = try PostgresSession(spec.server, database: "postgres")
        let name = SQL.name(spec.name)
        func word(_ yes: Bool, _ text: String) -> String { yes ? text : "NO\(text)" }
        var options = [
            word(spec.login, "LOGIN"), word(spec.createDatabase, "CREATEDB"), word(spec.replication, "REPLICATION"),
            word(spec.bypassRLS, "BYPASSRLS"),
        ]
        if let limit = spec.connectionLimit { options.append("CONNECTION LIMIT \(limit)") }
        if let secret = spec.password, seen.passwordMatches != true {
            options.append("PASSWORD \(SQL.text(ScramVerifier.make(try context.resolve(secret))))")
        }
        var sql = "\(seen.exists ? "ALTER" : "CREATE") ROLE \(name) WITH \(options.joined(separator: " "));"
        for group in Set(spec.memberOf).subtracting(seen.memberOf).sorted() {
            sql += " GRANT \(SQL.name(group)) TO \(name);"
        }
        _ = try session.query(sql)
    }

    static func apply(_ spec: PostgresDatabaseSpec) throws {
        let session = try PostgresSession(spec.server, database: "postgres")
        let owner = try session.query(
            "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = \(SQL.text(spec.name))")
        if let current = owner.first?.first {
            guard current != spec.owner else { return }
            _ = try session.query("ALTER DATABASE \(SQL.name(spec.name)) OWNER TO \(SQL.name(spec.owner))")
        } else {
            // template0: the only one that takes another locale than its own.
            _ = try session.query(
                """
                CREATE DATABASE \(SQL.name(spec.name)) OWNER \(SQL.name(spec.owner)) TEMPLATE template0 \
                ENCODING \(SQL.text(spec.encoding)) LC_COLLATE \(SQL.text(spec.locale)) LC_CTYPE \(SQL.text(spec.locale))
                """, seconds: 300)
        }
    }

    static func apply(_ spec: PostgresExtensionSpec) throws {
        let session = try PostgresSession(spec.server, database: spec.database)
        _ = try session.query("CREATE EXTENSION IF NOT EXISTS \(SQL.name(spec.name)) CASCADE", seconds: 300)
    }

    /// Settings of one call: all written, one reload, and at most one restart of each server.
    static func apply(_ specs: [PostgresSettingSpec], _ context: NodeContext) throws {
        for server in Set(specs.map(\.server)) {
            let mine = specs.filter { $0.server == server }
            let session = try PostgresSession(server, database: "postgres")
            for spec in mine {
                // ALTER SYSTEM cannot run in a transaction: one statement at a time.
                _ = try session.query("ALTER SYSTEM SET \(SQL.name(spec.name)) TO \(value(spec.name, spec.value))")
            }
            _ = try session.query("SELECT pg_reload_conf()")
            Monotonic.sleep(.milliseconds(100))
            let names = mine.map { SQL.text($0.name) }.joined(separator: ", ")
            let pending = try session.query("SELECT 1 FROM pg_settings WHERE pending_restart AND name IN (\(names))")
            if !pending.isEmpty { try restart(server, session, context) }
        }
    }

    /// Takes a setting out of postgresql.auto.conf, or puts an older value back.
    static func restore(_ spec: PostgresSettingSpec, _ context: NodeContext) throws {
        let session = try PostgresSession(spec.server, database: "postgres")
        _ = try session.query("ALTER SYSTEM RESET \(SQL.name(spec.name))")
        _ = try session.query("SELECT pg_reload_conf()")
        Monotonic.sleep(.milliseconds(100))
        let pending = try session.query(
            "SELECT 1 FROM pg_settings WHERE pending_restart AND name = \(SQL.text(spec.name))")
        if !pending.isEmpty { try restart(spec.server, session, context) }
    }

    private static func restart(
        _ server: PostgresServer, _ session: PostgresSession, _ context: NodeContext
    ) throws {
        let file = try session.query("SHOW config_file").first?.first ?? nil
        let parts = (file ?? "").split(separator: "/").map(String.init)
        // Debian's layout: /etc/postgresql/VERSION/CLUSTER/postgresql.conf.
        guard parts.count == 5, parts[1] == "postgresql" else {
            throw BasculeError(
                .postgresRefused, "The server's configuration is not where Debian puts it, so its unit is not known",
                at: .thing(file ?? "config_file"), hint: "restart the server by hand")
        }
        let unit = "postgresql@\(parts[2])-\(parts[3]).service"
        context.progress("restart \(unit)")
        let outcome = try Systemctl.attempt(["restart", "--", unit])
        guard outcome.status == 0 else { throw Systemctl.failure(unit, "restart", outcome) }
        let end = Deadline.seconds(120)
        while true {
            do {
                _ = try PostgresSession(server, database: "postgres").query("SELECT 1")
                return
            } catch {
                guard !end.passed else { throw error }
                Monotonic.sleep(.milliseconds(100))
            }
        }
    }

    /// Settings that hold a list of quoted names (`GUC_LIST_QUOTE` in PostgreSQL's sources): one constant an element.
    private static let lists: Set<String> = [
        "shared_preload_libraries", "session_preload_libraries", "local_preload_libraries", "search_path",
        "temp_tablespaces", "unix_socket_directories",
    ]

    static func value(_ name: String, _ value: String) -> String {
        guard lists.contains(name) else { return SQL.text(value) }
        let elements = elements(value)
        return elements.isEmpty ? "''" : elements.map(SQL.text).joined(separator: ", ")
    }

    /// Whether two texts are the same list, where the setting is one.
    static func sameList(_ name: String, _ left: String, _ right: String) -> Bool {
        lists.contains(name) && elements(left) == elements(right)
    }

    private static func elements(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.filter { $0 != " " && $0 != "\"" } }.filter { !$0.isEmpty }
    }
}
