/// A position in the text; both count from 1, columns in Unicode scalars.
struct Mark: Hashable, Comparable, Sendable {
    var line: Int
    var column: Int
    static func < (left: Mark, right: Mark) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// From the first character to just after the last one.
struct Span: Hashable, Sendable {
    var start: Mark
    var end: Mark

    /// Characters on the first line that a caret should cover.
    var length: Int { start.line == end.line ? max(1, end.column - start.column) : 1 }
}

/// A YAML value with the place where it stands. A class, so that an aliased list is held once.
final class YAMLNode {
    let content: YAMLContent
    /// An explicit tag such as `!secret`; nil where none is written.
    let tag: String?
    let span: Span
    /// Where an aliased value was first written; equals `span` elsewhere.
    let origin: Span
    /// How many values it holds with every alias expanded.
    let weight: Int

    init(content: YAMLContent, tag: String?, span: Span, origin: Span? = nil, weight: Int) {
        (self.content, self.tag, self.span, self.weight) = (content, tag, span, weight)
        self.origin = origin ?? span
    }

    /// The same value, standing where an alias names it.
    func aliased(at span: Span) -> YAMLNode {
        YAMLNode(content: content, tag: tag, span: span, origin: origin, weight: weight)
    }

    /// A plain `~`, `null` or nothing.
    var isNull: Bool {
        guard case .scalar(let text, true) = content, tag == nil else { return false }
        return text.isEmpty || text == "~" || text == "null"
    }

    /// What it is, for a message: `a list`, `text 'abc'`.
    var kind: String {
        switch content {
        case .sequence: return "a list"
        case .mapping: return "a mapping"
        case .scalar(let text, let plain):
            if let tag { return "a value tagged \(tag)" }
            if isNull { return "nothing" }
            return (plain ? "" : "text ") + quoted(text)
        }
    }
}

/// What a YAML value holds.
indirect enum YAMLContent {
    case scalar(text: String, plain: Bool)
    case sequence([YAMLNode])
    case mapping([(key: YAMLKey, value: YAMLNode)])
}

/// A key of a mapping.
struct YAMLKey {
    var text: String
    var span: Span
}

/// A stranger's text for a message: on one line, bounded, control characters and passwords hidden.
func quoted(_ text: String) -> String {
    var clipped = SourceText.masked(String(text.prefix(60)))
    if text.count > 60 { clipped += "…" }
    var shown = ""
    for scalar in clipped.unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            shown += "\\u{\(String(scalar.value, radix: 16))}"
        default: shown.unicodeScalars.append(scalar)
        }
    }
    return "'\(shown)'"
}
