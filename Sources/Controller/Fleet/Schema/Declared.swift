import BasculeModel

/// A type whose keys in the fleet file are declared in one table, which parses, describes and documents it.
protocol Declared {
    /// With every default in place.
    init()
    /// What it is, in one sentence; the schema's description.
    static var about: String { get }
    /// Its keys, in the order of the documentation.
    static var fields: [Field<Self>] { get }
}

/// One key of a declared type.
struct Field<Owner> {
    let key: String
    let about: String
    let required: Bool
    let expected: String
    let schema: () -> SchemaValue
    /// How the default would be written; nil where there is none.
    let standard: () -> SchemaValue?
    let read: (YAMLNode, Reader, inout Owner) -> Void
}

extension Field where Owner: Declared {
    /// A key with a default, or one that must be there.
    static func key<Value>(
        _ key: String, _ path: WritableKeyPath<Owner, Value>, _ codec: Codec<Value>, required: Bool = false,
        _ about: String
    ) -> Field {
        Field(
            key: key, about: about, required: required, expected: codec.expected, schema: codec.schema,
            standard: { required ? nil : codec.show(Owner()[keyPath: path]) },
            read: { node, reader, owner in
                if let value = codec.read(node, reader) { owner[keyPath: path] = value }
            })
    }

    /// A key that may be absent.
    static func key<Value>(
        _ key: String, _ path: WritableKeyPath<Owner, Value?>, _ codec: Codec<Value>, _ about: String
    ) -> Field {
        Field(
            key: key, about: about, required: false, expected: codec.expected, schema: codec.schema,
            standard: { Owner()[keyPath: path].flatMap(codec.show) },
            read: { node, reader, owner in
                if let value = codec.read(node, reader) { owner[keyPath: path] = value }
            })
    }

    /// A key that only tells which kind of thing this is.
    static func constant(_ key: String, _ word: String, _ about: String) -> Field {
        Field(
            key: key, about: about, required: true, expected: "'\(word)'",
            schema: { .object([("const", .text(word))]) }, standard: { nil },
            read: { node, reader, _ in
                guard let text = reader.text(node, expected: "'\(word)'"), text != word else { return }
                reader.error(
                    .fleetBadValue, "\(reader.subject) must be '\(word)', not \(node.kind)", at: node.span,
                    hint: NearMiss.suggestion(for: text, among: [word]).map { "did you mean '\($0)'?" })
            })
    }
}

extension Codec where Value: Declared {
    /// The mapping that a declared type's table describes.
    static var object: Codec {
        Codec(
            "a mapping", schema: { ObjectSchema.of(Value.self) },
            read: { node, reader in reader.object(Value.self, node) })
    }
}

/// JSON Schema of declared types.
enum ObjectSchema {
    static func of<Owner: Declared>(
        _ type: Owner.Type, extra: [(key: String, value: SchemaValue)] = [], extraRequired: [String] = []
    ) -> SchemaValue {
        let fields = Owner.fields
        var keys: [(key: String, value: SchemaValue)] = [
            ("description", .text(Owner.about)), ("type", .text("object")),
            ("properties", .object(extra + fields.map { ($0.key, property($0)) })),
        ]
        let required = extraRequired + fields.filter(\.required).map(\.key)
        if !required.isEmpty { keys.append(("required", .list(required.map { .text($0) }))) }
        keys.append(("additionalProperties", .flag(false)))
        return .object(keys)
    }

    static func property<Owner>(_ field: Field<Owner>) -> SchemaValue {
        guard case .object(var keys) = field.schema() else { return field.schema() }
        keys.removeAll { $0.key == "description" }
        keys.insert(("description", .text("\(field.about) (\(field.expected))")), at: 0)
        if let standard = field.standard() { keys.append(("default", standard)) }
        return .object(keys)
    }
}
