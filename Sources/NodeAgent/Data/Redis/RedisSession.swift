import BasculeCrypto
import BasculeModel
import BasculeNet

/// Both ends of a move, opened anew when a connection breaks.
final class RedisSession {
    let move: RedisMove
    private let sourceAddress: RedisAddress
    private let targetAddress: RedisAddress
    private let fenceAddress: RedisAddress
    private let pace: RedisPace?
    private let isCancelled: () -> Bool
    private var openSource: RedisServer?
    private var openTarget: RedisServer?
    private var closedCommands = 0
    /// Whether something has ever worked: what fails from the start is not worth waiting for.
    private var hasWorked = false

    /// Reads the secrets; connects to nobody yet.
    init(_ move: RedisMove, resolve: (SecretName) throws -> Secret, isCancelled: @escaping () -> Bool) throws {
        self.move = move
        self.isCancelled = isCancelled
        sourceAddress = try RedisAddress(url: resolve(move.source))
        fenceAddress = try move.fenceLogin.map { try RedisAddress(url: resolve($0)) } ?? sourceAddress
        pace = move.maxCommandsPerSecond.map { RedisPace(perSecond: $0) }
        let endpoint: Endpoint =
            switch move.target.place {
            case .host(let host, let port): .host(host, port: port)
            case .socket(let path): .unix(path: path)
            }
        targetAddress = RedisAddress(
            endpoint: endpoint, user: move.target.user, password: try move.target.password.map(resolve),
            database: move.target.database)
    }

    var sourceIsExposed: Bool { sourceAddress.isExposed }
    var sourceDatabase: Int { sourceAddress.database }

    /// Names this move, whoever runs it: the source's host, port and database, and the pattern. No login in it.
    var identity: String {
        String(Digest(of: "\(sourceAddress.endpoint)/\(sourceAddress.database) \(move.keys ?? "")").rawValue.prefix(32))
    }

    func source() throws -> RedisServer {
        if let openSource { return openSource }
        let server = try open(sourceAddress, pace: pace)
        openSource = server
        return server
    }

    func target() throws -> RedisServer {
        if let openTarget { return openTarget }
        let server = try open(targetAddress, pace: nil)
        openTarget = server
        return server
    }

    /// Asks both sides at the same time: while one answers, the other works.
    func both(
        _ left: [RedisCommand], _ right: [RedisCommand]
    ) throws -> (source: [RedisValue], target: [RedisValue]) {
        let (source, target) = (try source().connection, try target().connection)
        let (first, second) = (try source.post(left), try target.post(right))
        return (try source.collect(first), try target.collect(second))
    }

    /// What both sides say about each key; sizes are the target's.
    func states(of keys: [[UInt8]]) throws -> (source: [RedisKeyState?], target: [RedisKeyState?]) {
        let (source, target) = (try source(), try target())
        let asked = RedisClock.now()
        let (left, right) = try both(source.questions(keys, sizes: false), target.questions(keys, sizes: true))
        return (
            try source.states(of: keys, sizes: false, left, asked: asked) ?? source.states(of: keys, sizes: false),
            try target.states(of: keys, sizes: true, right, asked: asked) ?? target.states(of: keys, sizes: true)
        )
    }

    /// A new connection to the source, with the login that may fence.
    func fenceConnection() throws -> RedisConnection { try connect(fenceAddress, pace: nil, limits: RedisLimits()) }

    /// A new connection to the source with the app's own login, which gives up after `timeout`.
    func writerConnection(timeout: Duration) throws -> RedisConnection {
        var limits = RedisLimits()
        limits.timeout = timeout
        return try connect(sourceAddress, pace: nil, limits: limits)
    }

    /// Commands sent to the source so far, over all connections.
    var sourceCommands: Int { closedCommands + (openSource?.connection.commandsSent ?? 0) }

    private func open(_ address: RedisAddress, pace: RedisPace?) throws -> RedisServer {
        try RedisServer(connect(address, pace: pace, limits: RedisLimits()))
    }

    private func connect(_ address: RedisAddress, pace: RedisPace?, limits: RedisLimits) throws -> RedisConnection {
        do { return try reach(address, pace: pace, limits: limits) } catch var error as BasculeError
            where error.hint == nil && Self.isTransient(error.code)
        {
            error.hint =
                address.tlsName == nil
                ? "Check host and port; a server that wants TLS is reached by rediss://."
                : "Check host and port; a server without TLS is reached by redis://."
            throw error
        }
    }

    private func reach(_ address: RedisAddress, pace: RedisPace?, limits: RedisLimits) throws -> RedisConnection {
        let deadline = Deadline.after(.seconds(15))
        let stream: any ByteStream
        if let name = address.tlsName {
            let trust: TLSTrust = move.sourceAuthority.map { .authorities(pem: $0) } ?? .systemStore
            let context = try TLSContext(trust: trust)
            stream = try TLSStream.connect(
                to: address.endpoint, serverName: name, context: context, deadline: deadline)
        } else {
            stream = try TCPStream.connect(to: address.endpoint, deadline: deadline)
        }
        let connection = RedisConnection(over: stream, limits: limits, pace: pace)
        try connection.logIn(to: address)
        return connection
    }

    /// Closes both connections; the next use opens new ones.
    func close() {
        closedCommands = sourceCommands
        openSource?.connection.close()
        openTarget?.connection.close()
        (openSource, openTarget) = (nil, nil)
    }

    /// Does something that may be done twice; once anything has worked, broken connections are opened anew, up to 6 times within some 10 s.
    func retrying<T>(_ work: () throws -> T) throws -> T {
        var attempt = 0
        while true {
            try checkCancelled()
            do {
                let result = try work()
                hasWorked = true
                return result
            } catch let error as BasculeError where error.code == .redisTooFast && attempt < 8 {
                // A limit is of a second or a minute: up to half a minute more each time.
                attempt += 1
                for _ in 0..<min(30, 1 << (attempt - 1)) {
                    try checkCancelled()
                    Monotonic.sleep(.seconds(1))
                }
            } catch let error as BasculeError where hasWorked && Self.isTransient(error.code) && attempt < 6 {
                close()
                attempt += 1
                Monotonic.sleep(.milliseconds(150 << attempt))
            }
        }
    }

    func checkCancelled() throws {
        if isCancelled() { throw BasculeError(.cancelled, "The move of the Redis keys was cancelled") }
    }

    private static func isTransient(_ code: ErrorCode) -> Bool {
        [.connectionClosed, .timedOut, .connectFailed, .inputOutput, .tlsFailed].contains(code)
    }
}
