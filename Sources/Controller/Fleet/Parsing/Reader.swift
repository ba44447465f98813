import BasculeModel

/// Walks the tree with the declarations: remembers where everything stands and every complaint.
final class Reader {
    /// A complaint, until it is rendered with its line.
    struct Finding {
        var severity: FleetDiagnostic.Severity
        var code: ErrorCode
        var message: String
        var hint: String?
        var span: Span
    }

    private(set) var source: SourceText
    private(set) var findings: [Finding] = []
    /// Errors of other files that this one names.
    private(set) var foreign: [FleetDiagnostic] = []
    /// Mappings with a key that nobody knows; what seems missing in them may be what that key meant.
    private(set) var doubted: Set<String> = []
    private(set) var path: [String] = []
    /// Spans of keys and of values by dotted path.
    private(set) var keys: [String: Span] = [:]
    private(set) var values: [String: Span] = [:]

    init(source: SourceText) { self.source = source }

    /// What is being read, for a message.
    var subject: String { path.isEmpty ? "the fleet file" : quoted(path.joined(separator: ".")) }

    func error(_ code: ErrorCode, _ message: String, at span: Span, hint: String? = nil) {
        findings.append(Finding(severity: .error, code: code, message: message, hint: hint, span: span))
    }

    func warning(_ message: String, at span: Span, hint: String? = nil) {
        findings.append(
            Finding(severity: .warning, code: .fleetDoubtful, message: message, hint: hint, span: span))
    }

    func add(_ diagnostics: [FleetDiagnostic]) { foreign += diagnostics }

    /// Keeps a value out of every excerpt.
    func hide(_ node: YAMLNode) {
        source.hide(node.span)
        source.hide(node.origin)
    }

    func place(of span: Span) -> Place {
        .file(path: source.path, line: span.start.line, column: span.start.column)
    }

    /// How many of these keys a mapping has.
    func written(_ names: [String], in node: YAMLNode) -> Int {
        guard case .mapping(let pairs) = node.content else { return 0 }
        return pairs.filter { names.contains($0.key.text) }.count
    }

    func mismatch(_ node: YAMLNode, _ expected: String) {
        error(.fleetWrongType, "\(subject) must be \(expected), not \(node.kind)", at: node.span)
    }

    /// A scalar's text; anything else is reported.
    func text(_ node: YAMLNode, expected: String) -> String? {
        guard case .scalar(let text, _) = node.content, node.tag == nil, !node.isNull else {
            if let tag = node.tag, ["!secret", "!binding", "!generate"].contains(tag) {
                self.error(
                    .fleetWrongType, "\(subject) must be \(expected) written out; \(tag) has no meaning here",
                    at: node.span, hint: "\(tag) stands in 'env' of an app, in 'vars', and for credentials")
            } else {
                mismatch(node, expected)
            }
            return nil
        }
        return text
    }

    /// Reads something one level deeper and remembers where it stands.
    @discardableResult
    func inside<Result>(_ name: String, key: Span?, _ node: YAMLNode, _ body: () -> Result) -> Result {
        path.append(name)
        defer { path.removeLast() }
        let dotted = path.joined(separator: ".")
        keys[dotted] = key ?? node.span
        values[dotted] = node.span
        return body()
    }

    /// Reads a mapping by a type's table. Keys in `beside` are somebody else's.
    func object<Owner: Declared>(_ type: Owner.Type, _ node: YAMLNode, beside: [String] = []) -> Owner? {
        var owner = Owner()
        let fields = Owner.fields
        var pairs: [(key: YAMLKey, value: YAMLNode)] = []
        if !node.isNull {
            guard case .mapping(let present) = node.content, node.tag == nil else {
                mismatch(node, "a mapping")
                return nil
            }
            pairs = present
        }
        let known = fields.map(\.key) + beside
        // A misspelt key is one mistake, not also a missing key.
        var meant: Set<String> = []
        for (key, value) in pairs where !beside.contains(key.text) {
            guard let field = fields.first(where: { $0.key == key.text }) else {
                if let name = unknown(key, known: known) { meant.insert(name) }
                continue
            }
            inside(key.text, key: key.span, value) { field.read(value, self, &owner) }
        }
        for field in fields where field.required && !pairs.contains(where: { $0.key.text == field.key }) {
            if meant.contains(field.key) { continue }
            let here = keys[path.joined(separator: ".")] ?? node.span
            error(
                .fleetMissingKey, "\(subject) lacks the key '\(field.key)'", at: here,
                hint: "'\(field.key)' is \(field.expected): \(field.about)")
        }
        return owner
    }

    /// Reports a key and returns the one that was probably meant.
    @discardableResult
    func unknown(_ key: YAMLKey, known: [String]) -> String? {
        let meant = NearMiss.suggestion(for: key.text, among: known)
        doubted.insert(path.joined(separator: "."))
        error(
            .fleetUnknownKey, "unknown key \(quoted(key.text))" + (path.isEmpty ? "" : " in \(subject)"),
            at: key.span, hint: meant.map { "did you mean '\($0)'?" } ?? "known keys: \(known.joined(separator: ", "))")
        return meant
    }

    func noVariant(
        _ names: [String], all: [String], _ pairs: [(key: YAMLKey, value: YAMLNode)], _ node: YAMLNode
    ) {
        let unknown = pairs.filter { !all.contains($0.key.text) }
        for (key, _) in unknown {
            guard let meant = NearMiss.suggestion(for: key.text, among: names) else { continue }
            error(
                .fleetUnknownKey, "unknown key \(quoted(key.text)) in \(subject)", at: key.span,
                hint: "did you mean '\(meant)'?")
            return
        }
        let here = keys[path.joined(separator: ".")] ?? node.span
        error(
            .fleetMissingKey, "\(subject) lacks the key that tells its kind", at: here,
            hint: "give it one of: \(names.joined(separator: ", "))")
    }
}
