import BasculeModel
import BasculeNet
import Foundation
import Testing

@testable import BasculeData

/// Real redis-server processes on free ports of the loopback, each with a directory of its own.
final class RedisFixture: @unchecked Sendable {
    static let isInstalled = FileManager.default.isExecutableFile(atPath: "/usr/bin/redis-server")

    let port: UInt16
    private let process = Process()
    private let directory: URL

    init(_ options: String..., environment: [String: String] = [:]) throws {
        port = try Self.freePort()
        directory = FileManager.default.temporaryDirectory.appending(path: "bascule-redis-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        process.executableURL = URL(filePath: "/usr/bin/redis-server")
        process.arguments =
            ["--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--dir", directory.path] + options
        process.standardOutput = FileHandle.nullDevice
        if !environment.isEmpty { process.environment = environment }
        try process.run()
        for _ in 0..<100 {
            if let connection = try? client(), (try? connection.call(RedisCommand("PING"))) != nil { return }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw BasculeError(.timedOut, "redis-server did not start")
    }

    deinit {
        // The child inherits the test thread's blocked signals, SIGTERM among them.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: directory)
    }

    var url: String { "redis://127.0.0.1:\(port)/0" }

    func client(user: String? = nil, password: String? = nil) throws -> RedisConnection {
        let endpoint = Endpoint.host("127.0.0.1", port: port)
        let connection = RedisConnection(over: try TCPStream.connect(to: endpoint, deadline: .seconds(2)))
        try connection.logIn(
            to: RedisAddress(endpoint: endpoint, user: user, password: password.map { Secret($0) }))
        return connection
    }

    /// Runs commands written as words; each must succeed.
    @discardableResult
    func run(_ lines: String...) throws -> [RedisValue] {
        let connection = try client()
        return try lines.map { line in
            let words = line.split(separator: " ").map { Array($0.utf8) }
            return try connection.call(RedisCommand().with(all: words))
        }
    }

    /// A C file of Tests/Support/faults as a shared object; whoever asks removes its folder.
    static func built(_ name: String) throws -> (library: String, folder: URL) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "bascule-c-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let compiler = Process()
        compiler.executableURL = URL(filePath: "/usr/bin/env")
        let library = folder.appending(path: "\(name).so").path
        let root = #filePath.split(separator: "/Tests/")[0]
        compiler.arguments = [
            "cc", "-shared", "-fPIC", "-O1", "-o", library, "\(root)/Tests/Support/faults/\(name).c",
        ]
        try compiler.run()
        compiler.waitUntilExit()
        guard compiler.terminationStatus == 0 else { throw BasculeError(.commandFailed, "cc failed") }
        return (library, folder)
    }

    static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard bound else { throw BasculeError(.inputOutput, "No free port") }
        return UInt16(bigEndian: address.sin_port)
    }
}

/// A source, a target and the move between them.
struct RedisPairFixture {
    let source: RedisFixture
    let target: RedisFixture
    var move: RedisMove

    init(
        method: RedisMethod = .automatic, source: RedisFixture? = nil, target: RedisFixture? = nil
    ) throws {
        self.source = try source ?? RedisFixture()
        let other = try target ?? RedisFixture()
        self.target = other
        move = RedisMove(source: "SOURCE", target: RedisTarget(.host("127.0.0.1", port: other.port)))
        move.method = method
        move.partBytes = 16 << 10
    }

    func run(
        _ task: (RedisMove) -> RedisTask, url: String? = nil, progress: @escaping (MoveProgress) -> Void = { _ in },
        isCancelled: @escaping () -> Bool = { false }
    ) throws -> RedisReport {
        let address = url ?? source.url
        return try RedisMover.run(
            task(move), resolve: { _ in Secret(address) }, progress: progress, isCancelled: isCancelled)
    }

    /// Every type, values that are awkward, keys in several parts, a stream with groups and pending entries.
    func fill() throws {
        let connection = try source.client()
        var commands = [
            RedisCommand("SET", "empty", ""), RedisCommand("SET").with([0, 13, 10, 255], [0, 255, 13, 10]),
            RedisCommand("SET", "big:string", String(repeating: "0123456789abcdef", count: 5000)),
            RedisCommand("ZADD", "scores", "inf", "a", "-inf", "b", "0.1", "c", "1e300", "d", "-0", "e"),
            RedisCommand("SET", "session", "x", "PX", "3600000"), RedisCommand("PFADD", "visitors", "a", "b"),
        ]
        for page in 0..<20 {
            let names = (0..<50).map { "\(page)-\($0)-" + String(repeating: "x", count: 20) }
            let words = names.map { Array($0.utf8) }
            commands.append(RedisCommand("RPUSH", "big:list").with(all: words))
            commands.append(RedisCommand("SADD", "big:set").with(all: words))
            commands.append(RedisCommand("HSET", "big:hash").with(all: words.flatMap { [$0, $0] }))
            commands.append(RedisCommand("ZADD", "big:zset").with(all: words.flatMap { [Array("0.3".utf8), $0] }))
        }
        for number in 1...50 { commands.append(RedisCommand("XADD", "jobs", "\(number)-1", "n", "\(number)")) }
        commands += [
            RedisCommand("XGROUP", "CREATE", "jobs", "workers", "0"),
            RedisCommand("XREADGROUP", "GROUP", "workers", "anna", "COUNT", "10", "STREAMS", "jobs", ">"),
            RedisCommand("XCLAIM", "jobs", "workers", "bert", "0", "3-1", "TIME", "1700000000000", "RETRYCOUNT", "7"),
            RedisCommand("XGROUP", "CREATECONSUMER", "jobs", "workers", "idle"),
            RedisCommand("XACK", "jobs", "workers", "1-1"), RedisCommand("XDEL", "jobs", "2-1", "50-1"),
            RedisCommand("XADD", "drained", "5-5", "a", "b"), RedisCommand("XTRIM", "drained", "MAXLEN", "0"),
        ]
        for number in 0..<1500 { commands.append(RedisCommand("SET", "key:\(number)", "value \(number)")) }
        for reply in try connection.send(commands) { #expect(reply.refusalText == nil) }
    }
}
