import BasculePostgres

/// Translates the small part of MySQL's expressions that means the same at the target. What it does not know it leaves:
/// the answer is nil, and the caller names what is not carried. No text of the source reaches the target uninspected.
struct MyExpression {
    private enum Token: Equatable {
        case name(String), word(String), number(String), text(String), sign(String)
    }

    private let tokens: [Token]
    private var place = 0
    private let columns: Set<String>

    static func translate(_ text: String, of table: MyTable) -> String? {
        guard let tokens = scan(text), tokens.count < 400 else { return nil }
        var parser = MyExpression(tokens: tokens, columns: Set(table.columns.map(\.name)))
        guard let result = parser.either(0), parser.place == tokens.count else { return nil }
        return result
    }

    private init(tokens: [Token], columns: Set<String>) { (self.tokens, self.columns) = (tokens, columns) }

    private static func scan(_ text: String) -> [Token]? {
        var tokens: [Token] = []
        var rest = Array(text.unicodeScalars)[...]
        func isWord(_ scalar: Unicode.Scalar) -> Bool {
            scalar.isASCII && (scalar.properties.isAlphabetic || scalar == "_" || ("0"..."9").contains(scalar))
        }
        func quoted(_ quote: Unicode.Scalar, escapes: Bool) -> String? {
            rest.removeFirst()
            var out = String.UnicodeScalarView()
            while let scalar = rest.popFirst() {
                if scalar == quote {
                    guard rest.first == quote else { return String(out) }
                    rest.removeFirst()
                } else if escapes, scalar == "\\" {
                    guard let next = rest.popFirst(), "'\"\\%_".unicodeScalars.contains(next) else { return nil }
                    out.append(next)
                    continue
                }
                out.append(scalar)
            }
            return nil
        }
        while let first = rest.first {
            if first == " " || first == "\n" || first == "\t" {
                rest.removeFirst()
            } else if first == "`" {
                guard let name = quoted("`", escapes: false) else { return nil }
                tokens.append(.name(name))
            } else if first == "'" {
                guard let text = quoted("'", escapes: true) else { return nil }
                // A character set before a string says how its bytes are to be read: they came to us as Unicode.
                if case .word(let set)? = tokens.last, set.hasPrefix("_") { tokens.removeLast() }
                tokens.append(.text(text))
            } else if ("0"..."9").contains(first) {
                let digits = rest.prefix { ("0"..."9").contains($0) || $0 == "." }
                rest = rest.dropFirst(digits.count)
                tokens.append(.number(String(String.UnicodeScalarView(digits))))
            } else if isWord(first) {
                let word = rest.prefix { isWord($0) }
                rest = rest.dropFirst(word.count)
                tokens.append(.word(String(String.UnicodeScalarView(word)).lowercased()))
            } else {
                let two = String(String.UnicodeScalarView(rest.prefix(2)))
                let sign = ["<>", "!=", "<=", ">="].contains(two) ? two : String(Character(first))
                guard "<>!=+-*(),".contains(sign.first ?? " ") else { return nil }
                rest = rest.dropFirst(sign.unicodeScalars.count)
                tokens.append(.sign(sign))
            }
        }
        return tokens
    }

    private mutating func take(_ token: Token) -> Bool {
        guard place < tokens.count, tokens[place] == token else { return false }
        place += 1
        return true
    }
    private mutating func word(_ text: String) -> Bool { take(.word(text)) }

    private mutating func either(_ depth: Int) -> String? {
        guard depth < 40, var left = both(depth) else { return nil }
        while word("or") {
            guard let right = both(depth) else { return nil }
            left = "(\(left) OR \(right))"
        }
        return left
    }

    private mutating func both(_ depth: Int) -> String? {
        guard var left = comparison(depth) else { return nil }
        while word("and") {
            guard let right = comparison(depth) else { return nil }
            left = "(\(left) AND \(right))"
        }
        return left
    }

    private mutating func comparison(_ depth: Int) -> String? {
        if word("not") { return comparison(depth + 1).map { "(NOT \($0))" } }
        guard let left = sum(depth) else { return nil }
        if word("is") {
            let not = word("not")
            return word("null") ? "(\(left) IS \(not ? "NOT " : "")NULL)" : nil
        }
        let not = word("not")
        if word("in") {
            guard take(.sign("(")), let list = list(depth) else { return nil }
            return "(\(left) \(not ? "NOT " : "")IN (\(list.joined(separator: ", "))))"
        }
        if word("between") {
            guard let low = sum(depth), word("and"), let high = sum(depth) else { return nil }
            return "(\(left) \(not ? "NOT " : "")BETWEEN \(low) AND \(high))"
        }
        if not { return nil }
        for sign in ["=", "<>", "!=", "<=", ">=", "<", ">"] where take(.sign(sign)) {
            return sum(depth).map { "(\(left) \(sign) \($0))" }
        }
        return left
    }

    private mutating func sum(_ depth: Int) -> String? {
        guard var left = product(depth) else { return nil }
        while true {
            if take(.sign("+")) {
                guard let right = product(depth) else { return nil }
                left = "(\(left) + \(right))"
            } else if take(.sign("-")) {
                guard let right = product(depth) else { return nil }
                left = "(\(left) - \(right))"
            } else {
                return left
            }
        }
    }

    private mutating func product(_ depth: Int) -> String? {
        guard var left = factor(depth) else { return nil }
        while take(.sign("*")) {
            guard let right = factor(depth) else { return nil }
            left = "(\(left) * \(right))"
        }
        return left
    }

    private mutating func factor(_ depth: Int) -> String? {
        guard depth < 40, place < tokens.count else { return nil }
        let token = tokens[place]
        place += 1
        switch token {
        case .number(let text): return text.count { $0 == "." } < 2 ? text : nil
        case .text(let text): return PGQuote.literal(text)
        case .name(let name): return columns.contains(name) ? PGQuote.identifier(name) : nil
        case .sign("("):
            guard let inner = either(depth + 1), take(.sign(")")) else { return nil }
            return inner
        case .sign("-"): return factor(depth + 1).map { "(- \($0))" }
        case .word("null"): return "NULL"
        case .word(let name):
            guard take(.sign("(")), let list = list(depth + 1), !list.isEmpty else { return nil }
            return Self.function(name, list)
        default: return nil
        }
    }

    /// The arguments up to the closing bracket.
    private mutating func list(_ depth: Int) -> [String]? {
        var items: [String] = []
        if take(.sign(")")) { return items }
        while let item = either(depth + 1) {
            items.append(item)
            if take(.sign(",")) { continue }
            return take(.sign(")")) ? items : nil
        }
        return nil
    }

    /// Functions that do the same, and may stand in a generated column.
    private static func function(_ name: String, _ list: [String]) -> String? {
        switch (name, list.count) {
        case ("concat", 1...): "(\(list.map { "(\($0))::text" }.joined(separator: " || ")))"
        case ("lower", 1), ("lcase", 1): "pg_catalog.lower((\(list[0]))::text)"
        case ("upper", 1), ("ucase", 1): "pg_catalog.upper((\(list[0]))::text)"
        case ("char_length", 1), ("character_length", 1): "pg_catalog.char_length((\(list[0]))::text)"
        case ("length", 1), ("octet_length", 1): "pg_catalog.octet_length((\(list[0]))::text)"
        case ("abs", 1): "pg_catalog.abs(\(list[0]))"
        case ("ifnull", 2), ("coalesce", 1...): "COALESCE(\(list.joined(separator: ", ")))"
        case ("nullif", 2): "NULLIF(\(list[0]), \(list[1]))"
        default: nil
        }
    }
}
