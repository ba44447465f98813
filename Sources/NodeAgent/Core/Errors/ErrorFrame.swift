/// Lines of stack traces.
enum ErrorFrame {
    /// `    at f (/a/b.js:1:2)`, `    at /a/b.js:1:2`.
    static func isJavaScript(_ line: String) -> Bool {
        guard let first = line.first, first == " " || first == "\t" else { return false }
        let text = line.drop { $0 == " " || $0 == "\t" }
        // A place ends in a number or a bracket: prose that happens to begin with "at" does not.
        return text.hasPrefix("at ") && (text.hasSuffix(")") || text.last?.isNumber == true || text.hasSuffix(") {"))
    }

    /// Function and file, the same in every release: `f server.js`.
    static func normalised(_ line: String) -> String {
        var text = line.drop { $0 == " " || $0 == "\t" }
        if text.hasPrefix("File \"") {
            // Python: File "/a/b.py", line 3, in f
            let path = text.dropFirst(6).prefix { $0 != "\"" }
            let function = text.firstRange(of: ", in ").map { text[$0.upperBound...] } ?? ""
            return String("\(function) \(short(path))".prefix(200))
        }
        if text.hasPrefix("at ") { text = text.dropFirst(3) }
        // The last frame of an error with properties opens their braces.
        if text.hasSuffix(" {") { text = text.dropLast(2) }
        if text.hasPrefix("async ") { text = text.dropFirst(6) }
        if let open = text.lastIndex(of: "("), text.hasSuffix(")") {
            let name = text[..<open].split(separator: " ").joined(separator: " ")
            return String("\(name) \(short(text[text.index(after: open)...].dropLast()))".prefix(200))
        }
        return String(short(text).prefix(200))
    }

    /// The frames that tell one error from another, innermost first: the app's own, or any where there are none.
    static func telling(_ lines: [String]) -> [String] {
        let all = lines.prefix(50).map(normalised)
        let own = all.filter {
            !$0.contains("node_modules") && !$0.contains("node:") && !$0.contains("/usr/")
                && !$0.contains("<anonymous>")
        }
        return Array((own.isEmpty ? all : own).prefix(5))
    }

    /// Without the release's folder, line and column.
    private static func short(_ place: Substring) -> Substring {
        var path = place.hasPrefix("file://") ? place.dropFirst(7) : place
        for _ in 0..<2 {
            guard let colon = path.lastIndex(of: ":"), path[path.index(after: colon)...].allSatisfy(\.isNumber) else {
                break
            }
            path = path[..<colon]
        }
        guard path.hasPrefix("/srv/apps/") else { return path }
        // /srv/apps/NAME/releases/HASH/app/… and /srv/apps/NAME/current/app/…
        if let app = path.firstRange(of: "/app/") { return path[app.upperBound...] }
        return path
    }
}
