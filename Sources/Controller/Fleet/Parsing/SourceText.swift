/// The text of a file by lines, and what of it must not be shown.
struct SourceText {
    let path: String
    private let lines: [Substring]
    private var hidden: [Int: [Range<Int>]] = [:]

    init(text: String, path: String) {
        self.path = path
        lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" || $0 == "\r" }
    }

    /// Keeps a span's characters out of every diagnostic.
    mutating func hide(_ span: Span) {
        for line in span.start.line...max(span.start.line, span.end.line) {
            let from = line == span.start.line ? span.start.column : 1
            let until = line == span.end.line ? span.end.column : Int.max
            if from < until { hidden[line, default: []].append(from..<until) }
        }
    }

    /// At most 160 characters of a line around a column, secrets masked, and where the column is in them.
    func excerpt(line: Int, column: Int) -> (text: String, caret: Int) {
        guard lines.indices.contains(line - 1) else { return ("", 0) }
        let whole = lines[line - 1].unicodeScalars
        let first = max(0, column - 1 - (column > 140 ? 100 : column))
        var scalars = String.UnicodeScalarView()
        for (index, scalar) in whole.dropFirst(first).prefix(160).enumerated() {
            let at = first + index + 1
            let secret = hidden[line, default: []].contains { $0.contains(at) }
            scalars.append(secret ? "•" : Self.visible(scalar))
        }
        let text = Self.masked(String(scalars))
        return (first > 0 ? "…" + text : text, min(column - 1 - first, scalars.count) + (first > 0 ? 1 : 0))
    }

    /// A control character would let a file paint over the terminal.
    private static func visible(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: scalar == "\t" ? scalar : "\u{fffd}"
        default: scalar
        }
    }

    /// The text with the password of every URL in it replaced, its length kept.
    static func masked(_ text: String) -> String {
        var scalars = Array(text.unicodeScalars)
        for range in passwords(in: scalars) { for index in range { scalars[index] = "•" } }
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    /// Whether the text holds a URL with a password in it.
    static func holdsPassword(_ text: String) -> Bool { !passwords(in: Array(text.unicodeScalars)).isEmpty }

    private static func passwords(in scalars: [Unicode.Scalar]) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var index = 0
        while index + 3 <= scalars.count {
            guard scalars[index] == ":", scalars[index + 1] == "/", scalars[index + 2] == "/" else {
                index += 1
                continue
            }
            var end = index + 3
            var colon: Int?
            var at: Int?
            while end < scalars.count, !scalars[end].properties.isWhitespace, scalars[end] != "\"" {
                if scalars[end] == ":", colon == nil { colon = end }
                if scalars[end] == "@" { at = end }
                if scalars[end] == "/" { break }
                end += 1
            }
            if let colon, let at, colon + 1 < at { found.append(colon + 1..<at) }
            index = end
        }
        return found
    }
}
