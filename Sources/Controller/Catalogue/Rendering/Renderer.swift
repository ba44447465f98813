import BasculeFleet
import BasculeModel
import Mustache

/// What a template may show. Secrets stay placeholders.
indirect enum Variable {
    case text(String)
    case integer(Int)
    case flag(Bool)
    case list([Variable])
    case map([String: Variable])
    case content(Content)
}

extension Variable: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    init(stringLiteral value: String) { self = .text(value) }
    init(integerLiteral value: Int) { self = .integer(value) }
    init(booleanLiteral value: Bool) { self = .flag(value) }
    static func texts(_ list: [String]) -> Variable { .list(list.map { .text($0) }) }
}

/// Fills templates: plain text, nothing escaped, every variable there or an error.
struct Renderer {
    /// Private-use characters around a secret's name while mustache has the text; they occur in no configuration.
    private static let open: Character = "\u{F0000}"
    private static let close: Character = "\u{F0001}"

    static func render(_ source: TemplateSource, _ variables: [String: Variable]) throws -> Content {
        let log = LookupLog()
        var secrets: Set<SecretName> = []
        let root = StrictMap(
            values: try variables.mapValues { try convert($0, log, &secrets, source) }, log: log, isRoot: true)
        let rendered: String
        do {
            rendered = try MustacheTemplate(string: "{{% CONTENT_TYPE:TEXT}}\n" + source.text).render(root)
        } catch {
            throw BasculeError(
                .catalogueTemplate, "the template \(source.name) is not valid mustache", at: source.place,
                cause: "\(error)")
        }
        log.settle()
        if !log.missing.isEmpty {
            let names = log.missing.map { "{{\($0)}}" }.joined(separator: ", ")
            let has = variables.keys.sorted().joined(separator: ", ")
            throw BasculeError(
                .catalogueTemplate, "the template \(source.name) uses \(names), which nothing gives it",
                at: source.place, hint: has.isEmpty ? "it is given no variables" : "it is given: \(has)")
        }
        return split(rendered, secrets)
    }

    private static func convert(
        _ variable: Variable, _ log: LookupLog, _ secrets: inout Set<SecretName>, _ source: TemplateSource
    ) throws -> Any {
        switch variable {
        case .text(let text): return text
        case .integer(let number): return number
        case .flag(let flag): return flag
        case .list(let list): return try list.map { try convert($0, log, &secrets, source) }
        case .map(let map):
            return StrictMap(values: try map.mapValues { try convert($0, log, &secrets, source) }, log: log)
        case .content(.blob):
            throw BasculeError(.defect, "uploaded content cannot stand in a template", at: source.place)
        case .content(.parts(let parts)):
            return parts.map { part in
                switch part {
                case .text(let text): return text
                case .secret(let name):
                    secrets.insert(name)
                    return "\(open)\(name)\(close)"
                }
            }.joined()
        }
    }

    private static func split(_ text: String, _ secrets: Set<SecretName>) -> Content {
        guard !secrets.isEmpty else { return Content(text) }
        var parts: [Content.Part] = []
        var plain = ""
        var rest = text[...]
        while let start = rest.firstIndex(of: open), let end = rest[start...].firstIndex(of: close) {
            plain += rest[..<start]
            let name = SecretName(String(rest[rest.index(after: start)..<end]))
            if secrets.contains(name) {
                if !plain.isEmpty { parts.append(.text(plain)) }
                parts.append(.secret(name))
                plain = ""
            } else {
                plain += rest[start...end]
            }
            rest = rest[rest.index(after: end)...]
        }
        plain += rest
        if !plain.isEmpty { parts.append(.text(plain)) }
        return .parts(parts)
    }
}

extension Compilation {
    /// A built-in template, or the fleet's own of the same name, filled.
    func render(_ name: String, _ variables: [String: Variable]) throws -> Content {
        try Renderer.render(TemplateSource(builtIn: name, folder: fleet.folder), variables)
    }

    /// A value of the fleet file for a template.
    mutating func variable(_ value: TemplateValue, for consumer: Consumer) throws -> Variable {
        switch value {
        case .text(let text): return .text(text)
        case .integer(let number): return .text("\(number)")
        case .number(let number): return .text("\(number)")
        case .flag(let flag): return .flag(flag)
        case .list(let list): return .list(try list.map { try variable($0, for: consumer) })
        case .map(let map): return .map(try map.mapValues { try variable($0, for: consumer) })
        case .reference(let reference): return .content(try content(reference, for: consumer))
        }
    }
}
