import BasculeModel
import BasculeNet

/// One connection to a Redis server. Not for several threads.
///
/// After `connection-closed`, `timed-out`, `too-much-data` or `protocol-violation` it must be closed and opened anew.
package final class RedisConnection {
    private let stream: any ByteStream
    private var reader: RedisReplyReader
    private let pace: RedisPace?
    /// How many commands went out, for reports.
    package private(set) var commandsSent = 0
    /// Host and port, for messages.
    package var peer: String { stream.peer }

    /// Speaks over an open stream; nobody has logged in yet.
    package init(over stream: any ByteStream, limits: RedisLimits = RedisLimits(), pace: RedisPace? = nil) {
        self.stream = stream
        self.pace = pace
        reader = RedisReplyReader(limits: limits)
    }

    deinit { stream.close() }

    /// Ends the connection; may be called twice.
    package func close() { stream.close() }

    /// Logs in and selects the database of the address.
    ///
    /// Errors: `redis-login-refused`, `redis-refused`, and those of the stream. None of them holds the password.
    package func logIn(to address: RedisAddress) throws {
        if let password = address.password {
            var reply = try answer(of: RedisCommand("AUTH", address.user ?? "default").with(password.revealBytes()))
            // Before ACLs (Redis 6) AUTH took a password only.
            if reply.refusalText?.contains("wrong number of arguments") == true {
                reply = try answer(of: RedisCommand("AUTH").with(password.revealBytes()))
            }
            if let text = reply.refusalText { throw loginRefused(text) }
        }
        if address.database == 0 {
            // Where one is already; the login may lack SELECT. A ping shows whether a password was needed.
            if let text = try answer(of: RedisCommand("PING")).refusalText, text.hasPrefix("NOAUTH") {
                throw loginRefused(text)
            }
            return
        }
        if let text = try answer(of: RedisCommand("SELECT", String(address.database))).refusalText {
            if text.hasPrefix("NOAUTH") || text.hasPrefix("NOPERM") { throw loginRefused(text) }
            throw refusal(text, to: "SELECT \(address.database)", at: peer)
        }
    }

    private func loginRefused(_ text: String) -> BasculeError {
        // Only the code word: the rest of the text is the server's, and may repeat what we sent.
        let word = text.prefix { $0.isLetter && $0.isUppercase }
        return BasculeError(
            .redisLoginRefused, "The Redis server refused the login", at: .thing(peer),
            cause: word.isEmpty ? nil : String(word),
            hint: "Check the user and the password in the secret that holds the address.")
    }

    /// Sends the commands together and returns as many replies, error replies among them as values.
    package func send(_ commands: [RedisCommand]) throws -> [RedisValue] { try collect(post(commands)) }

    /// Sends the commands together; their replies must be collected before anything else is sent.
    func post(_ commands: [RedisCommand]) throws -> Posted {
        let deadline = Deadline.after(reader.limits.timeout)
        guard !commands.isEmpty else { return Posted(count: 0, deadline: deadline) }
        pace?.wait(for: commands.count)
        commandsSent += commands.count
        var out: [UInt8] = []
        out.reserveCapacity(commands.reduce(0) { $0 + $1.size + 16 * ($1.arguments.count + 1) })
        for command in commands { command.encode(into: &out) }
        try out.withUnsafeBytes { try stream.write($0, deadline: deadline) }
        return Posted(count: commands.count, deadline: deadline)
    }

    /// The replies to what was posted.
    func collect(_ posted: Posted) throws -> [RedisValue] {
        var replies: [RedisValue] = []
        replies.reserveCapacity(posted.count)
        for _ in 0..<posted.count { replies.append(try reader.next(from: stream, deadline: posted.deadline)) }
        return replies
    }

    /// Commands whose replies are still to come.
    struct Posted {
        let count: Int
        let deadline: Deadline
    }

    /// The reply of one command, an error reply as a value.
    package func answer(of command: RedisCommand) throws -> RedisValue { try send([command])[0] }

    /// The reply of one command; an error reply is thrown as `redis-refused`.
    @discardableResult
    package func call(_ command: RedisCommand) throws -> RedisValue {
        let reply = try answer(of: command)
        if let text = reply.refusalText { throw refusal(text, to: command.name, at: peer) }
        return reply
    }

    /// An error for a reply of a shape that the command never has.
    func unexpected(_ command: String) -> BasculeError {
        BasculeError(
            .protocolViolation, "The Redis server answered \(command) with something unexpected", at: .thing(peer))
    }

    /// One page of the keys of a pattern, and the cursor of the next page, "0" at the end.
    func scan(cursor: [UInt8], pattern: String?, count: Int) throws -> (next: [UInt8], keys: [[UInt8]]) {
        var command = RedisCommand("SCAN").with(cursor)
        if let pattern { command = command.with(words: "MATCH", pattern) }
        let reply = try call(command.with(words: "COUNT", String(count)))
        guard let items = reply.items, items.count == 2, let next = items[0].bytes, let keys = items[1].strings else {
            throw unexpected("SCAN")
        }
        return (next, keys.filter { !RedisInternal.owns($0) })
    }
}

/// Keeps a connection under a number of commands a second.
package final class RedisPace {
    private let perSecond: Double
    private var freeAt = Monotonic.now()

    package init(perSecond: Int) { self.perSecond = Double(max(1, perSecond)) }

    /// Blocks until so many commands may go out.
    func wait(for count: Int) {
        let now = Monotonic.now()
        if freeAt > now { Monotonic.sleep(.nanoseconds(Int64(freeAt - now))) }
        freeAt = max(freeAt, now) + UInt64(Double(count) / perSecond * 1e9)
    }
}

/// The keys that the mover itself keeps at a target, for as long as a move is unfinished.
enum RedisInternal {
    static let prefix = Array("bascule:internal:".utf8)
    /// A hash: which move owns the keys here, and how far its copy is.
    static let marker = prefix + Array("move".utf8)

    static func owns(_ key: [UInt8]) -> Bool { key.starts(with: prefix) }
    static func temporary(_ run: String, _ number: Int) -> [UInt8] { prefix + Array("tmp:\(run):\(number)".utf8) }
}
