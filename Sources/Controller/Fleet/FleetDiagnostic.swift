import BasculeModel

/// An error or a warning with the line that it is about.
package struct FleetDiagnostic: Sendable, Hashable {
    package enum Severity: String, Sendable, Hashable { case error, warning }
    package var severity: Severity
    /// Its place is always a `.file`.
    package var error: BasculeError
    /// The line's text, without its line feed: at most 160 characters around the column, secrets masked.
    package var sourceLine: String
    /// Counts from 1, in Unicode scalars of the whole line.
    package var column: Int
    /// How many characters the mark covers; at least 1.
    package var length: Int
    /// Where the mark starts in `sourceLine`, from 0.
    package var caret: Int

    /// Lines for people: place and message, the source line, a mark under it, the hint; no line feed at the end.
    ///
    ///     fleet.yaml:7:5: error: unknown key 'prot' in 'nodes.vps1'
    ///        7 |     prot: 22
    ///          |     ^~~~
    ///          = hint: did you mean 'port'?
    package func render(color: Bool = false) -> String {
        func paint(_ text: String, _ code: String) -> String { color ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text }
        let tint = severity == .error ? "1;31" : "1;33"
        let place = error.place.map { "\($0): " } ?? ""
        var text = paint(place, "1") + paint("\(severity.rawValue): ", tint) + paint(error.message, "1")
        if case .file(_, let line, _)? = error.place, !sourceLine.isEmpty {
            let number = "\(line)"
            let gutter = String(repeating: " ", count: max(4, number.count))
            let label = String(repeating: " ", count: max(0, 4 - number.count)) + number
            // Tabs are kept, so that the mark stands under its text however wide they are.
            let indent = sourceLine.unicodeScalars.prefix(caret).map { $0 == "\t" ? "\t" : " " }.joined()
            let width = max(1, min(length, sourceLine.unicodeScalars.count - caret))
            let mark = "^" + String(repeating: "~", count: width - 1)
            text +=
                "\n\(paint(label + " |", "34")) \(sourceLine)"
                + "\n\(paint(gutter + " |", "34")) \(indent)\(paint(mark, tint))"
            if let cause = error.cause { text += "\n\(paint(gutter + " =", "34")) cause: \(cause)" }
            if let hint = error.hint { text += "\n\(paint(gutter + " =", "34")) hint: \(hint)" }
        } else {
            if let cause = error.cause { text += "\n  cause: \(cause)" }
            if let hint = error.hint { text += "\n  hint: \(hint)" }
        }
        return text
    }
}
