import BasculeModel
import BasculeNet

/// Writes keys of the source at the target.
struct RedisCopier {
    let session: RedisSession
    private(set) var method: RedisMethod
    private let run: String
    private(set) var keysWritten = 0
    private(set) var keysExpired = 0
    private(set) var bytesWritten: Int64 = 0
    /// Keys of types that only the source has, skipped because the user accepted that.
    private(set) var skipped: [[UInt8]] = []

    /// `method` is what preflight found: `dump` or `commands`.
    init(session: RedisSession, method: RedisMethod) {
        self.session = session
        self.method = method
        run = String(UInt64.random(in: 0 ... .max), radix: 36)
    }

    private var partBytes: Int { session.move.partBytes }

    /// Copies the keys as they are now. Those that vanish or change meanwhile are looked at again, twice at most:
    /// what is still in motion then is the sync's.
    mutating func copy(_ keys: [[UInt8]]) throws {
        var left = keys
        for _ in 0..<3 where !left.isEmpty {
            let states = try session.source().states(of: left, sizes: true)
            keysExpired += states.count { $0 == nil }
            left = try copyOnce(states.compactMap { $0 })
        }
    }

    /// Returns the keys that changed under our hands.
    private mutating func copyOnce(_ states: [RedisKeyState]) throws -> [[UInt8]] {
        var dumped: [RedisKeyState] = []
        var small: [RedisKeyState] = []
        var single: [RedisKeyState] = []
        let reader = RedisKeyReader(server: try session.source(), partBytes: partBytes)
        for state in states {
            if method == .dump, canDump(state) {
                dumped.append(state)
            } else if case .other = state.type {
                try skip(state)
            } else if reader.isSmall(state) {
                small.append(state)
            } else {
                single.append(state)
            }
        }
        var again: [[UInt8]] = []
        for group in grouped(dumped) { small += try restore(group, &again) }
        for group in grouped(small.filter(reader.isSmall)) { again += try writeSmall(group, reader) }
        for state in single + small.filter({ !reader.isSmall($0) }) { again += try writeBig(state, reader) }
        return again
    }

    /// Big keys go by parts, but what has no commands, and fields with expiries, fit only into a dump.
    private func canDump(_ state: RedisKeyState) -> Bool {
        if case .other = state.type { return true }
        if state.type == .hash, (try? session.source().hasFieldExpiries) == true { return true }
        return (state.size ?? 0) <= partBytes
    }

    /// Groups of which each takes about one part of memory.
    private func grouped(_ states: [RedisKeyState]) -> [ArraySlice<RedisKeyState>] {
        var out: [ArraySlice<RedisKeyState>] = []
        var start = 0
        var bytes = 0
        for (index, state) in states.enumerated() {
            bytes += state.size ?? 1024
            if bytes > 4 * partBytes, index > start {
                out.append(states[start..<index])
                (start, bytes) = (index, state.size ?? 1024)
            }
        }
        if start < states.count { out.append(states[start...]) }
        return out
    }

    /// DUMP and RESTORE; returns the keys that must travel by commands because the target refused them.
    private mutating func restore(
        _ states: ArraySlice<RedisKeyState>, _ again: inout [[UInt8]]
    ) throws -> [RedisKeyState] {
        let dumps = try session.source().connection.send(states.map { RedisCommand("DUMP").with($0.key) })
        var commands: [RedisCommand] = []
        var sent: [RedisKeyState] = []
        for (state, dump) in zip(states, dumps) {
            if let text = dump.refusalText { throw refusal(text, to: "DUMP", at: try session.source().peer) }
            guard let payload = dump.bytes else {
                again.append(state.key)
                continue
            }
            bytesWritten += Int64(payload.count)
            sent.append(state)
            commands.append(
                RedisCommand("RESTORE").with(state.key).with(words: String(state.expiry ?? 0)).with(payload)
                    .with(words: "REPLACE", "ABSTTL"))
        }
        let target = try session.target()
        var refused: [RedisKeyState] = []
        for (state, reply) in zip(sent, try target.connection.send(commands)) {
            guard let text = reply.refusalText else {
                keysWritten += 1
                continue
            }
            let isVersion = text.contains("DUMP payload version")
            guard isVersion || text.contains("Bad data format") else {
                throw refusal(text, to: "RESTORE", at: target.peer)
            }
            if case .other = state.type {
                try skip(state)
                continue
            }
            guard session.move.method == .automatic else { throw refusal(text, to: "RESTORE", at: target.peer) }
            // The source was upgraded since the probe, or there was nothing to probe with.
            if isVersion { method = .commands }
            refused.append(state)
        }
        return refused
    }

    private mutating func skip(_ state: RedisKeyState) throws {
        guard session.move.accept.contains(.unsupportedTypes) else {
            throw BasculeError(
                .redisTypeUnsupported, "The target cannot hold a key of type \(state.type.name)",
                at: .thing(printable(state.key)),
                hint: "Delete or exclude such keys, or accept the finding unsupportedTypes to leave them behind.")
        }
        skipped.append(state.key)
    }

    private mutating func writeSmall(
        _ states: ArraySlice<RedisKeyState>, _ reader: RedisKeyReader
    ) throws -> [[UInt8]] {
        let parts = try reader.readSmall(Array(states))
        var writer = try makeWriter()
        var again: [[UInt8]] = []
        for (state, part) in zip(states, parts) {
            guard let part else {
                again.append(state.key)
                continue
            }
            try writer.begin(state)
            try writer.take(part)
            try writer.finish()
            keysWritten += 1
        }
        try account(&writer)
        return again
    }

    private mutating func writeBig(_ state: RedisKeyState, _ reader: RedisKeyReader) throws -> [[UInt8]] {
        var writer = try makeWriter()
        try writer.begin(state)
        let whole = try reader.read(state) {
            try session.checkCancelled()
            try writer.take($0)
        }
        if whole {
            try writer.finish()
            keysWritten += 1
        } else {
            try writer.abandon()
        }
        try account(&writer)
        return whole ? [] : [state.key]
    }

    private func makeWriter() throws -> RedisKeyWriter {
        let serial = "\(run)-\(keysWritten)-\(bytesWritten)"
        return RedisKeyWriter(server: try session.target(), requestBytes: partBytes, run: serial)
    }

    private mutating func account(_ writer: inout RedisKeyWriter) throws {
        try writer.flush()
        bytesWritten += Int64(writer.bytesWritten)
        keysExpired += writer.expired
        keysWritten -= writer.expired
    }
}
