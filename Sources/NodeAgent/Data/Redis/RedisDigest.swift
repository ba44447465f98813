import BasculeCrypto
import BasculeModel

/// The digest of one key's value: equal values give equal digests whatever order a server lists them in, and however
/// it writes a score.
///
/// Fields, members and scores are hashed one by one and added modulo 2^128 (XOR would cancel duplicates); strings,
/// lists and streams are hashed in their order.
struct RedisValueDigest: ~Copyable {
    private var sum: UInt128 = 0
    private var count: UInt64 = 0
    private var ordered = SHA256()
    /// HSCAN, SSCAN and ZSCAN may give an element twice: those seen, 32 bytes of memory each. Nil for whole values.
    private var seen: Set<UInt128>?

    /// `pages` says whether the value comes in several parts.
    init(pages: Bool) { seen = pages ? [] : nil }

    mutating func take(_ part: RedisPart) {
        switch part {
        case .bytes(let bytes):
            ordered.update(bytes)
            count += UInt64(bytes.count)
        case .elements(let items):
            for item in items { addOrdered([item]) }
        case .members(let items):
            for item in items { addUnordered([item]) }
        case .fields(let items):
            for index in stride(from: 0, to: items.count - 1, by: 2) { addUnordered([items[index], items[index + 1]]) }
        case .scores(let items):
            for index in stride(from: 0, to: items.count - 1, by: 2) {
                addUnordered([items[index], Self.canonical(score: items[index + 1])])
            }
        case .stream(let state): add(state)
        case .entries(let entries):
            for entry in entries { addOrdered([entry.id.bytes] + entry.fields) }
        }
    }

    /// 16 bytes over everything taken, the key and its type.
    consuming func finish(_ state: RedisKeyState) -> UInt128 {
        var outer = SHA256()
        outer.update(Self.framed([Array(state.type.name.utf8), state.key]))
        outer.update(Self.bytes(sum))
        outer.update(Self.bytes(UInt128(count)))
        outer.update(ordered.finalize())
        return Self.head(outer.finalize())
    }

    private mutating func addOrdered(_ parts: [[UInt8]]) {
        ordered.update(Self.framed(parts))
        count += 1
    }

    private mutating func addUnordered(_ parts: [[UInt8]]) {
        let hash = Self.head(SHA256.hash(Self.framed(parts)))
        if seen?.insert(hash).inserted == false { return }
        sum &+= hash
        count += 1
    }

    /// Counters that not every version knows are left out, and delivery times, which depend on when one asks.
    private mutating func add(_ state: RedisStreamState) {
        addOrdered([state.lastID.bytes])
        for group in state.groups.sorted(by: { $0.name.lexicographicallyPrecedes($1.name) }) {
            addOrdered([group.name, group.lastDelivered.bytes])
            addOrdered(group.consumers.sorted { $0.lexicographicallyPrecedes($1) })
            for entry in group.pending {
                addOrdered([entry.id.bytes, entry.consumer, Array(String(entry.deliveries).utf8)])
            }
        }
    }

    /// Versions write scores differently (17 digits, or as few as possible); the number is what counts.
    private static func canonical(score: [UInt8]) -> [UInt8] {
        guard let number = Double(String(decoding: score, as: UTF8.self)) else { return score }
        return bytes(UInt128(number == 0 ? 0 : number.bitPattern))
    }

    private static func framed(_ parts: [[UInt8]]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(parts.reduce(4) { $0 + $1.count + 8 })
        append(parts.count, &out)
        for part in parts {
            append(part.count, &out)
            out += part
        }
        return out
    }

    private static func append(_ number: Int, _ out: inout [UInt8]) {
        withUnsafeBytes(of: UInt64(number).littleEndian) { out += $0 }
    }

    private static func bytes(_ number: UInt128) -> [UInt8] { withUnsafeBytes(of: number.littleEndian) { Array($0) } }

    static func head(_ hash: [UInt8]) -> UInt128 {
        hash.prefix(16).reversed().reduce(0) { $0 << 8 | UInt128($1) }
    }
}
