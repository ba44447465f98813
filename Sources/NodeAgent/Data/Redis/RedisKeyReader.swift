import BasculeModel
import BasculeNet

/// Reads the values of keys by their types' own commands, big ones in parts.
struct RedisKeyReader {
    let server: RedisServer
    /// Keys that take more memory are read in parts of about this many bytes.
    let partBytes: Int

    private var connection: RedisConnection { server.connection }

    /// Whether a key is read at once, in a pipeline with others.
    func isSmall(_ state: RedisKeyState) -> Bool {
        switch state.type {
        case .stream, .other: false
        default: (state.size ?? 0) <= partBytes
        }
    }

    /// The whole values of small keys, nil for those that vanished or changed their type meanwhile.
    func readSmall(_ states: [RedisKeyState]) throws -> [RedisPart?] {
        try zip(states, connection.send(states.map(Self.whole))).map(part)
    }

    /// The value that a reply to `whole` holds; nil where the key vanished or changed its type meanwhile.
    func part(_ state: RedisKeyState, _ reply: RedisValue) throws -> RedisPart? {
        if let text = reply.refusalText {
            if text.hasPrefix("WRONGTYPE") { return nil }
            throw refusal(text, to: Self.whole(state).name, at: server.peer)
        }
        if case .string = state.type { return reply.bytes.map { .bytes($0) } }
        guard let items = reply.strings else { throw connection.unexpected(Self.whole(state).name) }
        return items.isEmpty ? nil : Self.part(state.type, items)
    }

    /// What asks for a whole value.
    static func whole(_ state: RedisKeyState) -> RedisCommand {
        switch state.type {
        case .hash: RedisCommand("HGETALL").with(state.key)
        case .list: RedisCommand("LRANGE").with(state.key).with(words: "0", "-1")
        case .set: RedisCommand("SMEMBERS").with(state.key)
        case .sortedSet: RedisCommand("ZRANGE").with(state.key).with(words: "0", "-1", "WITHSCORES")
        default: RedisCommand("GET").with(state.key)
        }
    }

    private static func part(_ type: RedisType, _ items: [[UInt8]]) -> RedisPart {
        switch type {
        case .hash: .fields(items)
        case .set: .members(items)
        case .sortedSet: .scores(items)
        default: .elements(items)
        }
    }

    /// Hands over the value of a key in parts; false if it vanished or changed its type meanwhile.
    ///
    /// Of a key that is being written to, the parts are of different moments; the sync after the freeze is exact.
    func read(_ state: RedisKeyState, into take: (RedisPart) throws -> Void) throws -> Bool {
        do {
            switch state.type {
            case .string: return try readString(state, take)
            case .list: return try readList(state, take)
            case .hash: return try scan("HSCAN", "HLEN", state, take)
            case .set: return try scan("SSCAN", "SCARD", state, take)
            case .sortedSet: return try scan("ZSCAN", "ZCARD", state, take)
            case .stream: return try RedisStreamReader(connection: connection, partBytes: partBytes).read(state, take)
            case .other(let name):
                throw BasculeError(
                    .redisTypeUnsupported, "A key of type \(name) can only be moved by DUMP and RESTORE",
                    at: .thing(printable(state.key)))
            }
        } catch let error as BasculeError
            where error.code == .redisRefused && (error.cause?.hasPrefix("WRONGTYPE") ?? false)
        {
            return false
        }
    }

    private func readString(_ state: RedisKeyState, _ take: (RedisPart) throws -> Void) throws -> Bool {
        var offset = 0
        while true {
            let range = RedisCommand("GETRANGE").with(state.key)
                .with(words: String(offset), String(offset + partBytes - 1))
            guard let bytes = try connection.call(range).bytes else { throw connection.unexpected("GETRANGE") }
            if bytes.isEmpty {
                if offset > 0 { return true }
                // A missing key reads like an empty one.
                return try connection.call(RedisCommand("EXISTS").with(state.key)).number == 1
            }
            try take(.bytes(bytes))
            if bytes.count < partBytes { return true }
            offset += bytes.count
        }
    }

    private func readList(_ state: RedisKeyState, _ take: (RedisPart) throws -> Void) throws -> Bool {
        let step = try pageSize(state, "LLEN")
        var index = 0
        while true {
            let range = RedisCommand("LRANGE").with(state.key).with(words: String(index), String(index + step - 1))
            guard let items = try connection.call(range).strings else { throw connection.unexpected("LRANGE") }
            if items.isEmpty { return index > 0 }
            try take(.elements(items))
            index += items.count
            if items.count < step { return true }
        }
    }

    private func scan(
        _ command: String, _ length: String, _ state: RedisKeyState, _ take: (RedisPart) throws -> Void
    ) throws -> Bool {
        let step = try pageSize(state, length)
        var cursor = Array("0".utf8)
        var any = false
        repeat {
            let page = RedisCommand(command).with(state.key).with(cursor).with(words: "COUNT", String(step))
            guard let items = try connection.call(page).items, items.count == 2, let next = items[0].bytes,
                let found = items[1].strings
            else { throw connection.unexpected(command) }
            cursor = next
            if !found.isEmpty {
                any = true
                try take(Self.part(state.type, found))
            }
        } while cursor != Array("0".utf8)
        return any
    }

    /// How many elements make about one part.
    private func pageSize(_ state: RedisKeyState, _ command: String) throws -> Int {
        let count = Int(try connection.call(RedisCommand(command).with(state.key)).number ?? 1)
        guard let size = state.size, count > 0 else { return 1000 }
        return max(1, min(100_000, partBytes * count / max(1, size)))
    }
}
