import BasculeModel
import BasculeNet

/// Counts types and sizes of all keys for preflight.
struct RedisCensus {
    let session: RedisSession
    let method: RedisMethod
    private(set) var keys = 0
    private(set) var bytes: Int64 = 0
    private var big = 0
    private var biggest: (key: [UInt8], size: Int)?
    private var foreign: [String: (count: Int, example: [UInt8])] = [:]

    init(session: RedisSession, method: RedisMethod) {
        self.session = session
        self.method = method
    }

    /// Adds a page of keys.
    mutating func add(_ page: [[UInt8]]) throws {
        for case let state? in try session.source().states(of: page, sizes: true) {
            keys += 1
            let size = state.size ?? 0
            bytes += Int64(size)
            if size > session.move.partBytes { big += 1 }
            if size > biggest?.size ?? 0 { biggest = (state.key, size) }
            if case .other(let name) = state.type, try !isRestorable(state) {
                foreign[name, default: (0, state.key)].count += 1
            }
        }
    }

    /// Only the target itself can say whether it has the module; asked once a type.
    private mutating func isRestorable(_ state: RedisKeyState) throws -> Bool {
        guard method == .dump, foreign[state.type.name] == nil else { return false }
        guard let payload = try session.source().connection.answer(of: RedisCommand("DUMP").with(state.key)).bytes
        else {
            return false
        }
        let name = RedisInternal.temporary("probe", 1)
        let target = try session.target().connection
        let reply = try target.answer(
            of: RedisCommand("RESTORE").with(name).with(words: "0").with(payload).with(words: "REPLACE"))
        try target.call(RedisCommand("DEL").with(name))
        return reply.refusalText == nil
    }

    /// What follows from the count.
    func findings() throws -> [RedisFinding] {
        var out: [RedisFinding] = []
        for (name, found) in foreign.sorted(by: { $0.key < $1.key }) {
            out.append(
                RedisFinding(
                    .unsupportedTypes, .refuse,
                    "The target cannot hold \(found.count) keys of type \(name), such as "
                        + printable(found.example, limit: 60)))
        }
        if big > 0, let biggest {
            out.append(
                RedisFinding(
                    .bigKeys, .info,
                    "\(big) keys travel in parts; the biggest takes \(biggest.size >> 10) KiB: "
                        + printable(biggest.key, limit: 60)))
        }
        let (source, target) = (try session.source(), try session.target())
        return out + Self.fieldExpiries(source.info, method, target: target.info)
    }

    /// By what both sides' `INFO` says: only a payload carries the expiries of fields, and only from Redis 7.4 on.
    static func fieldExpiries(
        _ source: [String: String], _ method: RedisMethod, target: [String: String]
    ) -> [RedisFinding] {
        guard RedisServer.hasFieldExpiries(source),
            method == .commands || !RedisServer.isAtLeast(7, 4, RedisServer.version(target))
        else { return [] }
        let version = target["redis_version"].map { printable($0.utf8, limit: 20) } ?? "unknown"
        return [
            RedisFinding(
                .fieldExpiries, .refuse,
                "The source has hashes whose fields expire; at the target (\(version)) they would never")
        ]
    }
}
