import BasculeModel
import BasculeSSH
import Foundation
import Glibc
import Synchronization
import Testing

/// Starts a program with its output in a file. Foundation's `Process` would hand our pipes to children that stay.
private func spawn(_ program: String, _ arguments: [String], log: String, environment: [String: String]) throws -> pid_t
{
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { "\($0)=\($1)" }
    var words = ([program] + arguments).map { strdup($0) } + [nil]
    var settings = variables.map { strdup($0) } + [nil]
    defer { for word in words + settings { free(word) } }
    // Threads of a pool block signals, and a child would inherit that: no SIGTERM would end it.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var pid = pid_t()
    let status = posix_spawn(&pid, program, &actions, &attributes, &words, &settings)
    guard status == 0 else { throw BasculeError(.commandFailed, "\(program): \(String(cString: strerror(status)))") }
    return pid
}

/// A child process that ends with its owner, by its own pid.
final class Child: Sendable {
    let pid: pid_t
    private let running = Mutex(true)

    init(_ program: String, _ arguments: [String], log: String = "/dev/null", environment: [String: String] = [:])
        throws
    {
        pid = try spawn(program, arguments, log: log, environment: environment)
    }

    deinit { stop() }

    func stop() {
        running.withLock { running in
            guard running else { return }
            running = false
            kill(pid, SIGTERM)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
        }
    }
}

/// Runs a program to its end and returns its output; a failure is the test's.
@discardableResult
func run(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws -> String {
    let log = FileManager.default.temporaryDirectory.appendingPathComponent("bascule-run-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: log) }
    let pid = try spawn(program, arguments, log: log, environment: environment)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    let output = String(decoding: try Data(contentsOf: URL(fileURLWithPath: log)), as: UTF8.self)
    #expect(status == 0, "\(program) \(arguments): \(output)")
    return output
}

/// A port that nobody had a moment ago.
func freePort() -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            _ = bind(descriptor, generic, size)
            _ = getsockname(descriptor, generic, &size)
        }
        return UInt16(bigEndian: pointer.pointee.sin_port)
    }
}

/// Waits until something listens on a loopback port.
func waitForPort(_ port: UInt16) async throws {
    for _ in 0..<400 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status == 0 { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("nothing listens on port \(port)")
}

/// A directory that goes with its owner.
final class Scratch: Sendable {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("bascule-ssh-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    /// Makes a key pair and returns the private half's path.
    func key(_ name: String, type: String = "ed25519", bits: String? = nil, passphrase: String = "") throws -> String {
        let size = bits.map { ["-b", $0] } ?? []
        try run("/usr/bin/ssh-keygen", ["-q", "-t", type] + size + ["-N", passphrase, "-C", name, "-f", path(name)])
        return path(name)
    }

    func publicKey(_ name: String) throws -> HostKey {
        try HostKey(line: String(contentsOfFile: path(name) + ".pub", encoding: .utf8))
    }
}

/// A real OpenSSH server of Debian's on loopback, with keys and configuration of its own.
final class Sshd: Sendable {
    static let user = String(cString: getpwuid(getuid()).pointee.pw_name)
    let scratch: Scratch
    let port: UInt16
    private let child: Child
    var endpoint: SSHEndpoint { SSHEndpoint(host: "127.0.0.1", port: port) }

    /// `hostKeys` are types for ssh-keygen; each becomes `host_TYPE`. The first key pair `user` is authorised.
    init(hostKeys: [String] = ["ed25519", "ecdsa"], extra: [String] = [], port: UInt16? = nil) async throws {
        scratch = try Scratch()
        self.port = port ?? freePort()
        if getuid() == 0 {
            try? FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
        }
        var lines = [
            "Port \(self.port)", "ListenAddress 127.0.0.1", "UsePAM no", "StrictModes no", "PermitRootLogin yes",
            "PasswordAuthentication no", "PidFile none",
            "AuthorizedKeysFile \(scratch.path("authorized_keys"))",
        ]
        for type in hostKeys {
            _ = try scratch.key("host_\(type)", type: type)
            lines.append("HostKey \(scratch.path("host_\(type)"))")
        }
        _ = try scratch.key("user")
        try FileManager.default.copyItem(atPath: scratch.path("user.pub"), toPath: scratch.path("authorized_keys"))
        // sshd takes the first value of a setting, but the last one of this.
        if !extra.contains(where: { $0.hasPrefix("MaxStartups") }) { lines.append("MaxStartups 200") }
        try (extra + lines).joined(separator: "\n").appending("\n")
            .write(toFile: scratch.path("config"), atomically: true, encoding: .utf8)
        child = try Child(
            "/usr/sbin/sshd", ["-D", "-e", "-f", scratch.path("config")], log: scratch.path("log"))
        try await waitForPort(self.port)
    }

    func stop() { child.stop() }

    var log: String { (try? String(contentsOfFile: scratch.path("log"), encoding: .utf8)) ?? "" }

    func authorise(_ name: String) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: scratch.path("authorized_keys")))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(contentsOf: URL(fileURLWithPath: scratch.path(name) + ".pub")))
        try handle.close()
    }

    func login(
        _ identities: [SSHIdentity]? = nil, hostKeys: HostKeyPolicy? = nil, passphrase: SSHPassphrase? = nil,
        deadline: Duration = .seconds(15)
    ) throws -> SSHLogin {
        SSHLogin(
            user: Sshd.user, identities: identities ?? [.keyFile(path: scratch.path("user"))],
            hostKeys: try hostKeys ?? .pinned([scratch.publicKey("host_ed25519")]), passphrase: passphrase,
            deadline: deadline)
    }

    func connect(transport: SSHTransport? = nil) async throws -> SSHSession {
        try await SSHSession.connect(to: endpoint, login: login(), transport: transport)
    }
}

/// The error that `body` throws; a test fails when it throws none.
func failure(_ body: () async throws -> Void) async -> BasculeError {
    do {
        try await body()
    } catch let error as BasculeError {
        return error
    } catch {
        return BasculeError(.defect, "not a BasculeError: \(error)")
    }
    Issue.record("nothing was thrown")
    return BasculeError(.defect, "nothing was thrown")
}
