import BasculeModel
import Foundation

extension Codec where Value == Duration {
    static var duration: Codec {
        .scalar(
            "a duration such as 30s, 5m, 2h or 1h30m", pattern: "^([0-9]{1,9}(ms|s|m|h|d))+$",
            hint: "write a number and a unit: ms, s, m, h or d", show: { .text(UnitText.write($0)) },
            parse: UnitText.duration)
    }
}

extension Codec where Value == ByteSize {
    static var size: Codec {
        var codec = Codec.scalar(
            "a size such as 256MiB or 2GiB", pattern: "^[0-9]{1,12}(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)?$",
            hint: "write a whole number and a unit: KiB, MiB, GiB, TiB, or kB, MB, GB, TB for decimal",
            show: { .text(UnitText.write($0)) }, parse: UnitText.size)
        let text = codec.schema
        codec.schema = {
            .object([("oneOf", .list([text(), .object([("type", .text("integer")), ("minimum", .integer(0))])]))])
        }
        return codec
    }
}

extension Codec where Value == Threshold {
    static var threshold: Codec {
        .scalar(
            "'any' or a percentage such as 10%", pattern: "^(any|[0-9]{1,3}([.][0-9]{1,4})?%)$",
            parse: { text in text == "any" ? .any : UnitText.percentage(text).map { .above($0) } })
    }
}

extension Codec where Value == FileMode {
    static var mode: Codec {
        .scalar(
            "a file mode of four octal digits such as \"0640\"", pattern: "^[0-7]{4}$",
            hint: "quote it and write all four digits", show: { .text($0.octal) },
            parse: { text in
                guard text.utf8.count == 4, let bits = UInt16(text, radix: 8) else { return nil }
                return FileMode(bits)
            })
    }
}

extension Codec where Value == RequestRate {
    static var rate: Codec {
        .scalar(
            "a rate such as 20r/s or 300r/m", pattern: "^[1-9][0-9]{0,5}r/[sm]$", show: { .text($0.text) },
            parse: { text in
                guard let slash = text.range(of: "r/"), text[..<slash.lowerBound].utf8.count <= 6,
                    let count = Int(text[..<slash.lowerBound]), count > 0,
                    let period = RequestRate.Period(rawValue: String(text[slash.upperBound...]))
                else { return nil }
                return RequestRate(count, per: period)
            })
    }
}

extension Codec where Value == Date {
    static var instant: Codec {
        .scalar(
            "a time such as 2026-12-06T03:00:00Z", hint: "give date, time and zone (Z or +01:00)",
            parse: { text in text.utf8.count <= 40 ? try? Date(text, strategy: .iso8601) : nil })
    }
}

extension Codec where Value == Double {
    static var amount: Codec {
        .scalar(
            "an amount of money, 0 or more", type: "number", show: { .number($0) },
            parse: { text in
                guard text.utf8.count <= 15, let value = Double(text), value.isFinite, value >= 0 else { return nil }
                return value
            })
    }
}

/// Reads and writes the units of measure.
enum UnitText {
    private static let seconds: [(unit: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]
    private static let bytes: [(unit: String, count: Int64)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("kB", 1000), ("MB", 1_000_000),
        ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1), ("", 1),
    ]

    /// `1h30m`; each number at most nine digits.
    static func duration(_ text: String) -> Duration? {
        var rest = Substring(text)
        var total: Int64 = 0
        guard !rest.isEmpty, text.utf8.count <= 40 else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard digits.utf8.count <= 9, let count = Int64(digits),
                let scale = seconds.first(where: { $0.unit == unit })
            else { return nil }
            total += count * scale.milliseconds
        }
        return .milliseconds(total)
    }

    static func write(_ duration: Duration) -> String {
        let parts = duration.components
        let total = parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000
        if total == 0 { return "0s" }
        let best = seconds.last { total % $0.milliseconds == 0 } ?? seconds[0]
        return "\(total / best.milliseconds)\(best.unit)"
    }

    static func size(_ text: String) -> ByteSize? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(digits.count)
        guard digits.utf8.count <= 12, let count = Int64(digits),
            let scale = bytes.first(where: { $0.unit == unit })
        else { return nil }
        let (product, overflow) = count.multipliedReportingOverflow(by: scale.count)
        return overflow ? nil : ByteSize(bytes: product)
    }

    static func write(_ size: ByteSize) -> String {
        let best = bytes.prefix(4).last { size.bytes % $0.count == 0 && size.bytes > 0 }
        return best.map { "\(size.bytes / $0.count)\($0.unit)" } ?? "\(size.bytes)"
    }

    static func percentage(_ text: String) -> Percentage? {
        guard text.hasSuffix("%"), text.utf8.count <= 9, text.first?.isNumber == true,
            let value = Double(text.dropLast()), (0...100).contains(value)
        else { return nil }
        return Percentage(value)
    }
}
