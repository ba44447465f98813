import BasculeModel
import BasculeNet

/// Reads streams: entries, last id, groups, consumers and what they have not acknowledged.
struct RedisStreamReader {
    let connection: RedisConnection
    let partBytes: Int
    private let page = 1000

    init(connection: RedisConnection, partBytes: Int) {
        self.connection = connection
        self.partBytes = partBytes
    }

    /// Hands over the state, then the entries; false if the stream vanished meanwhile.
    func read(_ key: RedisKeyState, _ take: (RedisPart) throws -> Void) throws -> Bool {
        guard let state = try state(of: key.key) else { return false }
        try take(.stream(state))
        var from = RedisStreamID(0, 0)
        while true {
            let command = RedisCommand("XRANGE").with(key.key).with(from.bytes).with(words: "+", "COUNT", String(page))
            guard let items = try connection.call(command).items else { throw connection.unexpected("XRANGE") }
            let entries = try items.map(entry)
            if !entries.isEmpty { try take(.entries(entries)) }
            guard items.count == page, let last = entries.last, let next = last.id.next else { return true }
            from = next
        }
    }

    private func entry(_ reply: RedisValue) throws -> (id: RedisStreamID, fields: [[UInt8]]) {
        guard let parts = reply.items, parts.count == 2, let id = RedisStreamID(parts[0].bytes),
            let fields = parts[1].strings
        else { throw connection.unexpected("XRANGE") }
        return (id, fields)
    }

    private func state(of key: [UInt8]) throws -> RedisStreamState? {
        let reply = try connection.answer(of: RedisCommand("XINFO", "STREAM").with(key))
        if let text = reply.refusalText {
            if text.contains("no such key") { return nil }
            throw refusal(text, to: "XINFO STREAM", at: connection.peer)
        }
        guard let map = reply.map, let last = RedisStreamID(map["last-generated-id"]?.bytes) else {
            throw connection.unexpected("XINFO STREAM")
        }
        let groups = map["groups"]?.number == 0 ? [] : try groups(of: key)
        return RedisStreamState(
            lastID: last, entriesAdded: map["entries-added"]?.number,
            maxDeletedID: RedisStreamID(map["max-deleted-entry-id"]?.bytes), groups: groups)
    }

    private func groups(of key: [UInt8]) throws -> [RedisGroup] {
        guard let items = try connection.call(RedisCommand("XINFO", "GROUPS").with(key)).items else {
            throw connection.unexpected("XINFO GROUPS")
        }
        return try items.map { item in
            guard let map = item.map, let name = map["name"]?.bytes,
                let last = RedisStreamID(map["last-delivered-id"]?.bytes)
            else { throw connection.unexpected("XINFO GROUPS") }
            return RedisGroup(
                name: name, lastDelivered: last, entriesRead: map["entries-read"]?.number,
                consumers: try consumers(of: key, name), pending: try pending(of: key, name))
        }
    }

    private func consumers(of key: [UInt8], _ group: [UInt8]) throws -> [[UInt8]] {
        guard let items = try connection.call(RedisCommand("XINFO", "CONSUMERS").with(key, group)).items else {
            throw connection.unexpected("XINFO CONSUMERS")
        }
        return try items.map { item in
            guard let name = item.map?["name"]?.bytes else { throw connection.unexpected("XINFO CONSUMERS") }
            return name
        }
    }

    private func pending(of key: [UInt8], _ group: [UInt8]) throws -> [RedisPending] {
        var out: [RedisPending] = []
        var from = RedisStreamID(0, 0)
        while true {
            let command = RedisCommand("XPENDING").with(key, group, from.bytes).with(words: "+", String(page))
            let asked = RedisClock.now()
            guard let items = try connection.call(command).items else { throw connection.unexpected("XPENDING") }
            for item in items {
                guard let parts = item.items, parts.count == 4, let id = RedisStreamID(parts[0].bytes),
                    let consumer = parts[1].bytes, let idle = parts[2].number, let times = parts[3].number
                else { throw connection.unexpected("XPENDING") }
                out.append(RedisPending(id: id, consumer: consumer, deliveredAt: asked - idle, deliveries: times))
            }
            guard items.count == page, let next = out.last?.id.next else { return out }
            from = next
        }
    }
}
