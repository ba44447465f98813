import BasculeModel

/// One of several shapes of a mapping, told by the key that only it has.
struct Variant<Value> {
    let key: String
    let keys: [String]
    let read: (YAMLNode, Reader, _ common: [String]) -> Value?
    let schema: (_ common: [(key: String, value: SchemaValue)], _ required: [String]) -> SchemaValue
    let about: String

    init<Shape: Declared>(_ key: String, _ type: Shape.Type, _ wrap: @escaping (Shape) -> Value) {
        self.init(key, type, checked: { shape, _, _ in wrap(shape) })
    }

    /// With a check of what one table cannot say.
    init<Shape: Declared>(
        _ key: String, _ type: Shape.Type, checked: @escaping (Shape, YAMLNode, Reader) -> Value?
    ) {
        self.key = key
        about = Shape.about
        keys = Shape.fields.map(\.key)
        read = { node, reader, common in
            reader.object(type, node, beside: common).flatMap { checked($0, node, reader) }
        }
        schema = { common, required in ObjectSchema.of(type, extra: common, extraRequired: required) }
    }
}

extension Codec {
    /// A mapping of one of several shapes. `common` keys stand beside those of every shape and are read elsewhere.
    static func variant(
        _ expected: String, _ variants: [Variant<Value>], common: [(key: String, value: SchemaValue)] = [],
        commonRequired: [String] = []
    ) -> Codec {
        let names = variants.map(\.key)
        return Codec(
            expected,
            schema: { .object([("oneOf", .list(variants.map { $0.schema(common, commonRequired) }))]) },
            read: { node, reader in
                guard case .mapping(let pairs) = node.content, node.tag == nil else {
                    reader.mismatch(node, expected)
                    return nil
                }
                let present = pairs.filter { names.contains($0.key.text) }
                guard let first = present.first else {
                    reader.noVariant(names, all: variants.flatMap(\.keys) + common.map(\.key), pairs, node)
                    return nil
                }
                // A key may tell one shape and also stand in another (`provider` beside `address` does not).
                let candidates = variants.filter { variant in present.contains { $0.key.text == variant.key } }
                let chosen = candidates.first { variant in
                    present.allSatisfy { variant.keys.contains($0.key.text) }
                }
                guard let chosen else {
                    let other = present[1]
                    reader.error(
                        .fleetBadValue,
                        "\(reader.subject) must have only one of the keys '\(first.key.text)' and '\(other.key.text)'",
                        at: other.key.span, hint: "make two entries, or remove one of the keys")
                    return nil
                }
                return chosen.read(node, reader, common.map(\.key))
            })
    }
}
