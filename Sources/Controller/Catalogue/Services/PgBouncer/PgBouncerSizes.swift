import BasculeFleet
import BasculeModel

/// How many connections PgBouncer opens and takes.
struct PgBouncerSizes {
    /// Server connections a database and role.
    var poolSize: Int
    var databases: Int
    var maxClients: Int
    /// An old process's pools may be there beside the new one's while its clients leave.
    var drains: Bool
    var cpus: Int
    var isDeclared: Bool

    /// Twice what the processors run at once (wiki.postgresql.org, Number_Of_Database_Connections: 2 × cores plus the
    /// effective spindles, one), since a transaction waits for its app half of the time; ten at least.
    static func poolSize(cpus: Int) -> Int { max(10, 2 * (2 * cpus + 1)) }

    /// All server connections there can be: the pools, and one a database for asking who logs in.
    var serverConnections: Int { (drains ? 2 : 1) * databases * (poolSize + 1) }

    /// Every connection is a descriptor; systemd gives 1024 unless told otherwise.
    var descriptors: Int { max(4096, maxClients + serverConnections + 100) }

    /// 16 MiB for the program, and for each connection its structure, its buffer of 4 KiB (`pkt_buf`) and the kernel's.
    var reservedBytes: Int { (16 << 20) + (maxClients + serverConnections) * (16 << 10) }

    var reservedWhy: String { "16 MiB + (\(maxClients) clients + \(serverConnections) server connections) × 16 KiB" }

    var poolWhy: String {
        isDeclared
            ? "services.pgbouncer.poolSize, or what max_connections leaves."
            : "2 x (2 x \(cpus) processors + 1), at least 10, and no more than max_connections leaves."
    }
}

extension Compilation {
    func pgbouncerSizes(_ service: PgBouncer, on node: NodeName) -> PgBouncerSizes {
        let drains = release(node).pgbouncerDrains
        let databases = max(1, fleet.services.postgresql?.databases.count ?? 1)
        var size = service.poolSize ?? PgBouncerSizes.poolSize(cpus: cpus(node))
        // A declared max_connections is the server's limit for all: PgBouncer must not be the one to run into it.
        if service.poolSize == nil,
            let limit = fleet.services.postgresql?.settings["max_connections"].flatMap({ Int($0) })
        {
            let left = max(1, limit - PostgreSQLTuning.besidePools) / ((drains ? 2 : 1) * databases)
            size = max(1, min(size, left - 1))
        }
        return PgBouncerSizes(
            poolSize: size, databases: databases, maxClients: service.maxClients, drains: drains, cpus: cpus(node),
            isDeclared: service.poolSize != nil)
    }
}

/// The fleet file's own settings, sorted into what a reload takes up and what another process is needed for.
enum PgBouncerSettings {
    /// Settings that a RELOAD leaves alone (`CF_NO_RELOAD` in PgBouncer's main.c).
    static let restartOnly: Set<String> = [
        "disable_pqexec", "job_name", "listen_backlog", "peer_id", "pkt_buf", "resolv_conf", "sbuf_loopcnt",
        "service_name", "tcp_defer_accept", "unix_socket_group", "unix_socket_mode",
    ]

    /// What Bascule decides, by the key that does it or the reason why nothing does.
    static let decided: [String: String] = [
        "auth_file": "logins are PostgreSQL's own roles", "auth_query": "logins are PostgreSQL's own roles",
        "auth_type": "clients log in by SCRAM", "auth_user": "logins are PostgreSQL's own roles",
        "default_pool_size": "write poolSize", "listen_addr": "it follows from who is bound to a database",
        "listen_port": "write port", "logfile": "the journal's and logrotate's rules name it",
        "max_client_conn": "write maxClients", "pidfile": "the unit names it", "pool_mode": "write poolMode",
        "so_reuseport": "it follows from the release", "unix_socket_dir": "the unit names it",
        "user": "the unit names it",
    ]

    static func lines(_ settings: [String: String], restart: Bool) -> Variable {
        let chosen = settings.filter { restartOnly.contains($0.key) == restart }.sorted { $0.key < $1.key }
        return .list(
            chosen.enumerated().map { index, pair in
                .map(["first": .flag(index == 0), "name": .text(pair.key), "value": .text(pair.value)])
            })
    }
}
