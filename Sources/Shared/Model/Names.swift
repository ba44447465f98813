/// A string that names one kind of thing. Wrapping it keeps a node's name from being used as a database's.
package protocol Name: Hashable, Codable, Sendable, Comparable, CustomStringConvertible, ExpressibleByStringLiteral,
    RawRepresentable, CodingKeyRepresentable
where RawValue == String {
    init(rawValue: String)
}

extension Name {
    package init(_ text: String) { self.init(rawValue: text) }
    package init(stringLiteral value: String) { self.init(rawValue: value) }
    package init(from decoder: any Decoder) throws {
        self.init(rawValue: try decoder.singleValueContainer().decode(String.self))
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
    package var codingKey: any CodingKey { NameKey(stringValue: rawValue) }
    package init?(codingKey: some CodingKey) { self.init(rawValue: codingKey.stringValue) }
    package var description: String { rawValue }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// The coding key of a dictionary whose keys are names.
struct NameKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// A node of the fleet, as the fleet file calls it.
package struct NodeName: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}

/// A secret of the fleet, as the fleet file and `bascule secret` call it.
package struct SecretName: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}

/// A resource of the fleet: `node/kind:name`, stable as long as the fleet file says the same.
package struct ResourceID: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
    package init(node: NodeName, kind: String, name: String) { rawValue = "\(node)/\(kind):\(name)" }
}

/// A step of a plan, unique within it.
package struct StepID: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}

/// A saved plan.
package struct PlanID: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}

/// One execution of a plan.
package struct RunID: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}

/// The steps that one agent executes without anyone else.
package struct SegmentID: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}

/// A SHA-256 (or, over secret content, HMAC-SHA-256) in lower-case hexadecimal, 64 characters.
package struct Digest: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}
