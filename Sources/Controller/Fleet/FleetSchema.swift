import BasculeModel

/// The fleet file's JSON Schema, made from the tables that the parser reads by.
package enum FleetSchema {
    /// JSON Schema, draft 2020-12, pretty-printed, with a line feed at the end. The tags `!secret`, `!binding` and
    /// `!generate` count as text; an editor has to be told about them.
    package static func json() -> String {
        guard case .object(let keys) = ObjectSchema.of(Fleet.self) else { return "{}\n" }
        let head: [(key: String, value: SchemaValue)] = [
            ("$schema", .text("https://json-schema.org/draft/2020-12/schema")), ("title", .text("Bascule fleet file")),
        ]
        return SchemaValue.object(head + keys).rendered() + "\n"
    }

    /// Every key as Markdown, one table a mapping, from the same tables.
    package static func markdown() -> String {
        var text =
            "# The fleet file\n\nEvery key of `fleet.yaml`. This page is generated from the parser's own tables.\n"
        ReferencePages().section("fleet.yaml", ObjectSchema.of(Fleet.self), level: 2, into: &text)
        return text
    }
}

/// Walks a schema and writes a table for each mapping in it.
private struct ReferencePages {
    func section(_ path: String, _ schema: SchemaValue, level: Int, into text: inout String) {
        if let choices = list(schema, "oneOf"), !choices.contains(where: { member($0, "properties") == nil }) {
            for choice in choices { section(path, choice, level: level, into: &text) }
            return
        }
        guard case .object(let properties)? = member(schema, "properties") else { return }
        let required = list(schema, "required") ?? []
        let about = string(member(schema, "description")) ?? ""
        text += "\n\(String(repeating: "#", count: min(level, 6))) `\(path)`\n\n\(about).\n\n"
        text += "| key | meaning | default |\n|---|---|---|\n"
        for (key, property) in properties {
            let needed = required.contains { string($0) == key }
            let standard =
                member(property, "default")?.rendered().replacing("\n", with: " ") ?? (needed ? "required" : "")
            let meaning = (string(member(property, "description")) ?? "").replacing("|", with: "\\|")
            text += "| `\(key)` | \(meaning) | \(standard) |\n"
        }
        for (key, property) in properties {
            nested("\(path == "fleet.yaml" ? "" : path + ".")\(key)", property, level, &text)
        }
    }

    private func nested(_ path: String, _ schema: SchemaValue, _ level: Int, _ text: inout String) {
        if member(schema, "properties") != nil {
            section(path, schema, level: level + 1, into: &text)
        } else if let item = member(schema, "items") {
            nested(path + "[]", item, level, &text)
        } else if let value = member(schema, "additionalProperties") {
            nested(path + ".NAME", value, level, &text)
        } else {
            for choice in list(schema, "oneOf") ?? [] { nested(path, choice, level, &text) }
        }
    }

    private func member(_ schema: SchemaValue, _ key: String) -> SchemaValue? {
        guard case .object(let pairs) = schema else { return nil }
        return pairs.first { $0.key == key }?.value
    }

    private func list(_ schema: SchemaValue, _ key: String) -> [SchemaValue]? {
        guard case .list(let items)? = member(schema, key) else { return nil }
        return items
    }

    private func string(_ schema: SchemaValue?) -> String? {
        guard case .text(let text)? = schema else { return nil }
        return text
    }
}
