import BasculeModel

/// A domain name: labels of bytes, in lower case, so that equal names are equal values.
package struct DNSName: Hashable, Sendable, CustomStringConvertible {
    /// Without the root's empty one.
    package let labels: [[UInt8]]

    /// From text, with or without the final dot; `.` and the empty text are the root. Error: `invalid-input`.
    package init(_ text: String) throws {
        let plain = text.hasSuffix(".") ? text.dropLast() : text[...]
        let parts = plain.isEmpty ? [] : plain.split(separator: ".", omittingEmptySubsequences: false)
        let labels = parts.map { Array($0.utf8) }
        guard labels.allSatisfy({ $0.allSatisfy { $0 > 32 && $0 < 127 } }), let name = DNSName(labels: labels) else {
            throw BasculeError(.invalidInput, "‘\(text.prefix(100))’ is not a domain name")
        }
        self = name
    }

    /// Nil if a label has not 1 to 63 bytes or the whole more than 255.
    init?(labels: [[UInt8]]) {
        guard labels.allSatisfy({ (1...63).contains($0.count) }), labels.reduce(1, { $0 + $1.count + 1 }) <= 255 else {
            return nil
        }
        self.labels = labels.map { label in label.map { $0 >= 65 && $0 <= 90 ? $0 | 0x20 : $0 } }
    }

    /// Not compressed: how it is sent, and what a TSIG signature covers.
    var wire: [UInt8] { labels.flatMap { [UInt8($0.count)] + $0 } + [0] }

    /// Whether it is the other or lies below it.
    package func isWithin(_ zone: DNSName) -> Bool { labels.suffix(zone.labels.count) == zone.labels[...] }

    /// With the final dot; unprintable bytes as `\DDD`.
    package var description: String {
        labels.isEmpty ? "." : labels.map { $0.map(Self.escaped).joined() + "." }.joined()
    }

    private static func escaped(_ byte: UInt8) -> String {
        switch byte {
        case UInt8(ascii: "."), UInt8(ascii: "\\"): "\\" + String(UnicodeScalar(byte))
        case 33...126: String(UnicodeScalar(byte))
        default: "\\\(byte / 100)\(byte / 10 % 10)\(byte % 10)"
        }
    }
}
