import BasculeModel
import BasculeMySQL
import BasculePostgres
import Foundation
import Glibc

/// A real server of the tests' own: started on the loopback, removed at exit.
enum Servers {
    static let mariadb = "/usr/sbin/mariadbd"
    static let postgresBinaries: String? = {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.compactMap { Int($0) }.sorted().map { "\(root)/\($0)/bin" }
            .first { FileManager.default.isExecutableFile(atPath: $0 + "/initdb") }
    }()
    static let areInstalled = postgresBinaries != nil && FileManager.default.isExecutableFile(atPath: mariadb)

    static let source = Result { try MariaServer() }
    static let target = Result { try PostgresServer() }

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

    /// Starts a program; with `user` as that user. Not Foundation's Process: it waits for every heir of a descriptor.
    static func spawn(_ arguments: [String], user: String?) throws -> pid_t {
        let all = (user != nil && getuid() == 0 ? ["/usr/sbin/runuser", "-u", user ?? "", "--"] : []) + arguments
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
        return pid
    }

    static func run(_ arguments: [String], user: String? = nil) throws {
        let pid = try spawn(arguments, user: user)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1, errno == EINTR {}
        guard status == 0 else { throw BasculeError(.commandFailed, "\(arguments[0]) failed with \(status)") }
    }
}

/// A MariaDB server, without its defaults.
final class MariaServer: @unchecked Sendable {
    let directory: String
    let socket: String
    let port: Int
    /// Its certificate, for the name localhost.
    let certificate: String
    private var pid: pid_t = 0
    nonisolated(unsafe) private static var running: [MariaServer] = []

    init() throws {
        port = try Servers.freePort()
        directory = "/tmp/bascule-my-\(getpid())-\(port)"
        socket = directory + "/s"
        certificate = directory + "/cert.pem"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try Servers.run([
            "/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", directory + "/key.pem", "-out", certificate, "-days", "2", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost",
        ])
        chmod(directory + "/key.pem", 0o644)
        if getuid() == 0 { try Servers.run(["/usr/bin/chown", "mysql", directory]) }
        try Servers.run(
            [
                "/usr/bin/mariadb-install-db", "--no-defaults", "--datadir=\(directory)/data", "--user=mysql",
                "--auth-root-authentication-method=normal", "--skip-test-db",
            ])
        pid = try Servers.spawn(
            [
                Servers.mariadb, "--no-defaults", "--datadir=\(directory)/data", "--socket=\(socket)",
                "--port=\(port)", "--bind-address=127.0.0.1", "--pid-file=\(directory)/pid", "--sql-mode=",
                "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--skip-log-bin",
                "--character-set-server=utf8mb4",
                "--ssl-cert=\(certificate)", "--ssl-key=\(directory)/key.pem", "--user=mysql", "--event-scheduler=ON",
                "--max-allowed-packet=64M",
            ], user: nil)
        Self.running.append(self)
        atexit { MariaServer.running.forEach { $0.stop() } }
        for _ in 0..<600 {
            if (try? MyConnection(address("mysql"))) != nil { return }
            usleep(100_000)
        }
        throw BasculeError(.commandFailed, "MariaDB did not start within a minute")
    }

    func address(_ database: String, user: String = "root", password: String = "") -> MyAddress {
        MyAddress(
            host: "127.0.0.1", port: port, user: user, password: Secret(password), database: database, tls: .off)
    }

    func url(_ database: String, user: String = "root", password: String = "") -> Secret {
        Secret("mysql://\(user)\(password.isEmpty ? "" : ":" + password)@127.0.0.1:\(port)/\(database)")
    }

    func connect(_ database: String = "mysql") throws -> MyConnection { try MyConnection(address(database)) }

    /// Statements that end with a semicolon at a line's end.
    func script(_ database: String, _ text: String) throws {
        let connection = try connect(database)
        for statement in text.components(separatedBy: ";\n") {
            let sql = statement.trimmingCharacters(in: .whitespacesAndNewlines)
            if !sql.isEmpty { try connection.query(sql) }
        }
    }

    private func stop() {
        kill(pid, SIGKILL)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        try? FileManager.default.removeItem(atPath: directory)
    }
}

/// The PostgreSQL server that everything goes to.
final class PostgresServer: @unchecked Sendable {
    let socket: String
    let port: Int
    private let binaries: String
    nonisolated(unsafe) private static var running: [PostgresServer] = []

    init() throws {
        guard let binaries = Servers.postgresBinaries else { throw BasculeError(.unsupported, "no PostgreSQL") }
        self.binaries = binaries
        port = try Servers.freePort()
        socket = "/tmp/bascule-mypg-\(getpid())-\(port)"
        try FileManager.default.createDirectory(atPath: socket, withIntermediateDirectories: true)
        if getuid() == 0 { try Servers.run(["/usr/bin/chown", "postgres", socket]) }
        try Servers.run(
            [
                "\(binaries)/initdb", "-D", "\(socket)/data", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                "--auth=trust", "--no-sync",
            ], user: "postgres")
        try Servers.run(
            [
                "\(binaries)/pg_ctl", "-D", "\(socket)/data", "-l", "\(socket)/log", "-w", "-t", "60", "-o",
                "-c port=\(port) -c listen_addresses=127.0.0.1 -c unix_socket_directories=\(socket) -c fsync=off",
                "start",
            ], user: "postgres")
        Self.running.append(self)
        atexit { PostgresServer.running.forEach { $0.stop() } }
        try connect("postgres").query("CREATE ROLE shop LOGIN")
    }

    func connect(_ database: String) throws -> PGConnection {
        try PGConnection(
            .local(socket: socket, port: port, database: database, user: "postgres", password: nil))
    }

    private func stop() {
        try? Servers.run(
            ["\(binaries)/pg_ctl", "-D", "\(socket)/data", "-m", "immediate", "stop"], user: "postgres")
        try? FileManager.default.removeItem(atPath: socket)
    }
}
