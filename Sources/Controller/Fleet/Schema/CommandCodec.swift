import BasculeModel

extension Codec where Value == Command {
    /// `npm ci --omit=dev`, or the words as a list.
    static var command: Codec {
        let expected = "a command, or a list of its words"
        return Codec(
            expected,
            schema: {
                let word = SchemaValue.anyScalar
                let words = SchemaValue.object([
                    ("type", .text("array")), ("items", word), ("minItems", .integer(1)),
                ])
                return .object([("oneOf", .list([word, words]))])
            },
            read: { node, reader in
                if case .sequence(let nodes) = node.content, node.tag == nil {
                    let words = nodes.compactMap { Codec<String>.text("a word").read($0, reader) }
                    guard words.count == nodes.count else { return nil }
                    if words.first?.isEmpty ?? true {
                        reader.error(.fleetBadValue, "\(reader.subject) is an empty command", at: node.span)
                        return nil
                    }
                    return Command(words)
                }
                guard let text = reader.text(node, expected: expected) else { return nil }
                switch CommandText.split(text) {
                case .success(let words): return Command(words)
                case .failure(let flaw):
                    reader.error(
                        .fleetBadValue, "\(reader.subject): \(flaw.reason)", at: node.span, hint: flaw.hint)
                    return nil
                }
            })
    }
}

/// Splits a command line into words. No shell will see it, so what only a shell understands is refused.
enum CommandText {
    struct Flaw: Error {
        var reason: String
        var hint: String?
    }

    static func split(_ text: String) -> Result<[String], Flaw> {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var escaped = false
        for character in text {
            if PathText.hasControl(String(character)), character != "\t" {
                return .failure(Flaw(reason: "the command holds a line feed or control character"))
            }
            if escaped {
                word = (word ?? "") + String(character)
                escaped = false
            } else if character == "\\", quote != "'" {
                escaped = true
            } else if character == quote {
                quote = nil
            } else if let open = quote {
                if open == "\"", "$`".contains(character) { return .failure(shell(character)) }
                word = (word ?? "") + String(character)
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character == " " || character == "\t" {
                if let whole = word { words.append(whole) }
                word = nil
            } else if "|&;<>()$`".contains(character) {
                return .failure(shell(character))
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if quote != nil || escaped { return .failure(Flaw(reason: "a quote is not closed")) }
        if let whole = word { words.append(whole) }
        guard let first = words.first, !first.isEmpty else { return .failure(Flaw(reason: "the command is empty")) }
        if first.contains("=") {
            return .failure(
                Flaw(reason: "the command starts with an assignment", hint: "set the variable under 'env'"))
        }
        return .success(words)
    }

    private static func shell(_ character: Character) -> Flaw {
        Flaw(
            reason: "'\(character)' means something only to a shell, and commands run without one",
            hint: "quote it with '…', or write [\"sh\", \"-c\", \"…\"]")
    }
}
