import BasculeModel

/// What a Redis instance may do with its data.
package enum RedisPurpose: String, Sendable, Hashable, CaseIterable {
    /// May evict.
    case cache
    /// Queues and sessions: never evicts, append-only file.
    case durable
}

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
        package init() {}
    }

    /// An instance that never evicts, with an append-only file. BullMQ needs it.
    package struct Durable: Sendable, Equatable {
        /// Default 256 MiB; writes are refused beyond it.
        package var maxMemory = ByteSize.mebibytes(256)
        /// Default 6380.
        package var port = 6380
        package init() {}
    }
}
