import BasculeModel

/// `services.redis`: up to two instances, each its own process, even on one node.
package struct Redis: Sendable, Equatable {
    package var cache: Cache?
    package var durable: Durable?
    package init() {}

    /// An instance that may evict keys.
    package struct Cache: Sendable, Equatable {
        package enum Policy: String, Sendable, Hashable, CaseIterable {
            case allkeysLRU = "allkeys-lru"
            case allkeysLFU = "allkeys-lfu"
            case allkeysRandom = "allkeys-random"
            case volatileLRU = "volatile-lru"
            case volatileLFU = "volatile-lfu"
            case volatileTTL = "volatile-ttl"
            case noeviction
        }
        /// Default 256 MiB.
        package var maxMemory = ByteSize.mebibytes(256)
        /// Default allkeys-lru.
        package var policy = Policy.allkeysLRU
        /// Default 6379.
        package var port = 6379
        /// Commands that apps may use beyond those that do no harm, e.g. `keys`.
        package var allow: [String] = []
        package init() {}
    }

    /// An instance that never evicts, with an append-only file. BullMQ needs it.
    package struct Durable: Sendable, Equatable {
        /// Default 256 MiB; writes are refused beyond it.
        package var maxMemory = ByteSize.mebibytes(256)
        /// Default 6380.
        package var port = 6380
        /// When the append-only file is on disk: once a second, or before each answer.
        package enum Sync: String, Sendable, Hashable, CaseIterable { case everysec, always }
        /// Default everysec.
        package var fsync = Sync.everysec
        /// Commands that apps may use beyond those that do no harm, e.g. `keys`.
        package var allow: [String] = []
        package init() {}
    }
}

extension Redis: Declared {
    static var about: String { "Redis on the node with the role cache" }
    static var fields: [Field<Redis>] {
        [
            .key("cache", \.cache, .object, "An instance that may evict keys"),
            .key(
                "durable", \.durable, .object,
                "An instance for queues and sessions (BullMQ): noeviction, append-only file"),
        ]
    }
}

extension Redis.Cache: Declared {
    static var about: String { "A Redis instance that may evict keys" }
    static var fields: [Field<Redis.Cache>] {
        [
            .key("maxMemory", \.maxMemory, .size, "Memory for data"),
            .key("policy", \.policy, .choice(), "What is evicted when memory is full"),
            .key("port", \.port, .port, "Where it listens"),
            .key("allow", \.allow, .list(.name(.redisCommand)), "Commands that apps may use beyond the harmless"),
        ]
    }
}

extension Redis.Durable: Declared {
    /// `policy` may be written, to say the only one that there is.
    enum Policy: String, CaseIterable { case noeviction }
    static var about: String { "A Redis instance that never evicts, with an append-only file" }
    static var fields: [Field<Redis.Durable>] {
        let reason = "a durable instance must refuse writes rather than drop queued jobs and sessions"
        let refused = Dictionary(
            uniqueKeysWithValues: Redis.Cache.Policy.allCases.filter { $0 != .noeviction }.map { ($0.rawValue, reason) }
        )
        return [
            .key("maxMemory", \.maxMemory, .size, "Memory for data; writes are refused beyond it"),
            .key("policy", \.policy, .choice(refused), "Always noeviction"),
            .key("port", \.port, .port, "Where it listens"),
            .key("fsync", \.fsync, .choice(), "When a write is on disk: within a second, or before its answer"),
            .key("allow", \.allow, .list(.name(.redisCommand)), "Commands that apps may use beyond the harmless"),
        ]
    }

    var policy: Policy {
        get { .noeviction }
        set {}
    }
}
