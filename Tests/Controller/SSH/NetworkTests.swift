import BasculeModel
import BasculeSSH
import Foundation
import Glibc
import Testing

@Suite(.serialized) struct NetworkTests {
    private let nobody = SSHLogin(
        user: "nobody", identities: [], hostKeys: .pinned([]), deadline: .milliseconds(1500))

    private func refusal(_ endpoint: SSHEndpoint, _ login: SSHLogin? = nil, transport: SSHTransport? = nil) async
        -> BasculeError
    {
        await failure {
            _ = try await SSHSession.connect(to: endpoint, login: login ?? nobody, transport: transport)
        }
    }

    @Test func `a closed port, a name that is none and a host without a route are told apart`() async {
        let closed = SSHEndpoint(host: "127.0.0.1", port: freePort())
        let refused = await refusal(closed)
        #expect(refused.code == .sshRefused)
        #expect(refused.place == .thing("\(closed)"))
        #expect(await refusal(SSHEndpoint(host: "::1", port: freePort())).code == .sshRefused)
        #expect(await refusal(SSHEndpoint(host: "no-such-host.invalid")).code == .sshUnknownHost)
        // Class E addresses have no route anywhere.
        #expect(await refusal(SSHEndpoint(host: "255.255.255.255")).code == .sshUnreachable)
    }

    @Test func `a black hole ends at the deadline, and others go on`() async throws {
        // A listener whose queue is full drops SYNs, as a firewall would.
        let hole = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(hole) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(hole, $0, size)
                _ = listen(hole, 0)
                _ = getsockname(hole, $0, &size)
            }
        }
        let port = UInt16(bigEndian: address.sin_port)
        try await waitForPort(port)
        let transport = try SSHTransport()
        let start = ContinuousClock.now
        async let blocked = refusal(SSHEndpoint(host: "127.0.0.1", port: port), transport: transport)
        async let alsoBlocked = refusal(SSHEndpoint(host: "127.0.0.1", port: port), transport: transport)
        let server = try await Sshd()
        let session = try await server.connect(transport: transport)
        _ = try await session.exec("true")
        #expect(await blocked.code == .sshTimedOut)
        #expect(await alsoBlocked.code == .sshTimedOut)
        // Without a deadline of ours the kernel goes on for two minutes.
        #expect(.now - start < .seconds(30))
    }

    @Test(arguments: [
        ("silent", ErrorCode.sshTimedOut), ("lines", .sshBanner), ("drip", .sshTimedOut), ("garbage", .sshProtocol),
        ("hugelength", .sshProtocol),
    ])
    func `a hostile peer ends within its deadline and delays nobody`(_ mode: String, _ code: ErrorCode) async throws {
        let (peer, endpoint) = try await Peers.hostile(mode)
        defer { peer.stop() }
        let server = try await Sshd()
        let transport = try SSHTransport()
        let session = try await server.connect(transport: transport)
        let start = ContinuousClock.now
        var login = nobody
        login.deadline = .seconds(4)
        let attack = Task { [login] in
            (await refusal(endpoint, login, transport: transport), ContinuousClock.now - start)
        }
        var slowest = Duration.zero
        while ContinuousClock.now - start < .seconds(1) {
            let before = ContinuousClock.now
            _ = try await session.exec("true")
            slowest = max(slowest, .now - before)
        }
        let (error, duration) = await attack.value
        #expect(error.code == code, "\(error)")
        #expect(duration < .seconds(6))
        #expect(slowest < .seconds(3), "the peer held the thread")
    }

    @Test func `a server of another protocol is quoted, harmlessly`() async throws {
        let scratch = try Scratch()
        let script =
            "import socket,sys\ns=socket.create_server(('127.0.0.1',int(sys.argv[1])))\n"
            + "while True:\n c,_=s.accept(); c.sendall(b'220 \\x1b[31mmail ready\\r\\n'); c.recv(99); c.close()\n"
        try script.write(toFile: scratch.path("peer.py"), atomically: true, encoding: .utf8)
        let port = freePort()
        let peer = try Child("/usr/bin/python3", [scratch.path("peer.py"), "\(port)"])
        defer { peer.stop() }
        try await waitForPort(port)
        let error = await refusal(SSHEndpoint(host: "127.0.0.1", port: port))
        #expect(error.code == .sshBanner)
        #expect(error.cause == "it said: 220 ?[31mmail ready")
    }

    @Test func `logins dropped by MaxStartups are tried again`() async throws {
        // Two at a time, and everybody else is dropped.
        let server = try await Sshd(extra: ["MaxStartups 2:100:2", "LogLevel VERBOSE"])
        let login = try server.login(deadline: .seconds(30))
        let transport = try SSHTransport()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<24 {
                group.addTask {
                    let session = try await SSHSession.connect(to: server.endpoint, login: login, transport: transport)
                    let output = try await session.exec("echo \(number)")
                    #expect(output.stdoutText == "\(number)\n")
                    await session.close()
                }
            }
            try await group.waitForAll()
        }
        #expect(server.log.contains("drop connection"), "nothing was dropped, so nothing was tested")
    }

    @Test func `a server that always hangs up is not called refused`() async throws {
        let server = try await Sshd()
        let (proxy, endpoint) = try await Peers.cutting(server, after: "1b")
        defer { proxy.stop() }
        var login = try server.login(deadline: .seconds(2))
        login.hostKeys = .pinned([])
        let error = await refusal(endpoint, login)
        #expect([.sshDropped, .sshDisconnected].contains(error.code), "\(error)")
    }

    @Test(arguments: [false, true])
    func `a connection cut in the middle of a stream says so`(_ silent: Bool) async throws {
        let server = try await Sshd()
        let (proxy, endpoint) = try await Peers.cutting(server, after: "300000b", silent: silent)
        defer { proxy.stop() }
        let session = try await SSHSession.connect(to: endpoint, login: server.login())
        let stream = try await session.openStream("head -c 10000000 /dev/zero")
        var total = 0
        let error = await failure {
            while let bytes = try await stream.read(deadline: .seconds(1)) { total += bytes.count }
        }
        #expect(error.code == (silent ? .sshTimedOut : .sshDisconnected), "\(error)")
        #expect(total > 100_000 && total < 10_000_000)
        if !silent { #expect(await session.isOpen == false) }
    }

    @Test func `a command that is cut off is an error, never exit 0`() async throws {
        let server = try await Sshd()
        let (proxy, endpoint) = try await Peers.cutting(server, after: "1.5")
        defer { proxy.stop() }
        let session = try await SSHSession.connect(to: endpoint, login: server.login())
        let error = await failure { _ = try await session.exec("echo begun; sleep 20") }
        #expect(error.code == .sshDisconnected)
        #expect(error.hint == "what was running is in an unknown state; run again to ask the node")
    }

    @Test func `a hundred sessions live on one thread`() async throws {
        let server = try await Sshd()
        let login = try server.login(deadline: .seconds(60))
        let transport = try SSHTransport()
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<100 {
                group.addTask {
                    let session = try await SSHSession.connect(to: server.endpoint, login: login, transport: transport)
                    let text = try await session.exec("echo \(number)", deadline: .seconds(60)).stdoutText
                    return Int(text.dropLast()) ?? -1_000_000
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == 4950)
    }
}
