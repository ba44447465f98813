import BasculeModel
import Glibc

/// What a server says about a key, without its value.
struct RedisKeyState: Equatable {
    let key: [UInt8]
    let type: RedisType
    /// When it expires, in milliseconds since 1970; nil for never.
    let expiry: Int64?
    /// The memory that it takes, where that was asked for and the server tells.
    let size: Int?
}

/// The types of keys. What a module brings keeps the module's own name.
enum RedisType: Equatable, Hashable {
    case string, hash, list, set, sortedSet, stream
    case other(String)

    init(reply: String) {
        switch reply {
        case "string": self = .string
        case "hash": self = .hash
        case "list": self = .list
        case "set": self = .set
        case "zset": self = .sortedSet
        case "stream": self = .stream
        default: self = .other(printable(reply.utf8, limit: 40))
        }
    }

    var name: String {
        switch self {
        case .string: "string"
        case .hash: "hash"
        case .list: "list"
        case .set: "set"
        case .sortedSet: "zset"
        case .stream: "stream"
        case .other(let name): name
        }
    }
}

/// A pending entry of a stream's consumer group.
struct RedisPending: Equatable {
    let id: RedisStreamID
    let consumer: [UInt8]
    /// When it was last delivered, in milliseconds since 1970.
    let deliveredAt: Int64
    let deliveries: Int64
}

/// A consumer group of a stream.
struct RedisGroup: Equatable {
    let name: [UInt8]
    let lastDelivered: RedisStreamID
    /// Redis 7.0 and newer; nil where the server does not know.
    let entriesRead: Int64?
    let consumers: [[UInt8]]
    let pending: [RedisPending]
}

/// All of a stream but its entries.
struct RedisStreamState: Equatable {
    let lastID: RedisStreamID
    /// Redis 7.0 and newer.
    let entriesAdded: Int64?
    let maxDeletedID: RedisStreamID?
    let groups: [RedisGroup]
}

/// The id of a stream's entry.
struct RedisStreamID: Hashable, Comparable {
    let milliseconds: UInt64
    let sequence: UInt64

    init(_ milliseconds: UInt64, _ sequence: UInt64) {
        self.milliseconds = milliseconds
        self.sequence = sequence
    }

    init?(_ bytes: [UInt8]?) {
        guard let bytes else { return nil }
        let parts = bytes.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.count == 2, let left = UInt64(String(decoding: parts[0], as: UTF8.self)),
            let right = UInt64(String(decoding: parts[1], as: UTF8.self))
        else { return nil }
        self.init(left, right)
    }

    var bytes: [UInt8] { Array("\(milliseconds)-\(sequence)".utf8) }

    /// The smallest greater id; nil after the last that there can be.
    var next: RedisStreamID? {
        if sequence < .max { return RedisStreamID(milliseconds, sequence + 1) }
        return milliseconds < .max ? RedisStreamID(milliseconds + 1, 0) : nil
    }

    static func < (left: Self, right: Self) -> Bool {
        (left.milliseconds, left.sequence) < (right.milliseconds, right.sequence)
    }
}

/// A part of a key's value. A small value is one part, a big one many.
enum RedisPart {
    /// More bytes of a string.
    case bytes([UInt8])
    /// Field, value, field, value…
    case fields([[UInt8]])
    /// The next elements of a list.
    case elements([[UInt8]])
    /// Some members of a set.
    case members([[UInt8]])
    /// Member, score, member, score…
    case scores([[UInt8]])
    /// What a stream is besides its entries; comes before them.
    case stream(RedisStreamState)
    /// The next entries of a stream, in the order of their ids.
    case entries([(id: RedisStreamID, fields: [[UInt8]])])
}

/// The wall clock, in milliseconds since 1970: what Redis's absolute expiries are measured against.
enum RedisClock {
    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
