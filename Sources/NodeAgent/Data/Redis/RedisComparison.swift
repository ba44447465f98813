import BasculeCrypto
import BasculeModel
import BasculeNet

/// One key that is not the same on both sides.
struct RedisMismatch {
    let key: [UInt8]
    let kind: RedisDifference.Kind
    let detail: String?
    /// What the source has; nil for an extra key.
    let source: RedisKeyState?
}

/// Compares both sides key by key.
struct RedisComparison {
    let session: RedisSession
    /// Whether keys that only the target has are a difference; not where a merge left others' keys alone.
    let countsExtras: Bool
    /// 128 bits a key: pages may repeat keys, and what is not in here at the target is extra. 32 bytes a key of memory.
    private var seen: Set<UInt128> = []
    private var dumps = Dumps()
    private(set) var keysRead = 0
    private(set) var keysEqual = 0
    private(set) var keysExpired = 0
    /// Of the equal keys alone.
    private(set) var equalSum: UInt128 = 0
    private(set) var sourceSum: UInt128 = 0
    private(set) var targetSum: UInt128 = 0

    init(session: RedisSession, countsExtras: Bool) {
        self.session = session
        self.countsExtras = countsExtras
    }

    /// Compares a page of the source's keys.
    mutating func compare(_ page: [[UInt8]]) throws -> [RedisMismatch] {
        let keys = page.filter { !seen.contains(Self.fingerprint($0)) }
        // Marked only at the end: a page that is repeated after a broken connection must count once, and wholly.
        let before = (keysRead, keysEqual, keysExpired, equalSum, sourceSum, targetSum)
        do {
            let out = try compareUnseen(keys)
            for key in keys { seen.insert(Self.fingerprint(key)) }
            return out
        } catch {
            (keysRead, keysEqual, keysExpired, equalSum, sourceSum, targetSum) = before
            throw error
        }
    }

    /// Looks at a page of the target's keys for those that the source does not have.
    mutating func extras(_ page: [[UInt8]]) throws -> [RedisMismatch] {
        let unknown = page.filter { !seen.contains(Self.fingerprint($0)) }
        guard !unknown.isEmpty else { return [] }
        let (left, right) = try session.states(of: unknown)
        var out: [RedisMismatch] = []
        var late: [[UInt8]] = []
        var sum: UInt128 = 0
        var expired = 0
        for (key, (source, target)) in zip(unknown, zip(left, right)) {
            if source != nil {
                late.append(key)
            } else if countsExtras, let target {
                if isExpiring(target) {
                    expired += 1
                    continue
                }
                sum &+= Self.fingerprint(key)
                out.append(RedisMismatch(key: key, kind: .extra, detail: target.type.name, source: nil))
            }
        }
        // Made at the source after its page went by.
        out += try compare(late)
        targetSum &+= sum
        keysExpired += expired
        for key in unknown { seen.insert(Self.fingerprint(key)) }
        return out
    }

    private mutating func compareUnseen(_ keys: [[UInt8]]) throws -> [RedisMismatch] {
        let (left, right) = try session.states(of: keys)
        var out: [RedisMismatch] = []
        var pairs: [Pair] = []
        for (key, (source, target)) in zip(keys, zip(left, right)) {
            guard let source else {
                keysExpired += 1
                continue
            }
            keysRead += 1
            guard let target else {
                try missing(source, &out)
                continue
            }
            guard source.type == target.type else {
                let detail = "\(source.type.name), not \(target.type.name)"
                out.append(RedisMismatch(key: key, kind: .type, detail: detail, source: source))
                sourceSum &+= Self.fingerprint(key)
                continue
            }
            // The target's size is free to ask and, if the values are equal, the source's.
            let sized = RedisKeyState(key: key, type: source.type, expiry: source.expiry, size: target.size)
            pairs.append(Pair(source: sized, target: target))
        }
        try compareValues(pairs, &out)
        return out
    }

    private struct Pair {
        let source: RedisKeyState
        let target: RedisKeyState
    }

    private mutating func missing(_ source: RedisKeyState, _ out: inout [RedisMismatch]) throws {
        if isExpiring(source) {
            keysExpired += 1
            keysRead -= 1
            return
        }
        sourceSum &+= Self.fingerprint(source.key)
        out.append(RedisMismatch(key: source.key, kind: .missing, detail: source.type.name, source: source))
    }

    private mutating func compareValues(_ pairs: [Pair], _ out: inout [RedisMismatch]) throws {
        let left = RedisKeyReader(server: try session.source(), partBytes: session.move.partBytes)
        let right = RedisKeyReader(server: try session.target(), partBytes: session.move.partBytes)
        var batch: [Pair] = []
        var bytes = 0
        for pair in pairs {
            guard left.isSmall(pair.target) || dumps.areWorthwhile && pair.target.size ?? .max <= session.move.partBytes
            else {
                try compareParts(pair, left, right, &out)
                continue
            }
            batch.append(pair)
            bytes += pair.target.size ?? 1024
            if bytes > 4 * session.move.partBytes {
                try settle(batch, left, right, &out)
                (batch, bytes) = ([], 0)
            }
        }
        try settle(batch, left, right, &out)
    }

    private mutating func compareParts(
        _ pair: Pair, _ left: RedisKeyReader, _ right: RedisKeyReader, _ out: inout [RedisMismatch]
    ) throws {
        try session.checkCancelled()
        try judge(pair, digest(pair.source, left), digest(pair.target, right), &out)
    }

    private mutating func settle(
        _ batch: [Pair], _ left: RedisKeyReader, _ right: RedisKeyReader, _ out: inout [RedisMismatch]
    ) throws {
        var small: [Pair] = []
        for pair in try compareDumps(batch, &out) {
            if left.isSmall(pair.target) { small.append(pair) } else { try compareParts(pair, left, right, &out) }
        }
        guard !small.isEmpty else { return }
        let commands = small.map { RedisKeyReader.whole($0.source) }
        let (sources, targets) = try session.both(commands, commands)
        for (pair, replies) in zip(small, zip(sources, targets)) {
            try judge(pair, digest(pair.source, left, replies.0), digest(pair.target, right, replies.1), &out)
        }
    }

    /// Whether keys are worth comparing by their payloads first.
    private struct Dumps {
        var tried = 0
        var equal = 0
        var areRefused = false
        /// Other versions, and other settings, write equal values differently; that shows soon.
        var areWorthwhile: Bool { !areRefused && (tried < 2000 || equal * 2 > tried) }
    }

    /// Equal payloads are equal values, whatever is in them. Returns the pairs that must be compared by their values:
    /// these may be equal too.
    private mutating func compareDumps(_ batch: [Pair], _ out: inout [RedisMismatch]) throws -> [Pair] {
        guard dumps.areWorthwhile, !batch.isEmpty else { return batch }
        let commands = batch.map { RedisCommand("DUMP").with($0.source.key) }
        let (sources, targets) = try session.both(commands, commands)
        var left: [Pair] = []
        for (pair, replies) in zip(batch, zip(sources, targets)) {
            if replies.0.refusalText != nil || replies.1.refusalText != nil { dumps.areRefused = true }
            dumps.tried += 1
            // The last ten bytes are the version and a checksum.
            guard case .bulk(let payload) = replies.0, case .bulk(let other) = replies.1, payload.count > 10,
                payload.dropLast(10) == other.dropLast(10)
            else {
                left.append(pair)
                continue
            }
            dumps.equal += 1
            let digest = RedisValueDigest.head(SHA256.hash(pair.source.key + [0] + payload.dropLast(10)))
            try judge(pair, digest, digest, &out)
        }
        return left
    }

    private mutating func judge(
        _ pair: Pair, _ source: UInt128?, _ target: UInt128?, _ out: inout [RedisMismatch]
    ) throws {
        let key = pair.source.key
        guard let source else {
            // Gone from the source, or of another type by now: not part of this comparison.
            keysExpired += 1
            keysRead -= 1
            return
        }
        guard let target else { return try missing(pair.source, &out) }
        sourceSum &+= source
        targetSum &+= target
        if source != target {
            out.append(RedisMismatch(key: key, kind: .value, detail: pair.source.type.name, source: pair.source))
        } else if let detail = expiryDetail(pair) {
            out.append(RedisMismatch(key: key, kind: .expiry, detail: detail, source: pair.source))
        } else {
            keysEqual += 1
            equalSum &+= source
        }
    }

    private func expiryDetail(_ pair: Pair) -> String? {
        switch (pair.source.expiry, pair.target.expiry) {
        case (nil, nil): nil
        case (let left?, nil): "expires at \(left) ms, not never"
        case (nil, let right?): "expires never, not at \(right) ms"
        case (let left?, let right?):
            abs(left - right) <= session.move.expiryTolerance
                ? nil : "expires at \(left) ms, not at \(right) ms (\(right - left) ms apart)"
        }
    }

    private func isExpiring(_ state: RedisKeyState) -> Bool {
        state.expiry.map { $0 <= RedisClock.now() + session.move.expiryTolerance } ?? false
    }

    private func digest(_ state: RedisKeyState, _ reader: RedisKeyReader, _ reply: RedisValue) throws -> UInt128? {
        guard let part = try reader.part(state, reply) else { return nil }
        var digest = RedisValueDigest(pages: false)
        digest.take(part)
        return digest.finish(state)
    }

    private func digest(_ state: RedisKeyState, _ reader: RedisKeyReader) throws -> UInt128? {
        if case .other = state.type { return try moduleDigest(state, reader) }
        var digest = RedisValueDigest(pages: true)
        guard try reader.read(state, into: { digest.take($0) }) else { return nil }
        return digest.finish(state)
    }

    /// A module's value has no commands that we know: the payload without its version and checksum must do.
    private func moduleDigest(_ state: RedisKeyState, _ reader: RedisKeyReader) throws -> UInt128? {
        let reply = try reader.server.connection.call(RedisCommand("DUMP").with(state.key))
        guard let bytes = reply.bytes else { return nil }
        return RedisValueDigest.head(SHA256.hash(state.key + [0] + bytes.dropLast(10)))
    }

    private static func fingerprint(_ key: [UInt8]) -> UInt128 { RedisValueDigest.head(SHA256.hash(key)) }
}
