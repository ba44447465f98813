import BasculeModel
import BasculePostgres
import Foundation
import Glibc

/// A real PostgreSQL server for the tests: own data directory, unix socket and loopback port; removed at exit.
final class Cluster: @unchecked Sendable {
    let socket: String
    let port: Int
    private let directory: String
    private let binaries: String

    /// Newest first, as Debian lays them out.
    static let installed: [String] = {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.compactMap { Int($0) }.sorted(by: >).map { "\(root)/\($0)/bin" }
            .filter { FileManager.default.isExecutableFile(atPath: $0 + "/initdb") }
    }()

    static let isInstalled = !installed.isEmpty

    /// The newest installed server is the source, the oldest from 15 on the target.
    static let source = Result { try Cluster(binaries: installed[0], localUsers: "trust") }
    static let target = Result {
        try Cluster(binaries: installed.last ?? installed[0], localUsers: "scram-sha-256")
    }

    /// One that is not shared, with settings that stand above the usual ones.
    static func other(_ settings: String) throws -> Cluster {
        try Cluster(binaries: installed[0], localUsers: "trust", more: settings)
    }

    private init(binaries: String, localUsers: String, more: String = "") throws {
        self.binaries = binaries
        port = try Self.freePort()
        // A socket's path has at most 107 bytes, so not in a long temporary directory.
        directory = "/tmp/bascule-pg-\(getpid())-\(port)"
        socket = directory
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        if getuid() == 0 { try Self.run(["/usr/bin/chown", "postgres", directory], asServer: false) }
        try Self.run([
            "\(binaries)/initdb", "-D", "\(directory)/data", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
            "--auth=trust", "--no-sync",
        ])
        let access = """
            local all postgres trust
            local all all \(localUsers)
            host all all 127.0.0.1/32 scram-sha-256

            """
        try Self.write(access, "\(directory)/data/pg_hba.conf")
        let settings = """
            port=\(port)
            listen_addresses='127.0.0.1'
            unix_socket_directories='\(directory)'
            fsync=off
            max_prepared_transactions=4
            wal_level=logical
            max_replication_slots=20
            max_wal_senders=20
            max_connections=50
            \(more)

            """
        try Self.write(settings, "\(directory)/data/postgresql.auto.conf")
        try start()
        Self.running.append(self)
        atexit { Cluster.running.forEach { $0.stop() } }
    }

    nonisolated(unsafe) private static var running: [Cluster] = []

    func start() throws {
        try Self.run([
            "\(binaries)/pg_ctl", "-D", "\(directory)/data", "-l", "\(directory)/log", "-w", "-t", "60", "start",
        ])
    }

    /// As if its processes were killed, then started again.
    func crash() throws {
        try Self.run(["\(binaries)/pg_ctl", "-D", "\(directory)/data", "-m", "immediate", "stop"])
        try start()
    }

    /// From now on a standby, which nobody feeds.
    func demote() throws {
        try Self.run(["\(binaries)/pg_ctl", "-D", "\(directory)/data", "-m", "fast", "-w", "stop"])
        try Data().write(to: URL(fileURLWithPath: "\(directory)/data/standby.signal"))
        try start()
    }

    /// A folder that the server may write to; it goes with the server.
    func folder(_ name: String) throws -> String {
        let path = "\(directory)/\(name)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        if getuid() == 0 { try Self.run(["/usr/bin/chown", "postgres", path], asServer: false) }
        return path
    }

    /// Starts a daemon that goes into the background by itself, as the server's user.
    static func daemon(_ arguments: [String]) throws { try run(arguments) }

    func stop() {
        try? Self.run(["\(binaries)/pg_ctl", "-D", "\(directory)/data", "-m", "immediate", "stop"])
        try? FileManager.default.removeItem(atPath: directory)
    }

    static func freePort() throws -> Int {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let found = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard found else { throw BasculeError(.unsupported, "No free port on loopback") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private static func write(_ text: String, _ path: String) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.truncate(atOffset: 0)
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
    }

    /// A server refuses to run as root, so there it runs as the package's user.
    private static func run(_ arguments: [String], asServer: Bool = true) throws {
        let prefix = asServer && getuid() == 0 ? ["/usr/sbin/runuser", "-u", "postgres", "--"] : []
        let all = prefix + arguments
        // Not Foundation's Process: it waits for every heir of a descriptor, and a server that stays is one.
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var pid = pid_t()
        var copies: [UnsafeMutablePointer<CChar>?] = all.map { strdup($0) } + [nil]
        defer { copies.forEach { free($0) } }
        guard posix_spawn(&pid, all[0], &actions, nil, &copies, environ) == 0 else {
            throw BasculeError(.commandFailed, "\(all[0]) could not be started")
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1, errno == EINTR {}
        guard status == 0 else { throw BasculeError(.commandFailed, "\(arguments[0]) failed with \(status)") }
    }

    func connect(_ database: String, as user: String = "postgres") throws -> PGConnection {
        try PGConnection(.local(socket: socket, port: port, database: database, user: user, password: nil))
    }
}

/// A pair of databases made for one test.
struct Pair {
    let source: Cluster
    let target: Cluster
    let name: String
    var move: PostgresMove

    /// `script` fills the source, several statements, as a superuser.
    init(_ name: String, _ script: String) throws {
        self.name = name
        source = try Cluster.source.get()
        target = try Cluster.target.get()
        for cluster in [source, target] {
            let admin = try cluster.connect("postgres")
            try admin.query("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
            // A role belongs to the server, and so does what an earlier test gave it.
            if try admin.query("SELECT FROM pg_auth_members WHERE member = to_regrole('reader')").isEmpty == false {
                try admin.query("REVOKE pg_write_all_data FROM reader")
            }
            for role in ["shop", "app", "reader", "seller"] {
                if try admin.query("SELECT FROM pg_roles WHERE rolname = $1", [role]).isEmpty {
                    try admin.query("CREATE ROLE \(role) \(role == "reader" ? "NOLOGIN" : "LOGIN")")
                }
            }
            try admin.query("CREATE DATABASE \(name) OWNER shop")
        }
        try source.connect(name).script(script)
        move = PostgresMove(
            source: "SOURCE", targetDatabase: name, targetSocket: target.socket, targetPort: target.port,
            owner: "shop", fenceGrace: 0.3)
    }

    func url(as user: String = "postgres") -> Secret {
        Secret("postgresql://\(user)@/\(name)?host=\(source.socket)&port=\(source.port)")
    }
}
