import BasculeModel
import BasculePostgres
import Glibc

/// How both databases of a move are reached, with sessions pinned so that values look the same on every server.
struct Sides: Sendable {
    let move: PostgresMove
    let secret: Secret
    /// The first version whose servers read only the pages that are asked for.
    var readsPagesFrom = 14
    /// The name under which the source's sessions appear, so that a fence knows its own.
    static let application = "bascule-mover"

    // Identifiers always come quoted, so that names compare as text and no keyword of one version trips another.
    /// Anything that would change how a value or an expression is written, and every limit that would cut a long copy.
    private static let pinned = [
        ("search_path", "pg_catalog, pg_temp"), ("datestyle", "ISO, YMD"), ("intervalstyle", "postgres"),
        ("timezone", "UTC"), ("extra_float_digits", "3"), ("bytea_output", "hex"), ("xmloption", "content"),
        ("lc_monetary", "C"), ("lc_numeric", "C"), ("lc_time", "C"), ("quote_all_identifiers", "on"),
        ("standard_conforming_strings", "on"), ("array_nulls", "on"), ("jit", "off"), ("statement_timeout", "0"),
        ("lock_timeout", "0"), ("idle_in_transaction_session_timeout", "0"), ("transaction_timeout", "0"),
        ("synchronize_seqscans", "off"),
    ]

    /// A session at the source. `row_security` is off: a hidden row is an error, never silence.
    func source() throws -> PGConnection {
        // On the way back the fence is the target's.
        if move.fencesTarget == true { return try admin() }
        return try PGConnection(
            .conninfo(secret), application: Self.application,
            settings: Self.pinned + [("row_security", "off"), ("default_transaction_read_only", "off")])
    }

    /// A session of the target's superuser, for our own statements only.
    func admin() throws -> PGConnection {
        try PGConnection(
            .local(
                socket: move.targetSocket, port: move.targetPort, database: move.targetDatabase,
                user: move.targetUser, password: nil),
            application: Self.application,
            settings: Self.pinned + [("row_security", "off"), ("default_transaction_read_only", "off")])
    }

    /// A session that may run statements written by the source: it logs in as a role that owns nothing, and acts as the
    /// owner. Not even RESET ROLE makes a superuser of it.
    func loading(as login: LoadingRole) throws -> PGConnection {
        let settings =
            Self.pinned + [
                ("synchronous_commit", "off"), ("check_function_bodies", "off"),
                ("default_transaction_read_only", "off"),
                ("maintenance_work_mem", "\(LoadMemory.maintenance(parallelism: move.parallelism))MB"),
                ("session_replication_role", "replica"), ("default_tablespace", ""),
            ] + login.sparing
        let connection = try login.connect(move: move, settings: settings)
        do { try connection.query("SET ROLE \(PGQuote.identifier(move.owner))") } catch {
            throw error.basculeError("acting as the owner", at: .thing(connection.place))
        }
        return connection
    }
}

/// The role of the sessions that load: made for a move, with a password that only this process knows.
struct LoadingRole: Sendable {
    let name: String
    let password: Secret
    /// The socket's directory, or the loopback address where the socket wants peer authentication.
    let host: String
    /// Settings that keep the server from writing more than it must.
    var sparing: [(String, String)] = []

    /// Makes the role or renews its password, and finds out how it can log in.
    static func prepare(_ sides: Sides, admin: PGConnection) throws -> LoadingRole {
        let move = sides.move
        let name = try self.name(admin)
        var generator = SystemRandomNumberGenerator()
        let hex = (0..<4).map { _ in String(generator.next() as UInt64, radix: 36) }.joined()
        let role = PGQuote.identifier(name)
        try claim(admin, loader: name)
        let sparing: [(String, String)]
        do {
            sparing = try self.sparing(admin)
            // The password must not reach the server's log.
            try admin.script("SET log_statement = 'none'; SET log_min_duration_statement = -1")
            try admin.script("SET password_encryption = 'scram-sha-256'")
            if try admin.query("SELECT FROM pg_roles WHERE rolname = $1", [name]).isEmpty {
                try admin.query("CREATE ROLE \(role) NOINHERIT")
            }
            try admin.query(
                """
                ALTER ROLE \(role) LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
                PASSWORD \(PGQuote.literal(hex))
                """)
            try admin.query("GRANT \(PGQuote.identifier(move.owner)) TO \(role)")
            let parameters = ["session_replication_role"] + sparing.map(\.0)
            try grantSetting(parameters.joined(separator: ", "), to: role, admin)
            try admin.query("GRANT CONNECT ON DATABASE \(PGQuote.identifier(move.targetDatabase)) TO \(role)")
        } catch {
            throw error.basculeError(
                "making the loading role", at: .thing(admin.place),
                hint: error.state == "42704" ? "The owner role \(move.owner) must exist before the move." : nil)
        }
        var login = try reachable(name: name, password: Secret(hex), move: move)
        login.sparing = sparing
        return login
    }

    /// Parameters' rights are the server's: another database's move may write them in the same moment.
    private static func grantSetting(_ parameters: String, to role: String, _ admin: PGConnection) throws(PGError) {
        for attempt in 1... {
            do { return _ = try admin.query("GRANT SET ON PARAMETER \(parameters) TO \(role)") } catch {
                // tuple concurrently updated
                guard error.state == "XX000", attempt < 10 else { throw error }
                usleep(20_000)
            }
        }
    }

    /// New files of WAL are not written with zeros before they are written with WAL: a load fills gigabytes of them, once.
    /// Pages of new indexes go there compressed, where the server can, unless it is told how already.
    private static func sparing(_ admin: PGConnection) throws(PGError) -> [(String, String)] {
        let canCompress = try admin.query(
            """
            SELECT FROM pg_settings WHERE name = 'wal_compression' AND setting = 'off' AND 'lz4' = ANY (enumvals)
            """)
        return [("wal_init_zero", "off")] + (canCompress.isEmpty ? [] : [("wal_compression", "lz4")])
    }

    /// One mover a database at a time; what a killed one left running at the server is ended and waited for, because
    /// the server itself notices a dead client only when it has something to say to it.
    private static func claim(_ admin: PGConnection, loader: String) throws {
        let mine = try admin.query("SELECT pg_try_advisory_lock(hashtextextended('bascule', 0))").scalar
        guard mine == "t" else {
            throw BasculeError(
                .moveRunning, "Another move into this database is running", at: .thing(admin.place),
                hint: "Wait for it to end, or cancel it.")
        }
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1"
        for _ in 0..<200 where try !admin.query(end, [loader]).isEmpty { usleep(50_000) }
    }

    private static func name(_ admin: PGConnection) throws -> String {
        // By number: two databases of one server may be loaded at the same time.
        "bascule_load_\(try admin.query("SELECT oid FROM pg_database WHERE datname = current_database()").scalar ?? "")"
    }

    private static func reachable(name: String, password: Secret, move: PostgresMove) throws -> LoadingRole {
        var last: any Error = BasculeError(.defect, "no way to log in was tried")
        for host in [move.targetSocket, "127.0.0.1"] {
            let role = LoadingRole(name: name, password: password, host: host)
            do {
                _ = try role.connect(move: move, settings: [])
                return role
            } catch { last = error }
        }
        throw BasculeError(
            .postgresConnection, "The role that loads the data cannot log in at the target",
            at: .thing("\(move.targetSocket):\(move.targetPort)/\(move.targetDatabase)"),
            cause: (last as? BasculeError)?.cause ?? "\(last)",
            hint: "Let pg_hba.conf accept scram-sha-256 from 127.0.0.1 (Debian's default) or over the socket.")
    }

    func connect(move: PostgresMove, settings: [(String, String)]) throws -> PGConnection {
        try PGConnection(
            .local(socket: host, port: move.targetPort, database: move.targetDatabase, user: name, password: password),
            application: Sides.application, settings: settings)
    }

    /// The role can no longer log in; `drop` removes it for good.
    func retire(_ admin: PGConnection) {
        _ = try? admin.query("ALTER ROLE \(PGQuote.identifier(name)) NOLOGIN PASSWORD NULL")
    }

    static func drop(_ admin: PGConnection) throws {
        let name = try self.name(admin)
        guard try !admin.query("SELECT FROM pg_roles WHERE rolname = $1", [name]).isEmpty else { return }
        try admin.query("DROP OWNED BY \(PGQuote.identifier(name))")
        // DROP OWNED forgets rights on databases and parameters too; memberships go with the role.
        try admin.query("DROP ROLE \(PGQuote.identifier(name))")
    }
}
