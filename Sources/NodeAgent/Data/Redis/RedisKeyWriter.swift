import BasculeModel
import BasculeNet

/// Writes keys at the target, each replaced in one moment: it is built under a temporary name and then renamed.
///
/// Commands are gathered into pipelines; `flush()` sends what is left. Nothing is written until then.
struct RedisKeyWriter {
    let server: RedisServer
    /// No request is made larger than about this, as long as the single elements are smaller.
    let requestBytes: Int
    /// Makes the temporary names of this run its own.
    let run: String

    private enum Expectation {
        case success
        /// The rename: if the temporary key is gone, the key has expired, or the target evicts.
        case rename(key: [UInt8], expiry: Int64?)
    }

    private var pending: [(command: RedisCommand, expects: Expectation)] = []
    private var pendingBytes = 0
    private var serial = 0
    private(set) var bytesWritten = 0
    /// Keys whose expiry came before the rename.
    private(set) var expired = 0

    private var current: RedisKeyState?
    private var temporary: [UInt8] = []
    private var stream: RedisStreamWriter?

    init(server: RedisServer, requestBytes: Int, run: String) {
        self.server = server
        self.requestBytes = requestBytes
        self.run = run
    }

    /// Removes what runs before this one left behind.
    func removeLeftovers() throws {
        var cursor = Array("0".utf8)
        let pattern = String(decoding: RedisInternal.prefix, as: UTF8.self) + "tmp:*"
        repeat {
            let page = RedisCommand("SCAN").with(cursor).with(words: "MATCH", pattern, "COUNT", "1000")
            guard let items = try server.connection.call(page).items, items.count == 2, let next = items[0].bytes,
                let keys = items[1].strings
            else { throw server.connection.unexpected("SCAN") }
            if !keys.isEmpty { try server.connection.call(RedisCommand("UNLINK").with(all: keys)) }
            cursor = next
        } while cursor != Array("0".utf8)
    }

    /// Starts a key.
    mutating func begin(_ state: RedisKeyState) throws {
        serial += 1
        current = state
        temporary = RedisInternal.temporary(run, serial)
        stream = nil
        try add(RedisCommand("DEL").with(temporary))
    }

    /// Adds a part of the key that was begun.
    mutating func take(_ part: RedisPart) throws {
        switch part {
        case .bytes(let bytes):
            // An empty string is a value, too: APPEND would make no key of it.
            if bytes.isEmpty { return try add(RedisCommand("SET").with(temporary, [])) }
            for start in stride(from: 0, to: bytes.count, by: requestBytes) {
                let slice = Array(bytes[start..<min(bytes.count, start + requestBytes)])
                try add(RedisCommand("APPEND").with(temporary, slice))
            }
        case .fields(let items): try addSplit("HSET", items, by: 2)
        case .elements(let items): try addSplit("RPUSH", items, by: 1)
        case .members(let items): try addSplit("SADD", items, by: 1)
        case .scores(let items):
            var swapped = items
            for index in stride(from: 0, to: swapped.count - 1, by: 2) { swapped.swapAt(index, index + 1) }
            try addSplit("ZADD", swapped, by: 2)
        case .stream(let state):
            stream = RedisStreamWriter(
                key: temporary, state: state, hasCounters: server.isAtLeast(7, 0), hasConsumers: server.isAtLeast(6, 2))
        case .entries(let entries):
            for command in stream?.commands(adding: entries) ?? [] { try add(command) }
        }
    }

    /// Puts the key that was begun in place.
    mutating func finish() throws {
        guard let state = current else { return }
        for command in stream?.commandsToFinish() ?? [] { try add(command) }
        if let expiry = state.expiry {
            try add(RedisCommand("PEXPIREAT").with(temporary).with(words: String(expiry)))
        }
        try add(
            RedisCommand("RENAME").with(temporary, state.key), expects: .rename(key: state.key, expiry: state.expiry))
        current = nil
    }

    /// Gives up the key that was begun: what is there already stays.
    mutating func abandon() throws {
        try add(RedisCommand("DEL").with(temporary))
        current = nil
    }

    private mutating func addSplit(_ name: String, _ items: [[UInt8]], by width: Int) throws {
        var command = RedisCommand(name).with(temporary)
        var filled = 0
        for index in stride(from: 0, to: items.count - width + 1, by: width) {
            for part in items[index..<(index + width)] { command.append(part) }
            filled += 1
            if command.size >= requestBytes || filled >= 5000 {
                try add(command)
                command = RedisCommand(name).with(temporary)
                filled = 0
            }
        }
        if filled > 0 { try add(command) }
    }

    private mutating func add(_ command: RedisCommand, expects: Expectation = .success) throws {
        pending.append((command, expects))
        pendingBytes += command.size
        if pendingBytes >= requestBytes || pending.count >= 2000 { try flush() }
    }

    /// Sends what is waiting and checks every reply.
    mutating func flush() throws {
        guard !pending.isEmpty else { return }
        let batch = pending
        bytesWritten += pendingBytes
        pending.removeAll(keepingCapacity: true)
        pendingBytes = 0
        let replies = try server.connection.send(batch.map(\.command))
        var gone: [[UInt8]] = []
        for (item, reply) in zip(batch, replies) {
            guard let text = reply.refusalText else { continue }
            guard case .rename(let key, let expiry) = item.expects, text.contains("no such key") else {
                throw refusal(text, to: item.command.name, at: server.peer)
            }
            guard let expiry, expiry <= RedisClock.now() + 1000 else {
                throw BasculeError(
                    .redisTargetFull, "The target evicted a key while it was being written",
                    at: .thing("\(server.peer) \(printable(key))"),
                    hint: "Raise the instance's maxMemory, or use the policy noeviction.")
            }
            gone.append(key)
        }
        guard !gone.isEmpty else { return }
        expired += gone.count
        try server.connection.call(RedisCommand("DEL").with(all: gone))
    }
}
