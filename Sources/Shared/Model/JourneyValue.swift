/// Any JSON value.
package enum JSONValue: Hashable, Codable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    package init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let integer = try? value.decode(Int64.self) {
            self = .integer(integer)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let string = try? value.decode(String.self) {
            self = .string(string)
        } else if let array = try? value.decode([JSONValue].self) {
            self = .array(array)
        } else {
            self = .object(try value.decode([String: JSONValue].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .null: try value.encodeNil()
        case .bool(let bool): try value.encode(bool)
        case .integer(let integer): try value.encode(integer)
        case .number(let number): try value.encode(number)
        case .string(let string): try value.encode(string)
        case .array(let array): try value.encode(array)
        case .object(let object): try value.encode(object)
        }
    }

    /// What stands at a path such as `order.items[0].id` or `items.0.id`; nil if there is nothing.
    package subscript(path path: String) -> JSONValue? {
        var value = self
        for part in path.split(whereSeparator: { ".[]".contains($0) }) {
            switch value {
            case .object(let fields):
                guard let next = fields[String(part)] else { return nil }
                value = next
            case .array(let items):
                guard let index = Int(part), items.indices.contains(index) else { return nil }
                value = items[index]
            default: return nil
            }
        }
        return value
    }

    /// A scalar as the text that a variable holds; nil for null, an array or an object.
    package var scalarText: String? {
        switch self {
        case .bool(let bool): "\(bool)"
        case .integer(let integer): "\(integer)"
        case .number(let number): "\(number)"
        case .string(let string): string
        case .null, .array, .object: nil
        }
    }

    /// Equality as people mean it: 1 and 1.0 are the same number.
    package func matches(_ other: JSONValue) -> Bool {
        switch (self, other) {
        case (.integer(let left), .number(let right)): Double(left) == right
        case (.number(let left), .integer(let right)): left == Double(right)
        default: self == other
        }
    }
}

/// A text that may also be written as a number or a truth value (`quantity: 2`).
struct JourneyText: Decodable {
    let text: String

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let string = try? value.decode(String.self) {
            text = string
        } else if let scalar = try JSONValue(from: decoder).scalarText {
            text = scalar
        } else {
            throw DecodingError.dataCorruptedError(in: value, debugDescription: "a text is expected here")
        }
    }
}

/// Seconds, written as a number or as `500ms`, `2s`, `1m`.
struct JourneySeconds: Decodable {
    let seconds: Double

    init(from decoder: any Decoder) throws {
        let text = try JourneyText(from: decoder).text
        let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("", 1)]
        guard let (unit, factor) = units.first(where: { text.hasSuffix($0.0) }),
            let number = Double(text.dropLast(unit.count)), number > 0, number.isFinite
        else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "‘\(text)’ is not a duration such as 500ms, 2s or 1m"))
        }
        seconds = number * factor
    }
}

/// Any key, to find those that nobody knows.
private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension Decoder {
    /// A keyed container that refuses unknown keys: a misspelt expectation must not silently hold.
    func strict<Keys: CodingKey & CaseIterable>(_ keys: Keys.Type) throws -> KeyedDecodingContainer<Keys> {
        let known = keys.allCases.map(\.stringValue)
        let list = known.joined(separator: ", ")
        let all = try container(keyedBy: AnyKey.self)
        if let unknown = all.allKeys.first(where: { !known.contains($0.stringValue) }) {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: codingPath + [unknown],
                    debugDescription: "unknown key ‘\(unknown.stringValue)’; known are \(list)"
                ))
        }
        return try container(keyedBy: keys)
    }
}

extension KeyedDecodingContainer {
    func oneOrMany<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> [Value] {
        guard contains(key) else { return [] }
        if let one = try? decode(Value.self, forKey: key) { return [one] }
        return try decode([Value].self, forKey: key)
    }

    func corrupted(_ key: Key, _ text: String) -> DecodingError {
        .dataCorruptedError(forKey: key, in: self, debugDescription: text)
    }
}
