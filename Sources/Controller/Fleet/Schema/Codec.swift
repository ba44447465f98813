import BasculeModel

/// How one kind of value is read, described and shown: the parser, the schema and the reference all use it.
struct Codec<Value> {
    /// What is wanted, for a message and the reference: `a duration such as 30s`.
    var expected: String
    /// Its JSON Schema.
    var schema: () -> SchemaValue
    /// Reads it; reports why it cannot and returns nil.
    var read: (YAMLNode, Reader) -> Value?
    /// The value as it would be written, for documenting defaults.
    var show: (Value) -> SchemaValue?

    init(
        _ expected: String, schema: @escaping () -> SchemaValue, show: @escaping (Value) -> SchemaValue? = { _ in nil },
        read: @escaping (YAMLNode, Reader) -> Value?
    ) {
        (self.expected, self.schema, self.show, self.read) = (expected, schema, show, read)
    }

    /// The same values in another type.
    func map<Other>(_ to: @escaping (Value) -> Other, back: @escaping (Other) -> Value?) -> Codec<Other> {
        Codec<Other>(
            expected, schema: schema, show: { other in back(other).flatMap(show) },
            read: { node, reader in read(node, reader).map(to) })
    }

    /// The same values in another type, whose defaults need not be shown.
    func map<Other>(_ to: @escaping (Value) -> Other) -> Codec<Other> { map(to, back: { _ in nil }) }
}

extension Codec {
    /// A scalar read by a function of its text. `pattern` goes into the schema.
    static func scalar(
        _ expected: String, pattern: String? = nil, type: String = "string", code: ErrorCode = .fleetBadValue,
        hint: String? = nil, show: @escaping (Value) -> SchemaValue? = { _ in nil },
        parse: @escaping (String) -> Value?
    ) -> Codec {
        Codec(
            expected,
            schema: {
                var keys: [(key: String, value: SchemaValue)] = [("type", .text(type))]
                if let pattern { keys.append(("pattern", .text(pattern))) }
                return .object(keys)
            }, show: show,
            read: { node, reader in
                guard let text = reader.text(node, expected: expected) else { return nil }
                if let value = parse(text) { return value }
                reader.error(
                    code, "\(reader.subject) must be \(expected), not \(node.kind)", at: node.span, hint: hint)
                return nil
            })
    }
}

extension Codec where Value == String {
    /// Text without a meaning of its own.
    static func text(_ expected: String = "text") -> Codec {
        var codec = Codec.scalar(
            expected, show: { $0.isEmpty ? nil : .text($0) }, parse: { $0.contains("\0") ? nil : $0 })
        codec.schema = { SchemaValue.anyScalar }
        return codec
    }
}

extension Codec where Value == Bool {
    static var flag: Codec {
        var codec = Codec.scalar(
            "true or false", type: "boolean", hint: "write true or false", show: { .flag($0) },
            parse: { ["true": true, "false": false][$0] })
        codec.expected = "true or false"
        return codec
    }
}

extension Codec where Value == Int {
    static func integer(_ range: ClosedRange<Int>, _ what: String = "a whole number") -> Codec {
        let upper = range.upperBound == .max ? "" : " to \(range.upperBound)"
        let expected = "\(what) (\(range.lowerBound)\(upper.isEmpty ? " or more" : upper))"
        var codec = Codec.scalar(
            expected, show: { .integer($0) },
            parse: { text in
                guard text.utf8.count <= 18, let value = Int(text), range.contains(value) else { return nil }
                return value
            })
        codec.schema = {
            var keys: [(key: String, value: SchemaValue)] = [
                ("type", .text("integer")), ("minimum", .integer(range.lowerBound)),
            ]
            if range.upperBound != .max { keys.append(("maximum", .integer(range.upperBound))) }
            return .object(keys)
        }
        return codec
    }

    static var port: Codec { .integer(1...65535, "a port number") }
}

extension Codec where Value: CaseIterable & RawRepresentable, Value.RawValue == String {
    /// One word of a fixed set. `refused` gives the reason why a known word is not among them.
    static func choice(_ refused: [String: String] = [:]) -> Codec {
        let words = Value.allCases.map(\.rawValue)
        let expected = words.count == 1 ? "'\(words[0])'" : "one of \(words.joined(separator: ", "))"
        return Codec(
            expected,
            schema: { .object([("enum", .list(words.map { .text($0) }))]) }, show: { .text($0.rawValue) },
            read: { node, reader in
                guard let text = reader.text(node, expected: expected) else { return nil }
                if let value = Value(rawValue: text) { return value }
                if let reason = refused[text] {
                    reader.error(
                        .fleetBadValue, "\(reader.subject) must not be '\(text)': \(reason)", at: node.span,
                        hint: "use \(expected)")
                    return nil
                }
                let meant = NearMiss.suggestion(for: text, among: words)
                reader.error(
                    .fleetBadValue, "\(reader.subject) must be \(expected), not \(node.kind)", at: node.span,
                    hint: meant.map { "did you mean '\($0)'?" })
                return nil
            })
    }
}

extension Codec {
    /// A list.
    static func list<Item>(_ item: Codec<Item>) -> Codec where Value == [Item] {
        Codec(
            "a list, each \(item.expected)",
            schema: { .object([("type", .text("array")), ("items", item.schema())]) },
            show: { $0.isEmpty ? nil : .list($0.compactMap(item.show)) },
            read: { node, reader in
                if node.isNull { return [] }
                guard case .sequence(let nodes) = node.content, node.tag == nil else {
                    reader.mismatch(node, "a list")
                    return nil
                }
                return nodes.enumerated().compactMap { index, node in
                    reader.inside("\(index)", key: nil, node) { item.read(node, reader) }
                }
            })
    }

    /// A list, or one item for a list of one.
    static func oneOrMore<Item>(_ item: Codec<Item>) -> Codec where Value == [Item] {
        let list = Codec.list(item)
        return Codec(
            "\(item.expected), or a list of them",
            schema: { .object([("oneOf", .list([item.schema(), list.schema()]))]) }, show: list.show,
            read: { node, reader in
                if case .sequence = node.content { return list.read(node, reader) }
                return item.read(node, reader).map { [$0] }
            })
    }

    /// A mapping from names to values.
    static func map<Key, Item>(
        _ rule: TextRule, _ name: @escaping (String) -> Key, _ item: Codec<Item>
    ) -> Codec where Value == [Key: Item] {
        Codec(
            "a mapping from \(rule.what) to \(item.expected)",
            schema: {
                .object([
                    ("type", .text("object")), ("propertyNames", .object([("pattern", .text(rule.pattern))])),
                    ("additionalProperties", item.schema()),
                ])
            },
            read: { node, reader in
                if node.isNull { return [:] }
                guard case .mapping(let pairs) = node.content, node.tag == nil else {
                    reader.mismatch(node, "a mapping")
                    return nil
                }
                var values: [Key: Item] = [:]
                for (key, node) in pairs {
                    rule.check(key.text, at: key.span, reader)
                    reader.inside(key.text, key: key.span, node) {
                        if let value = item.read(node, reader) { values[name(key.text)] = value }
                    }
                }
                return values
            })
    }
}
