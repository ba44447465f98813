import BasculeModel

/// Which characters a name may have. One declaration gives the check and the schema's pattern.
struct TextRule: Sendable {
    /// `a node's name`
    let what: String
    /// Character class of the first and of the other characters, as in a regular expression, without brackets.
    let first: String
    let rest: String
    let limit: Int

    var pattern: String { "^[\(escaped(first))][\(escaped(rest))]{0,\(limit - 1)}$" }

    private func escaped(_ set: String) -> String { set.replacing(".", with: "\\.").replacing("+", with: "\\+") }

    func accepts(_ text: String) -> Bool {
        let scalars = text.unicodeScalars
        guard let head = scalars.first, scalars.count <= limit else { return false }
        return Self.contains(head, in: first) && scalars.dropFirst().allSatisfy { Self.contains($0, in: rest) }
    }

    /// Reports a name that breaks the rule.
    func check(_ text: String, at span: Span, _ reader: Reader) {
        guard !accepts(text) else { return }
        reader.error(
            .fleetBadName, "\(quoted(text)) is not \(what)", at: span,
            hint: "it starts with one of \(first), goes on with \(rest), and has at most \(limit) characters")
    }

    /// `a-z0-9._-`: ranges of three characters, everything else for itself; a dash at the end is a dash.
    private static func contains(_ scalar: Unicode.Scalar, in set: String) -> Bool {
        let scalars = Array(set.unicodeScalars)
        var index = 0
        while index < scalars.count {
            if index + 2 < scalars.count, scalars[index + 1] == "-" {
                if scalars[index] <= scalar, scalar <= scalars[index + 2] { return true }
                index += 3
            } else {
                if scalars[index] == scalar { return true }
                index += 1
            }
        }
        return false
    }
}

extension TextRule {
    static let fleet = TextRule(what: "a fleet's name", first: "a-z", rest: "a-z0-9-", limit: 40)
    static let node = TextRule(what: "a node's name", first: "a-z0-9", rest: "a-z0-9-", limit: 63)
    static let topology = TextRule(what: "a topology's name", first: "a-z0-9", rest: "a-z0-9-", limit: 63)
    static let app = TextRule(what: "an app's name", first: "a-z", rest: "a-z0-9-", limit: 31)
    static let source = TextRule(what: "a source's name", first: "a-z0-9", rest: "a-z0-9-", limit: 63)
    static let secret = TextRule(what: "a secret's name", first: "A-Za-z", rest: "A-Za-z0-9_-", limit: 64)
    static let variable = TextRule(what: "an environment variable", first: "A-Za-z_", rest: "A-Za-z0-9_", limit: 128)
    static let postgres = TextRule(what: "a PostgreSQL name", first: "a-z_", rest: "a-z0-9_-", limit: 63)
    static let setting = TextRule(what: "a setting's name", first: "a-z_", rest: "a-z0-9_.", limit: 63)
    static let redisCommand = TextRule(
        what: "a Redis command such as keys or client|list", first: "a-z", rest: "a-z0-9.|_-", limit: 40)
    static let table = TextRule(what: "a table's name", first: "A-Za-z_", rest: "A-Za-z0-9_.-", limit: 127)
    static let account = TextRule(what: "a user or group name", first: "A-Za-z_", rest: "A-Za-z0-9_-", limit: 32)
    static let package = TextRule(what: "a Debian package", first: "a-z0-9", rest: "a-z0-9+.-", limit: 128)
    static let version = TextRule(what: "a Debian version", first: "0-9", rest: "A-Za-z0-9.+:~-", limit: 128)
    static let label = TextRule(what: "a name", first: "A-Za-z0-9_", rest: "A-Za-z0-9_.-", limit: 64)
    static let sysctl = TextRule(what: "a sysctl key", first: "a-z", rest: "a-z0-9_./-", limit: 128)
    static let bill = TextRule(what: "a bill's name", first: "A-Za-z0-9", rest: "A-Za-z0-9 ._()+-", limit: 60)
    static let locale = TextRule(what: "a locale", first: "A-Za-z", rest: "A-Za-z0-9_.@-", limit: 40)
    static let header = TextRule(what: "a field's name", first: "A-Za-z_", rest: "A-Za-z0-9_.-", limit: 64)
    static let release = TextRule(what: "a version such as 6.0.14", first: "0-9", rest: "A-Za-z0-9.-", limit: 40)
    static let image = TextRule(what: "an image's name", first: "a-z0-9", rest: "A-Za-z0-9._/:@-", limit: 200)
    static let reference = TextRule(what: "a git reference", first: "A-Za-z0-9", rest: "A-Za-z0-9._/-", limit: 128)
}

extension Codec {
    /// A name that follows a rule.
    static func named(_ rule: TextRule, _ make: @escaping (String) -> Value, _ text: @escaping (Value) -> String)
        -> Codec
    {
        Codec(
            rule.what, schema: { .object([("type", .text("string")), ("pattern", .text(rule.pattern))]) },
            show: { text($0).isEmpty ? nil : .text(text($0)) },
            read: { node, reader in
                guard let text = reader.text(node, expected: rule.what) else { return nil }
                guard rule.accepts(text) else {
                    rule.check(text, at: node.span, reader)
                    return nil
                }
                return make(text)
            })
    }
}

extension Codec where Value == String {
    static func name(_ rule: TextRule) -> Codec { .named(rule, { $0 }, { $0 }) }
}

extension Codec where Value: Name {
    static func name(_ rule: TextRule) -> Codec { .named(rule, { Value($0) }, { $0.rawValue }) }
}
