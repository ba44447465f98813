/// Quoting for SQL text, correct for hostile names with `standard_conforming_strings` on.
package enum PGQuote {
    /// An identifier, always in double quotes: `we"ird` becomes `"we""ird"`.
    package static func identifier(_ name: String) -> String {
        "\"" + doubled(name, UInt8(ascii: "\"")) + "\""
    }

    /// A schema-qualified identifier.
    package static func identifier(_ schema: String, _ name: String) -> String {
        identifier(schema) + "." + identifier(name)
    }

    /// A name for people: quoted only where it is not plain lower-case letters, digits and underscores. Not for SQL,
    /// which knows keywords.
    package static func shown(_ schema: String, _ name: String) -> String {
        func part(_ text: String) -> String {
            let plain = text.utf8.allSatisfy { byte in
                byte == UInt8(ascii: "_") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            }
            let starts = text.utf8.first.map { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false
            return plain && starts ? text : identifier(text)
        }
        return part(schema) + "." + part(name)
    }

    /// A string literal. Backslashes take the `E''` form, so that the setting of the session does not matter.
    package static func literal(_ text: String) -> String {
        let quoted = doubled(text, UInt8(ascii: "'"))
        guard quoted.utf8.contains(UInt8(ascii: "\\")) else { return "'" + quoted + "'" }
        return " E'" + doubled(quoted, UInt8(ascii: "\\")) + "'"
    }

    /// A text array's literal value, for a parameter that is cast to `text[]`.
    package static func array(_ elements: [String]) -> String {
        let quoted = elements.map { element in
            var bytes: [UInt8] = []
            for each in element.utf8 {
                if each == UInt8(ascii: "\"") || each == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
                bytes.append(each)
            }
            return "\"" + String(decoding: bytes, as: UTF8.self) + "\""
        }
        return "{" + quoted.joined(separator: ",") + "}"
    }

    // On bytes: a combining mark after a quote makes one Character of the two, which a search by Character misses.
    private static func doubled(_ text: String, _ byte: UInt8) -> String {
        guard text.utf8.contains(byte) else { return text }
        var bytes: [UInt8] = []
        for each in text.utf8 {
            bytes.append(each)
            if each == byte { bytes.append(each) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
