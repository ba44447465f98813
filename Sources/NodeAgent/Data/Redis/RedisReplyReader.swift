import BasculeModel
import BasculeNet

/// What a server may cost us at most: it is a stranger.
package struct RedisLimits: Sendable {
    /// Bytes of one reply, all its parts together.
    package var replyBytes = 512 << 20
    /// Elements of one reply, all levels together.
    package var elements = 20_000_000
    /// Levels of arrays within arrays. No command that is used here nests deeper than 5.
    package var depth = 8
    /// For one pipeline, from the first byte sent to the last received.
    package var timeout: Duration = .seconds(60)

    package init() {}
}

/// Takes RESP2 replies off a stream, each within the limits.
struct RedisReplyReader {
    private var buffer = [UInt8](repeating: 0, count: 65536)
    private var start = 0
    private var end = 0
    private var bytesLeft = 0
    private var elementsLeft = 0
    let limits: RedisLimits

    init(limits: RedisLimits) { self.limits = limits }

    /// The next reply. After an error the stream is at an unknown place and must be closed.
    mutating func next(from stream: any ByteStream, deadline: Deadline) throws -> RedisValue {
        bytesLeft = limits.replyBytes
        elementsLeft = limits.elements
        return try value(from: stream, deadline: deadline, depth: 0)
    }

    private mutating func value(from stream: any ByteStream, deadline: Deadline, depth: Int) throws -> RedisValue {
        let line = try line(from: stream, deadline: deadline)
        guard let sign = line.first else { throw violation("an empty line", stream) }
        let rest = line.dropFirst()
        switch sign {
        case UInt8(ascii: "+"): return .simple(String(decoding: rest, as: UTF8.self))
        case UInt8(ascii: "-"): return .error(String(decoding: rest, as: UTF8.self))
        case UInt8(ascii: ":"): return .integer(try integer(rest, stream))
        case UInt8(ascii: "$"):
            let count = try integer(rest, stream)
            if count < 0 { return .null }
            return .bulk(try bulk(Int(count), from: stream, deadline: deadline))
        case UInt8(ascii: "*"):
            let count = try integer(rest, stream)
            if count < 0 { return .null }
            guard depth < limits.depth, count <= elementsLeft else { throw tooMuch(stream) }
            elementsLeft -= Int(count)
            var items: [RedisValue] = []
            items.reserveCapacity(min(Int(count), 65536))
            for _ in 0..<count { items.append(try value(from: stream, deadline: deadline, depth: depth + 1)) }
            return .array(items)
        default: throw violation("a reply of unknown kind", stream)
        }
    }

    private mutating func fill(from stream: any ByteStream, deadline: Deadline) throws {
        if start == end { (start, end) = (0, 0) }
        let free = end
        let count = try buffer.withUnsafeMutableBytes { space in
            try stream.read(into: UnsafeMutableRawBufferPointer(rebasing: space[free...]), deadline: deadline)
        }
        guard count > 0 else {
            throw BasculeError(.connectionClosed, "The Redis server closed the connection", at: .thing(stream.peer))
        }
        end += count
    }

    private mutating func line(from stream: any ByteStream, deadline: Deadline) throws -> [UInt8] {
        var scanned = start
        while true {
            while scanned < end {
                if buffer[scanned] == 10 {
                    guard scanned > start, buffer[scanned - 1] == 13 else {
                        throw violation("a bare line feed", stream)
                    }
                    let line = Array(buffer[start..<(scanned - 1)])
                    start = scanned + 1
                    return line
                }
                scanned += 1
            }
            if end == buffer.count {
                guard start > 0 else { throw tooMuch(stream) }
                let left = end - start
                for index in 0..<left { buffer[index] = buffer[start + index] }
                scanned -= start
                (start, end) = (0, left)
            }
            let before = start
            try fill(from: stream, deadline: deadline)
            scanned -= before - start
        }
    }

    private mutating func bulk(_ count: Int, from stream: any ByteStream, deadline: Deadline) throws -> [UInt8] {
        guard count <= bytesLeft else { throw tooMuch(stream) }
        bytesLeft -= count
        if end - start >= count + 2 {
            let out = Array(buffer[start..<(start + count)])
            start += count
            try lineEnd(from: stream, deadline: deadline)
            return out
        }
        let held = min(count, end - start)
        let out = try [UInt8](unsafeUninitializedCapacity: count) { space, filled in
            for index in 0..<held { space[index] = buffer[start + index] }
            filled = held
            while filled < count {
                let rest = UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(space)[filled..<count])
                let more = try stream.read(into: rest, deadline: deadline)
                guard more > 0 else {
                    throw BasculeError(
                        .connectionClosed, "The Redis server closed the connection", at: .thing(stream.peer))
                }
                filled += more
            }
        }
        start += held
        try lineEnd(from: stream, deadline: deadline)
        return out
    }

    private mutating func lineEnd(from stream: any ByteStream, deadline: Deadline) throws {
        for expected: UInt8 in [13, 10] {
            if start == end { try fill(from: stream, deadline: deadline) }
            guard buffer[start] == expected else { throw violation("a string without its end", stream) }
            start += 1
        }
    }

    private func integer(_ bytes: ArraySlice<UInt8>, _ stream: any ByteStream) throws -> Int64 {
        var value: Int64 = 0
        let isNegative = bytes.first == UInt8(ascii: "-")
        let digits = isNegative || bytes.first == UInt8(ascii: "+") ? bytes.dropFirst() : bytes
        for byte in digits {
            let digit = byte &- UInt8(ascii: "0")
            let (tens, isOver) = value.multipliedReportingOverflow(by: 10)
            let (next, isTooMuch) =
                isNegative
                ? tens.subtractingReportingOverflow(Int64(digit)) : tens.addingReportingOverflow(Int64(digit))
            guard digit < 10, !isOver, !isTooMuch else { throw violation("a number that is none", stream) }
            value = next
        }
        guard !digits.isEmpty else { throw violation("a number that is none", stream) }
        return value
    }

    private func violation(_ what: String, _ stream: any ByteStream) -> BasculeError {
        BasculeError(
            .protocolViolation, "The peer does not speak Redis's protocol: it sent \(what)", at: .thing(stream.peer),
            hint: "Check the port, and redis:// against rediss:// (TLS).")
    }

    private func tooMuch(_ stream: any ByteStream) -> BasculeError {
        BasculeError(.tooMuchData, "A reply of the Redis server exceeds its limit", at: .thing(stream.peer))
    }
}
