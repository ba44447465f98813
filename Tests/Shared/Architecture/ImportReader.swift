/// The modules that a Swift text imports, with their lines. Comments and multi-line strings do not count.
struct ImportReader {
    struct Import: Hashable {
        let module: String
        /// From 1.
        let line: Int
    }

    static func imports(of text: String) -> [Import] {
        var found: [Import] = []
        var inComment = false
        var inString = false
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            var rest = Substring(line)
            if inComment {
                guard let end = rest.range(of: "*/") else { continue }
                inComment = false
                rest = rest[end.upperBound...]
            }
            let delimiters = rest.ranges(of: "\"\"\"").count
            if inString {
                if delimiters % 2 == 1 { inString = false }
                continue
            }
            if delimiters % 2 == 1 { inString = true }
            if let comment = rest.range(of: "//") { rest = rest[..<comment.lowerBound] }
            while let start = rest.range(of: "/*") {
                guard let end = rest[start.upperBound...].range(of: "*/") else {
                    inComment = true
                    rest = rest[..<start.lowerBound]
                    break
                }
                rest = Substring(rest[..<start.lowerBound] + " " + rest[end.upperBound...])
            }
            for statement in rest.split(separator: ";") {
                if let module = module(of: statement) { found.append(Import(module: module, line: index + 1)) }
            }
        }
        return found
    }

    /// `@testable import struct A.B` names `A`.
    private static func module(of statement: Substring) -> String? {
        let words = statement.split(whereSeparator: \.isWhitespace)
        guard let position = words.firstIndex(of: "import"), position + 1 < words.count,
            words[..<position].allSatisfy({ $0.hasPrefix("@") || accessLevels.contains($0) })
        else { return nil }
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias", "actor"]
        let isKind = kinds.contains(words[position + 1]) && position + 2 < words.count
        return words[position + (isKind ? 2 : 1)].split(separator: ".").first.map(String.init)
    }

    private static let accessLevels: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
}
