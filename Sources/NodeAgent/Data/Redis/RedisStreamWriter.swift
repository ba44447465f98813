import BasculeModel

/// The commands that make a stream equal to another: entries, last id, counters, groups and pending entries.
struct RedisStreamWriter {
    private let key: [UInt8]
    private let state: RedisStreamState
    private let hasCounters: Bool
    private let hasConsumers: Bool
    /// Pending entries that were deleted from the stream. XCLAIM takes only entries that exist, so they exist briefly.
    private var ghosts: ArraySlice<RedisStreamID>
    private var added: Set<RedisStreamID> = []
    private var top = RedisStreamID(0, 0)
    private var pendingIDs: Set<RedisStreamID>
    private var made = false

    init(key: [UInt8], state: RedisStreamState, hasCounters: Bool, hasConsumers: Bool) {
        self.key = key
        self.state = state
        self.hasCounters = hasCounters
        self.hasConsumers = hasConsumers
        pendingIDs = Set(state.groups.flatMap { $0.pending.map(\.id) })
        ghosts = pendingIDs.sorted()[...]
    }

    /// Adds the next entries.
    mutating func commands(adding entries: [(id: RedisStreamID, fields: [[UInt8]])]) -> [RedisCommand] {
        var out: [RedisCommand] = []
        for entry in entries {
            out += ghostCommands(before: entry.id)
            if ghosts.first == entry.id { ghosts = ghosts.dropFirst() }
            out.append(RedisCommand("XADD").with(key, entry.id.bytes).with(all: entry.fields))
            top = entry.id
            made = true
        }
        return out
    }

    private mutating func ghostCommands(before limit: RedisStreamID?) -> [RedisCommand] {
        var out: [RedisCommand] = []
        while let ghost = ghosts.first, limit.map({ ghost < $0 }) ?? true {
            ghosts = ghosts.dropFirst()
            out.append(RedisCommand("XADD").with(key, ghost.bytes).with(words: "gone", ""))
            added.insert(ghost)
            top = ghost
            made = true
        }
        return out
    }

    /// What comes after the last entry.
    mutating func commandsToFinish() -> [RedisCommand] {
        var out = ghostCommands(before: nil)
        if !made {
            // A stream without entries is made by a group that goes again.
            out.append(RedisCommand("XGROUP", "CREATE").with(key).with(words: "bascule", "0", "MKSTREAM"))
            out.append(RedisCommand("XGROUP", "DESTROY").with(key).with(words: "bascule"))
        }
        for group in state.groups { out += commands(for: group) }
        if !added.isEmpty { out.append(RedisCommand("XDEL").with(key).with(all: added.sorted().map(\.bytes))) }
        var last = RedisCommand("XSETID").with(key, max(top, state.lastID).bytes)
        if hasCounters, let count = state.entriesAdded, let deleted = state.maxDeletedID {
            last = last.with(words: "ENTRIESADDED", String(count), "MAXDELETEDID").with(deleted.bytes)
        }
        out.append(last)
        return out
    }

    private func commands(for group: RedisGroup) -> [RedisCommand] {
        var create = RedisCommand("XGROUP", "CREATE").with(key, group.name, group.lastDelivered.bytes)
        if hasCounters, let read = group.entriesRead { create = create.with(words: "ENTRIESREAD", String(read)) }
        var out = [create]
        if hasConsumers {
            for consumer in group.consumers {
                out.append(RedisCommand("XGROUP", "CREATECONSUMER").with(key, group.name, consumer))
            }
        }
        for entry in group.pending {
            let claim = RedisCommand("XCLAIM").with(key, group.name, entry.consumer).with(words: "0")
                .with(entry.id.bytes)
            out.append(
                claim.with(
                    words: "TIME", String(entry.deliveredAt), "RETRYCOUNT", String(entry.deliveries), "FORCE", "JUSTID")
            )
        }
        return out
    }
}
