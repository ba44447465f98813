import BasculeCrypto
import BasculeModel
import BasculeNet
import Glibc

/// What a comparison needs on its node: a database and a role of its own, a second PgBouncer with the first one's
/// settings, and pgbench, each as a unit of its own so that neither counts as the agent.
struct PoolBench {
    /// The database, and the role that owns it.
    static let name = "bascule_pooling"
    static let directory = "/run/bascule-pooling"
    private static let pooler = "bascule-pooling-pgbouncer"
    private static let client = "bascule-pooling-pgbench"
    /// What a row of pgbench_accounts and its index take, measured: 15 MB for 100,000.
    private static let bytesPerScale = 15 << 20
    /// Files of PgBouncer's, in which the settings stand that count here.
    private static let settings = ["/etc/pgbouncer/pgbouncer.ini", "/etc/pgbouncer/bascule-pools.ini"]
    private static let wanted: Set<String> = [
        "pool_mode", "default_pool_size", "max_client_conn", "max_prepared_statements", "server_reset_query",
        "server_reset_query_always", "server_check_delay", "query_wait_timeout", "ignore_startup_parameters",
        "pkt_buf", "sbuf_loopcnt", "reserve_pool_size", "reserve_pool_timeout", "server_lifetime", "max_db_connections",
    ]

    private let server: PostgresServer
    private let program: String
    private let poolPort: Int
    private let password = RandomBytes.password()

    /// Finds pgbench of the server's own version.
    init(_ server: PostgresServer) throws {
        self.server = server
        let session = try PostgresSession(server, database: "postgres")
        let version = try session.query("SELECT current_setting('server_version_num')::int / 10000").first?.first ?? nil
        program = "/usr/lib/postgresql/\(version ?? "?")/bin/pgbench"
        guard access(program, X_OK) == 0 else {
            throw BasculeError(
                .unsupported, "pgbench is not installed", at: .thing(program),
                hint: "it comes with Debian's package postgresql-\(version ?? "VERSION")")
        }
        poolPort = try Self.freePort()
    }

    /// Removes what a comparison leaves, this one or one that was cut short.
    func clear() throws {
        for unit in [Self.client, Self.pooler] { _ = try Systemctl.attempt(["stop", "--", "\(unit).service"]) }
        for file in ["users", "pgbouncer.ini", "password"] { unlink("\(Self.directory)/\(file)") }
        rmdir(Self.directory)
        let session = try PostgresSession(server, database: "postgres")
        _ = try session.query("DROP DATABASE IF EXISTS \(Self.name) WITH (FORCE)")
        _ = try session.query("DROP ROLE IF EXISTS \(Self.name)")
    }

    /// Makes the database, fills it, and starts the second PgBouncer.
    func prepare(scale: Int) throws {
        let session = try PostgresSession(server, database: "postgres")
        try requireSpace(session, scale: scale)
        _ = try session.query(
            "CREATE ROLE \(Self.name) LOGIN PASSWORD \(SQL.text(ScramVerifier.make(Secret(password))))")
        _ = try session.query("CREATE DATABASE \(Self.name) OWNER \(Self.name) TEMPLATE template0")
        let owned = Permissions(owner: "postgres", group: "postgres", mode: 0o600)
        try write("password", "127.0.0.1:*:\(Self.name):\(Self.name):\(password)\n", owned)
        try write("users", "\"\(Self.name)\" \"\(password)\"\n", owned)
        try write("pgbouncer.ini", configuration(), owned)
        let account = try AccountDatabase.current().requireUser("postgres")
        guard chmod(Self.directory, 0o700) == 0, chown(Self.directory, account.uid, account.gid) == 0 else {
            throw BasculeError(.defect, "the comparison's folder could not be handed over", at: .thing(Self.directory))
        }
        try pgbench(["--initialize", "--quiet", "--scale", "\(scale)", "--port", "\(server.port)"], seconds: 1800)
        try Subprocess.require(
            unit(Self.pooler, wait: false) + ["/usr/sbin/pgbouncer", "-q", "\(Self.directory)/pgbouncer.ini"],
            "starting the second PgBouncer")
    }

    /// How many more clients the server takes, and its limit.
    func connections() throws -> (left: Int, all: Int) {
        let row = try PostgresSession(server, database: "postgres").query(
            """
            SELECT m - current_setting('superuser_reserved_connections')::int - (SELECT count(*) FROM pg_stat_activity
              WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()), m
            FROM (SELECT current_setting('max_connections')::int AS m) AS settings
            """
        ).first
        return ((row?[0]).flatMap { Int($0) } ?? 0, (row?[1]).flatMap { Int($0) } ?? 0)
    }

    /// One run: transactions a second and milliseconds each.
    func run(_ figure: PoolFigure, seconds: Int, writes: Bool) throws -> (rate: Double, latency: Double) {
        var words = ["--no-vacuum", "--client", "\(figure.clients)", "--time", "\(seconds)"]
        words += ["--jobs", "\(min(figure.clients, max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))))"]
        if !writes { words.append("--select-only") }
        if figure.connects { words.append("--connect") }
        words += ["--port", "\(figure.pooled ? poolPort : server.port)"]
        let text = try pgbench(words, seconds: seconds + 60)
        guard let rate = Self.number(after: "tps = ", in: text), rate > 0,
            let latency = Self.number(after: "latency average = ", in: text)
        else { throw BasculeError(.commandFailed, "pgbench gave no figure", cause: String(text.suffix(300))) }
        return (rate, latency)
    }

    /// The number after the last place of a label in pgbench's report.
    static func number(after label: String, in text: String) -> Double? {
        text.split(separator: "\n").last { $0.hasPrefix(label) }.flatMap {
            Double($0.dropFirst(label.count).prefix { $0.isNumber || $0 == "." })
        }
    }

    /// The second PgBouncer's file: the settings that count, as they are in force in the first.
    func configuration() -> String {
        var found: [String: String] = [:]
        for path in Self.settings {
            guard let bytes = (try? AtomicFile.read(path)) ?? nil else { continue }
            found.merge(Self.settings(in: String(decoding: bytes, as: UTF8.self))) { $1 }
        }
        let lines = found.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" }
        return """
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = \(poolPort)
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = \(Self.directory)/users
            log_connections = 0
            log_disconnections = 0
            \(lines.joined(separator: "\n"))

            [databases]
            \(Self.name) = host=127.0.0.1 port=\(server.port) dbname=\(Self.name)

            """
    }

    /// Settings of PgBouncer's own section that change how fast it is.
    static func settings(in text: String) -> [String: String] {
        var found: [String: String] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix(";") && !line.hasPrefix("#") {
            if line.hasPrefix("[databases]") { break }
            guard let sign = line.firstIndex(of: "=") else { continue }
            let name = line[..<sign].filter { $0 != " " }
            guard wanted.contains(name) else { continue }
            found[name] = String(line[line.index(after: sign)...].drop { $0 == " " })
        }
        return found
    }

    private func write(_ name: String, _ text: String, _ permissions: Permissions) throws {
        try AtomicFile.write("\(Self.directory)/\(name)", Array(text.utf8), permissions, kind: "pooling")
    }

    private func requireSpace(_ session: PostgresSession, scale: Int) throws {
        guard let path = try session.query("SHOW data_directory").first?.first ?? nil else { return }
        var space = statvfs()
        guard statvfs(path, &space) == 0 else { return }
        // As much again for the write-ahead log.
        let (free, needed) = (Int(space.f_bavail) * Int(space.f_frsize), 4 * scale * Self.bytesPerScale + (256 << 20))
        guard free >= needed else {
            throw BasculeError(
                .unsupported, "the comparison needs \(needed >> 20) MiB of disk, and \(free >> 20) MiB are free",
                at: .thing(path), hint: "take a smaller --scale")
        }
    }

    @discardableResult private func pgbench(_ words: [String], seconds: Int) throws -> String {
        let argv = [program, "--host", "127.0.0.1", "--username", Self.name] + words + [Self.name]
        let options = Subprocess.Options(deadline: .seconds(seconds))
        return try Subprocess.require(
            unit(Self.client, wait: true, seconds: seconds) + argv, "pgbench", options
        ).text
    }

    private func unit(_ name: String, wait: Bool, seconds: Int = 7200) -> [String] {
        ["systemd-run", "--quiet", "--collect", "--unit", name, "--service-type=exec", "--property=User=postgres"]
            + ["--property=RuntimeMaxSec=\(seconds)", "--setenv=PGPASSFILE=\(Self.directory)/password"]
            + ["--setenv=PGSSLMODE=disable", "--setenv=LC_ALL=C.UTF-8"] + (wait ? ["--wait", "--pipe"] : []) + ["--"]
    }

    /// A port of the loopback that nobody listens on.
    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutableBytes(of: &address) { bytes -> Bool in
            guard let base = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            return bind(descriptor, base, length) == 0 && getsockname(descriptor, base, &length) == 0
        }
        guard bound else { throw BasculeError(.unsupported, "no port of the loopback is free") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
