// Yams stops at the first duplicate key, places it at the whole mapping, and expands aliases without a budget.
// So the tree is composed here, from the events of the parser that Yams brings.
import BasculeModel
internal import CYaml

/// What stops the composition: the text is no YAML, or more than a fleet file may be.
struct YAMLProblem: Error {
    var code: ErrorCode
    var message: String
    var hint: String?
    var span: Span
}

/// What a file may ask of the parser before it is refused.
enum YAMLLimits {
    static let bytes = 1 << 20
    static let depth = 32
    static let values = 10_000
}

/// Composes the one document of a text. One use; the parser is freed with it.
final class YAMLComposer {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    private var anchors: [String: YAMLNode] = [:]
    private var values = 0
    /// Duplicate keys, all of them; composing goes on after each.
    private(set) var duplicates: [(key: YAMLKey, first: Mark)] = []

    init(text: String) {
        let copy = Array(text.utf8)
        bytes = .allocate(capacity: max(1, copy.count))
        _ = bytes.initialize(from: copy)
        parser = .allocate(capacity: 1)
        yaml_parser_initialize(parser)
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, bytes.baseAddress, copy.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
        bytes.deallocate()
    }

    /// The document's root; nil for an empty text.
    func compose() throws(YAMLProblem) -> YAMLNode? {
        var root: YAMLNode?
        while true {
            let (event, span) = try next()
            switch event {
            case .streamEnd: return root
            case .boundary: continue
            default:
                if root != nil {
                    throw YAMLProblem(
                        code: .fleetSyntax, message: "the file holds a second document",
                        hint: "remove the '---' line and what follows it", span: span)
                }
                root = try node(event, span, depth: 1)
            }
        }
    }

    private func node(_ event: Event, _ span: Span, depth: Int) throws(YAMLProblem) -> YAMLNode {
        if depth > YAMLLimits.depth {
            throw YAMLProblem(
                code: .fleetTooLarge, message: "values are nested deeper than \(YAMLLimits.depth) levels", span: span)
        }
        switch event {
        case .alias(let name): return try alias(name, span)
        case .scalar(let text, let plain, let tag, let anchor):
            try count(1, at: span)
            let node = YAMLNode(
                content: .scalar(text: text, plain: plain), tag: tag, span: span, weight: 1)
            if let anchor { anchors[anchor] = node }
            return node
        case .sequenceStart(let tag, let anchor): return try sequence(tag, anchor, span, depth)
        case .mappingStart(let tag, let anchor): return try mapping(tag, anchor, span, depth)
        default: throw YAMLProblem(code: .fleetSyntax, message: "a value is missing", span: span)
        }
    }

    private func alias(_ name: String, _ span: Span) throws(YAMLProblem) -> YAMLNode {
        guard let node = anchors[name] else {
            throw YAMLProblem(
                code: .fleetSyntax, message: "the alias \(quoted("*" + name)) is not defined before it is used",
                hint: "define it with '&\(name)', or quote a value that starts with '*'", span: span)
        }
        try count(node.weight, at: span)
        return node.aliased(at: span)
    }

    private func sequence(
        _ tag: String?, _ anchor: String?, _ start: Span, _ depth: Int
    ) throws(YAMLProblem) -> YAMLNode {
        try count(1, at: start)
        var items: [YAMLNode] = []
        var (event, span) = try next()
        while !event.isEnd {
            items.append(try node(event, span, depth: depth + 1))
            (event, span) = try next()
        }
        let whole = Span(start: start.start, end: span.end)
        let weight = items.reduce(1) { $0 + $1.weight }
        let node = YAMLNode(content: .sequence(items), tag: tag, span: whole, weight: weight)
        if let anchor { anchors[anchor] = node }
        return node
    }

    private func mapping(
        _ tag: String?, _ anchor: String?, _ start: Span, _ depth: Int
    ) throws(YAMLProblem) -> YAMLNode {
        try count(1, at: start)
        var pairs: [(key: YAMLKey, value: YAMLNode)] = []
        var seen: [String: Mark] = [:]
        var weight = 1
        var (event, span) = try next()
        while !event.isEnd {
            let key = try key(event, span)
            (event, span) = try next()
            let value = try node(event, span, depth: depth + 1)
            weight += value.weight
            if let first = seen[key.text] {
                duplicates.append((key, first))
            } else {
                seen[key.text] = key.span.start
                pairs.append((key, value))
            }
            (event, span) = try next()
        }
        let whole = Span(start: start.start, end: span.end)
        let node = YAMLNode(content: .mapping(pairs), tag: tag, span: whole, weight: weight)
        if let anchor { anchors[anchor] = node }
        return node
    }

    private func key(_ event: Event, _ span: Span) throws(YAMLProblem) -> YAMLKey {
        guard case .scalar(let text, _, nil, let anchor) = event else {
            throw YAMLProblem(code: .fleetSyntax, message: "a key must be plain text", span: span)
        }
        if text == "<<" {
            throw YAMLProblem(
                code: .fleetSyntax, message: "merge keys ('<<') are not supported",
                hint: "repeat the keys, or use an alias for a whole value", span: span)
        }
        if let anchor {
            anchors[anchor] = YAMLNode(
                content: .scalar(text: text, plain: false), tag: nil, span: span, weight: 1)
        }
        return YAMLKey(text: text, span: span)
    }

    private func count(_ more: Int, at span: Span) throws(YAMLProblem) {
        values += more
        if values > YAMLLimits.values {
            throw YAMLProblem(
                code: .fleetTooLarge, message: "the file holds more than \(YAMLLimits.values) values, aliases expanded",
                hint: "a fleet file is written by hand; look for an alias that repeats a list of aliases", span: span)
        }
    }
}

extension YAMLComposer {
    fileprivate enum Event {
        case streamEnd
        case boundary
        case alias(String)
        case scalar(text: String, plain: Bool, tag: String?, anchor: String?)
        case sequenceStart(tag: String?, anchor: String?)
        case mappingStart(tag: String?, anchor: String?)
        case end

        var isEnd: Bool { if case .end = self { true } else { false } }
    }

    fileprivate func next() throws(YAMLProblem) -> (Event, Span) {
        var raw = yaml_event_t()
        guard yaml_parser_parse(parser, &raw) == 1 else { throw problem() }
        defer { yaml_event_delete(&raw) }
        let span = Span(start: Mark(raw.start_mark), end: Mark(raw.end_mark))
        switch raw.type {
        case YAML_STREAM_END_EVENT, YAML_NO_EVENT: return (.streamEnd, span)
        case YAML_ALIAS_EVENT: return (.alias(text(raw.data.alias.anchor) ?? ""), span)
        case YAML_SCALAR_EVENT:
            let scalar = raw.data.scalar
            let value = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            let plain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            let event = Event.scalar(
                text: value, plain: plain, tag: custom(text(scalar.tag)), anchor: text(scalar.anchor))
            return (event, span)
        case YAML_SEQUENCE_START_EVENT:
            let start = raw.data.sequence_start
            return (.sequenceStart(tag: custom(text(start.tag)), anchor: text(start.anchor)), span)
        case YAML_MAPPING_START_EVENT:
            let start = raw.data.mapping_start
            return (.mappingStart(tag: custom(text(start.tag)), anchor: text(start.anchor)), span)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: return (.end, span)
        default: return (.boundary, span)
        }
    }

    private func problem() -> YAMLProblem {
        let mark = parser.pointee.problem_mark
        let said = parser.pointee.problem.map { String(cString: $0) } ?? "the text cannot be read"
        let context = parser.pointee.context.map { String(cString: $0) + ": " } ?? ""
        let start = Mark(mark)
        if said.contains("nesting level") {
            return YAMLProblem(
                code: .fleetTooLarge, message: "values are nested deeper than \(YAMLLimits.depth) levels",
                span: Span(start: start, end: start))
        }
        return YAMLProblem(
            code: .fleetSyntax, message: "this is not valid YAML: \(context)\(said)", hint: Self.hint(said),
            span: Span(start: start, end: Mark(line: start.line, column: start.column + 1)))
    }

    private static func hint(_ said: String) -> String? {
        if said.contains("cannot start any token") {
            return "indent with spaces, not tabs, and quote a value that starts with @, ` or %"
        }
        if said.contains("mapping values are not allowed") { return "quote a value that holds ': '" }
        if said.contains("did not find expected") { return "look at the line before: brackets, quotes, indentation" }
        return nil
    }

    /// A tag that says something: the core schema's `!!str`, `!!map` and `!!seq` say nothing here.
    private func custom(_ tag: String?) -> String? {
        let silent = ["!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"]
        return tag.flatMap { silent.contains($0) ? nil : $0 }
    }

    private func text(_ pointer: UnsafeMutablePointer<UInt8>?) -> String? {
        pointer.map { String(decodingCString: $0, as: UTF8.self) }
    }
}

extension Mark {
    fileprivate init(_ mark: yaml_mark_t) { self.init(line: Int(mark.line) + 1, column: Int(mark.column) + 1) }
}
