import BasculeModel

/// The values that stand for `{{name}}` in a run. Filled-in text is never looked through again, so that a value
/// captured from a server cannot ask for another.
struct JourneyVariables {
    private var values: [String: String]
    private let run: String

    /// `given` wins over the journey's defaults, in which only the built-ins are known.
    init(defaults: [String: String], given: [String: String]) throws {
        run = Self.random()
        values = [:]
        values = try defaults.filter { given[$0.key] == nil }.mapValues(fill)
        values.merge(given) { _, new in new }
    }

    subscript(name: String) -> String? {
        get { values[name] }
        set { values[name] = newValue }
    }

    /// Replaces `{{name}}`, and `{{url:name}}` by the percent-encoded value.
    /// Error: `invalid-input` for a variable without a value.
    func fill(_ template: String) throws -> String {
        var result = ""
        var rest = template[...]
        while let open = rest.firstRange(of: "{{"), let close = rest[open.upperBound...].firstRange(of: "}}") {
            result += rest[..<open.lowerBound]
            result += try value(rest[open.upperBound..<close.lowerBound].trimmed)
            rest = rest[close.upperBound...]
        }
        return result + rest
    }

    /// The same for every text in a JSON value; `{{number:name}}` alone becomes a number.
    func fill(_ value: JSONValue) throws -> JSONValue {
        switch value {
        case .string(let text):
            guard text.hasPrefix("{{number:"), text.hasSuffix("}}") else { return .string(try fill(text)) }
            let name = text.dropFirst(9).dropLast(2).trimmed
            let filled = try self.value(name)
            if let integer = Int64(filled) { return .integer(integer) }
            if let number = Double(filled), number.isFinite { return .number(number) }
            throw BasculeError(.invalidInput, "The variable ‘\(name)’ is not a number")
        case .array(let items): return .array(try items.map(fill))
        case .object(let fields): return .object(try fields.mapValues(fill))
        case .null, .bool, .integer, .number: return value
        }
    }

    private func value(_ name: String) throws -> String {
        if name.hasPrefix("url:") { return percentEncoded(try value(String(name.dropFirst(4)))) }
        if let value = values[name] { return value }
        switch name {
        case "run": return run
        case "random": return Self.random()
        case "now": return "\(WallClock.milliseconds())"
        default: throw BasculeError(.invalidInput, "The variable ‘\(name)’ has no value")
        }
    }

    private static func random() -> String { hexadecimal(UInt64.random(in: .min ... .max).bytes) }
}

/// Everything but letters, digits and `-._~` as `%XX`.
func percentEncoded(_ text: String) -> String {
    text.utf8.map { byte in
        let plain = (byte | 0x20 >= 97 && byte | 0x20 <= 122) || (48...57).contains(byte)
        return plain || "-._~".utf8.contains(byte)
            ? String(UnicodeScalar(byte)) : "%" + hexadecimal([byte]).uppercased()
    }.joined()
}

extension Substring {
    /// Where a text first stands in this one.
    func firstRange(of text: String) -> Range<Index>? {
        let wanted = Array(text.utf8)
        guard let first = wanted.first else { return nil }
        var start = startIndex
        while let found = utf8[start...].firstIndex(of: first) {
            if utf8[found...].starts(with: wanted) {
                return found..<utf8.index(found, offsetBy: wanted.count)
            }
            start = utf8.index(after: found)
        }
        return nil
    }
}
