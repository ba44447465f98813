/// Something that preflight saw. Stable: plans and `accept:` name it.
package enum RedisFindingCode: String, Hashable, Codable, Sendable, CaseIterable {
    /// The versions of both sides.
    case versions
    /// The target refuses the source's DUMP payloads: values travel by commands, slower.
    case payloadVersion
    /// The target evicts keys although it is for durable data, or never although it is a cache.
    case evictionPolicy
    /// The target's memory limit is below what the source uses.
    case memoryLimit
    /// The target already holds keys of the pattern.
    case targetNotEmpty
    /// Keys of types that the target cannot hold (modules).
    case unsupportedTypes
    /// Hashes whose fields expire by themselves, which the target cannot do.
    case fieldExpiries
    /// Other databases of the source hold keys that this move leaves behind.
    case otherDatabases
    /// A side is a Redis Cluster: one connection sees only a part of the keys.
    case cluster
    /// Keys that travel in parts because of their size.
    case bigKeys
    /// The source's address is not encrypted and crosses a network.
    case plainText
    /// The source holds functions, which are not keys and do not travel.
    case functions
    /// The clocks of both servers differ, so that keys expire earlier or later.
    case clockSkew
    /// Something could not be found out, because the login may not ask.
    case unknown
}

/// One observation of preflight.
package struct RedisFinding: Hashable, Codable, Sendable {
    package enum Weight: String, Hashable, Codable, Sendable {
        /// The move does not start unless the code is accepted.
        case refuse
        case warn
        case info
    }

    package var code: RedisFindingCode
    package var weight: Weight
    /// One sentence, with the numbers or names that matter.
    package var message: String

    package init(_ code: RedisFindingCode, _ weight: Weight, _ message: String) {
        self.code = code
        self.weight = weight
        self.message = message
    }
}

/// How a key differs between source and target.
package struct RedisDifference: Hashable, Codable, Sendable {
    package enum Kind: String, Hashable, Codable, Sendable {
        case missing, extra, type, value, expiry
    }

    /// The key, bytes that cannot be printed as `\xNN`, cut at 120 characters.
    package var key: String
    package var kind: Kind
    /// Both sides' types or expiries, where that is the difference; never a value.
    package var detail: String?

    package init(key: String, kind: Kind, detail: String? = nil) {
        self.key = key
        self.kind = kind
        self.detail = detail
    }
}

/// How the writers of a Redis source are stopped, and what must be restored.
package enum RedisFence: Hashable, Codable, Sendable {
    /// A user of the server that can write, and the rules to give back (no passwords).
    package struct User: Hashable, Codable, Sendable {
        package var name: String
        /// The command rules as the server printed them, such as `+@all -debug`.
        package var commands: String
        /// Redis 7 selectors: further command, key and channel rules.
        package var selectors: [String]

        package init(name: String, commands: String, selectors: [String]) {
            self.name = name
            self.commands = commands
            self.selectors = selectors
        }
    }

    /// Every user loses the right to write.
    case users([User])
    /// All writing clients wait (`CLIENT PAUSE … WRITE`); a lease that must be renewed.
    case pause
    /// The server lets us do neither; the reason.
    case impossible(String)
}

/// The answer to a `RedisTask`.
package struct RedisReport: Hashable, Codable, Sendable {
    /// Preflight's observations; also those that copy repeats before it starts.
    package var findings: [RedisFinding] = []
    /// How values travelled: `dump` or `commands`.
    package var method: RedisMethod?
    /// Keys looked at, at the source.
    package var keysRead = 0
    /// Keys written at the target.
    package var keysWritten = 0
    /// Of those written by sync, keys of which only the expiry was put right.
    package var expiriesCorrected = 0
    /// Keys deleted at the target because the source no longer has them.
    package var keysDeleted = 0
    /// Keys that expired while they were being moved or compared: not a difference.
    package var keysExpired = 0
    /// Bytes of the values, as sent to the target.
    package var bytesWritten: Int64 = 0
    /// Commands sent to the source, for those who pay by the command.
    package var sourceCommands = 0
    package var seconds: Double = 0
    /// Keys compared on both sides and equal.
    package var keysEqual = 0
    /// How many keys differ, and the first 20 of them.
    package var keysDiffering = 0
    package var differences: [RedisDifference] = []
    /// The sum modulo 2^128 of all keys' digests, 32 hexadecimal digits; equal sides have equal sums.
    package var sourceDigest: String?
    package var targetDigest: String?
    package var fence: RedisFence?
    /// For a pause: when it ends by itself, in seconds since 1970.
    package var fenceExpires: Int64?
    /// Each class of writer that was tried, and whether its write was refused.
    package var fenceProofs: [RedisFenceProof] = []

    package init() {}

    /// Whether a verification found both sides equal.
    package var isEqual: Bool { keysDiffering == 0 && sourceDigest == targetDigest && sourceDigest != nil }
}

/// One attempt to write at a fenced source.
package struct RedisFenceProof: Hashable, Codable, Sendable {
    /// Who tried: a user's name, or what kind of client.
    package var writer: String
    package var refused: Bool
    /// What the server answered, without anything secret.
    package var answer: String

    package init(writer: String, refused: Bool, answer: String) {
        self.writer = writer
        self.refused = refused
        self.answer = answer
    }
}
