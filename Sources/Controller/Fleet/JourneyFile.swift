import BasculeModel
import Foundation

/// Reads a journey: the model's own keys, with places in the errors.
package enum JourneyFile {
    /// Reads a file that an app names under `journeys`.
    package static func parse(path: String) throws(FleetErrors) -> Journey {
        switch Document.read(path: path) {
        case .success(let text): return try parse(text: text, path: path)
        case .failure(let error): throw FleetErrors(unreadable: error)
        }
    }

    /// Reads a text as if it stood in the file at `path`. Reports one mistake of every step, and one of the rest.
    package static func parse(text: String, path: String) throws(FleetErrors) -> Journey {
        let document = Document(text: text, path: path)
        let reader = document.reader
        var journey: Journey?
        if let root = document.root { journey = read(JSONTree.value(of: root, reader), root, reader) }
        let errors = reader.diagnostics(.error)
        guard errors.isEmpty, let journey else { throw FleetErrors(errors: errors, warnings: []) }
        return journey
    }

    private static func read(_ value: JSONValue, _ root: YAMLNode, _ reader: Reader) -> Journey? {
        guard case .object(var fields) = value else {
            reader.error(.fleetWrongType, "a journey is a mapping, not \(root.kind)", at: root.span)
            return nil
        }
        for part in ["steps", "cleanup"] {
            guard case .array(let steps)? = fields[part] else { continue }
            let fine = steps.enumerated().filter { index, step in
                decode(JourneyStep.self, step, under: [part, "\(index)"], reader) != nil
            }
            // Steps that were reported are left out, so that the rest is still checked. None left is their fault.
            if fine.count < steps.count, fine.isEmpty, part == "steps" { return nil }
            fields[part] = .array(fine.map(\.element))
        }
        return decode(Journey.self, .object(fields), under: [], reader)
    }

    private static func decode<Value: Decodable>(
        _ type: Value.Type, _ value: JSONValue, under prefix: [String], _ reader: Reader
    ) -> Value? {
        do {
            return try JSONDecoder().decode(type, from: JSONEncoder().encode(value))
        } catch let error as DecodingError {
            report(error, prefix, reader)
        } catch {
            reader.error(.fleetBadValue, "the journey cannot be read: \(error)", at: Span.start)
        }
        return nil
    }

    private static func report(_ error: DecodingError, _ prefix: [String], _ reader: Reader) {
        let context: DecodingError.Context
        var missing: String?
        var code = ErrorCode.fleetBadValue
        switch error {
        case .keyNotFound(let key, let found): (context, missing, code) = (found, key.stringValue, .fleetMissingKey)
        case .typeMismatch(_, let found): (context, code) = (found, .fleetWrongType)
        case .valueNotFound(_, let found): (context, code) = (found, .fleetWrongType)
        case .dataCorrupted(let found): context = found
        @unknown default: context = DecodingError.Context(codingPath: [], debugDescription: "\(error)")
        }
        let path = prefix + context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }
        let dotted = path.joined(separator: ".")
        let subject = path.isEmpty ? "the journey" : quoted(dotted)
        if let missing {
            reader.error(code, "\(subject) lacks the key '\(missing)'", at: reader.keys[dotted] ?? Span.start)
            return
        }
        let said = context.debugDescription
        if said.hasPrefix("unknown key") { code = .fleetUnknownKey }
        let known = said.split(separator: "known are ").last?.split(separator: ", ").map(String.init) ?? []
        let meant = path.last.flatMap { code == .fleetUnknownKey ? NearMiss.suggestion(for: $0, among: known) : nil }
        let span = code == .fleetUnknownKey ? reader.keys[dotted] : reader.values[dotted]
        let first = said.prefix { $0 != "\n" }
        let text = first.hasSuffix(".") ? String(first.dropLast()) : String(first)
        reader.error(code, "\(subject): \(text)", at: span ?? Span.start, hint: meant.map { "did you mean '\($0)'?" })
    }
}

/// A YAML tree as JSON, its places remembered.
enum JSONTree {
    static func value(of node: YAMLNode, _ reader: Reader) -> JSONValue {
        if let tag = node.tag {
            reader.error(
                .fleetBadValue, "the tag \(quoted(tag)) has no meaning in a journey", at: node.span,
                hint: "journeys hold no secrets; use an account made for them")
        }
        switch node.content {
        case .scalar(let text, let plain): return plain ? scalar(text, node) : .string(text)
        case .sequence(let nodes):
            return .array(
                nodes.enumerated().map { index, node in
                    reader.inside("\(index)", key: nil, node) { value(of: node, reader) }
                })
        case .mapping(let pairs):
            var fields: [String: JSONValue] = [:]
            for (key, node) in pairs {
                fields[key.text] = reader.inside(key.text, key: key.span, node) { value(of: node, reader) }
            }
            return .object(fields)
        }
    }

    private static func scalar(_ text: String, _ node: YAMLNode) -> JSONValue {
        if node.isNull { return .null }
        if text == "true" || text == "false" { return .bool(text == "true") }
        // A leading zero or plus is no number of JSON: `007` and `+33` are text.
        let digits = text.hasPrefix("-") ? text.dropFirst() : Substring(text)
        guard let first = digits.first, first.isASCII, first.isNumber,
            digits == "0" || digits.hasPrefix("0.") || first != "0"
        else { return .string(text) }
        if let integer = Int64(text) { return .integer(integer) }
        if let number = Double(text), number.isFinite, !digits.contains(where: \.isLetter) { return .number(number) }
        return .string(text)
    }
}
