/// An amount of memory or disk. Written `256MiB`, `1GiB`, `512KiB`, or `10MB` (decimal); a bare number is bytes.
package struct ByteSize: Sendable, Hashable {
    package var bytes: Int64
    package init(bytes: Int64) { self.bytes = bytes }
    package static func mebibytes(_ count: Int64) -> ByteSize { ByteSize(bytes: count << 20) }
    package static func gibibytes(_ count: Int64) -> ByteSize { ByteSize(bytes: count << 30) }
}

/// A share between 0 and 100. Written `10%` or `0.5%`.
package struct Percentage: Sendable, Hashable {
    /// In percent: 10 means 10 %.
    package var value: Double
    package init(_ value: Double) { self.value = value }
    /// The same as a share of one: 0.1 for 10 %.
    package var fraction: Double { value / 100 }
}

/// A file's permission bits. Written as a quoted octal string: `"0640"`.
package struct FileMode: Sendable, Hashable {
    package var bits: UInt16
    package init(_ bits: UInt16) { self.bits = bits }
    /// Four octal digits: `0640`.
    package var octal: String {
        let digits = String(bits, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}

/// A rate of requests, as Nginx limits it. Written `20r/s` or `300r/m`.
package struct RequestRate: Sendable, Hashable {
    package enum Period: String, Sendable, Hashable {
        case second = "s"
        case minute = "m"
    }
    package var count: Int
    package var period: Period
    package init(_ count: Int, per period: Period) { (self.count, self.period) = (count, period) }
    /// As Nginx writes it: `20r/s`.
    package var text: String { "\(count)r/\(period.rawValue)" }
}

/// A level at which a criterion trips: `any` occurrence, or more than a share.
package enum Threshold: Sendable, Hashable {
    case any
    case above(Percentage)
}

/// A command as an argument vector. It is never given to a shell.
package struct Command: Sendable, Hashable {
    /// The program and its arguments, unquoted; never empty once parsed.
    package var words: [String]
    package init(_ words: [String]) { self.words = words }
}
