/// A JSON value whose objects keep their order, so that the schema reads like the documentation.
indirect enum SchemaValue {
    case text(String)
    case integer(Int)
    case number(Double)
    case flag(Bool)
    case list([SchemaValue])
    case object([(key: String, value: SchemaValue)])

    /// Text may be written as a plain number or truth value too.
    static var anyScalar: SchemaValue {
        .object([("type", .list([.text("string"), .text("number"), .text("boolean")]))])
    }

    /// Pretty-printed, two spaces a level, without a line feed at the end.
    func rendered(indent: String = "") -> String {
        switch self {
        case .text(let text): return Self.escaped(text)
        case .integer(let value): return "\(value)"
        case .number(let value): return value == value.rounded() ? "\(Int(value))" : "\(value)"
        case .flag(let value): return value ? "true" : "false"
        case .list(let items):
            return Self.block("[", items.map { $0.rendered(indent: indent + "  ") }, "]", indent)
        case .object(let pairs):
            let inner = indent + "  "
            return Self.block(
                "{", pairs.map { "\(Self.escaped($0.key)): \($0.value.rendered(indent: inner))" }, "}", indent)
        }
    }

    private static func block(_ open: String, _ items: [String], _ close: String, _ indent: String) -> String {
        if items.isEmpty { return open + close }
        return open + "\n" + items.map { indent + "  " + $0 }.joined(separator: ",\n") + "\n" + indent + close
    }

    private static func escaped(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
