import BasculeModel
import BasculeNet
import BasculePostgres

@testable import BasculeData
@testable import BasculeResources

/// A peer that said all of this and then closed.
private final class SpokenStream: ByteStream, @unchecked Sendable {
    // Used by one thread only.
    private var left: ArraySlice<UInt8>
    let peer = "fuzz"
    init(_ bytes: [UInt8]) { left = bytes[...] }
    func read(into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline) throws -> Int {
        let count = min(left.count, buffer.count, 11)
        buffer.copyBytes(from: left.prefix(count))
        left = left.dropFirst(count)
        return count
    }
    func write(_ bytes: UnsafeRawBufferPointer, deadline: Deadline) throws {}
    func close() {}
}

extension FuzzTarget {
    /// A Redis server's replies.
    static let redis = FuzzTarget(name: "redis") { bytes in
        var limits = RedisLimits()
        (limits.replyBytes, limits.elements) = (1 << 20, 10_000)
        let stream = SpokenStream(bytes)
        var reader = RedisReplyReader(limits: limits)
        while true { _ = try reader.next(from: stream, deadline: .after(.seconds(60))) }
    }

    /// Names and values of users on their way into other languages: whatever they hold, they stay one word.
    static let quoting = FuzzTarget(name: "quoting") { bytes in
        let text = String(decoding: bytes.filter { $0 != 0 }, as: UTF8.self)
        require(read(PGQuote.identifier(text), quote: "\"", escapes: false) == text, "an SQL identifier ends early")
        let literal = PGQuote.literal(text)
        let isEscape = literal.unicodeScalars.starts(with: " E".unicodeScalars)
        // By scalars: a combining mark behind the quote makes one character of both.
        let body = String(literal.unicodeScalars.drop { $0 != "'" })
        require(read(body, quote: "'", escapes: isEscape) == text, "an SQL literal ends early: \(literal)")
        let file = try EnvironmentFile.text(["NAME": Array(text.utf8)])
        let (head, tail) = (Array("NAME=\"".utf8), Array("\"\n".utf8))
        require(file.starts(with: head) && file.suffix(2) == tail[...], "an environment file has another shape")
        let value = String(decoding: file.dropFirst(head.count).dropLast(tail.count), as: UTF8.self)
        require(unescaped(value[...]) == text, "an environment variable ends early")
    }

    /// As systemd reads between double quotes; nil where they end early.
    private static func unescaped(_ value: Substring) -> String? {
        var out = String.UnicodeScalarView()
        var scalars = value.unicodeScalars[...]
        while let next = scalars.popFirst() {
            if next == "\"" { return nil }
            guard next == "\\" else {
                out.append(next)
                continue
            }
            guard let escaped = scalars.popFirst() else { return nil }
            out.append(escaped)
        }
        return String(out)
    }

    /// The text between quotes that are doubled inside; nil where it ends too early or too late.
    private static func read(_ quoted: String, quote: Unicode.Scalar, escapes: Bool) -> String? {
        var scalars = Array(quoted.unicodeScalars)[...]
        guard scalars.popFirst() == quote else { return nil }
        var out = String.UnicodeScalarView()
        while let next = scalars.popFirst() {
            if next == quote {
                if scalars.isEmpty { return String(out) }
                guard scalars.popFirst() == quote else { return nil }
                out.append(quote)
            } else if escapes, next == "\\" {
                guard scalars.popFirst() == "\\" else { return nil }
                out.append("\\")
            } else {
                out.append(next)
            }
        }
        return nil
    }
}
