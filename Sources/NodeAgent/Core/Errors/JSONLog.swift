import FoundationEssentials

/// Errors in logs of one JSON object a line: pino, bunyan, winston and their like.
enum JSONLog {
    /// nil where the line is no such thing, or tells of no error.
    static func error(_ text: String, _ line: AppLine) -> FoundError? {
        guard text.first == "{", text.last == "}",
            let entry = try? JSONDecoder().decode(Entry.self, from: Data(text.utf8)),
            entry.isError
        else { return nil }
        let stack = (entry.inner?.stack ?? entry.stack)?.split(separator: "\n").map(String.init) ?? []
        let header = stack.first.map { ErrorHeader($0) ?? ErrorHeader(loose: $0) }
        let said = entry.msg ?? entry.message ?? ""
        return FoundError(
            app: line.app, time: line.time, type: entry.inner?.type ?? entry.inner?.name ?? header?.type ?? "log",
            message: entry.inner?.message ?? header?.message ?? said,
            frames: stack.filter(ErrorFrame.isJavaScript),
            lines: [said].filter { !$0.isEmpty } + (stack.isEmpty ? [text] : stack))
    }

    private struct Inner: Decodable {
        var type: String?
        var name: String?
        var message: String?
        var stack: String?
    }

    /// Keys of other types than these are as if they were absent.
    private struct Entry: Decodable {
        enum Key: String, CodingKey { case level, severity, msg, message, stack, err, error }
        var isError = false
        var msg: String?
        var message: String?
        var stack: String?
        var inner: Inner?

        init(from decoder: any Decoder) throws {
            let box = try decoder.container(keyedBy: Key.self)
            func text(_ key: Key) -> String? { (try? box.decodeIfPresent(String.self, forKey: key)) ?? nil }
            (msg, message, stack) = (text(.msg), text(.message), text(.stack))
            inner =
                ((try? box.decodeIfPresent(Inner.self, forKey: .err)) ?? nil)
                ?? ((try? box.decodeIfPresent(Inner.self, forKey: .error)) ?? nil)
            if inner == nil, let plain = text(.error) ?? text(.err) { inner = Inner(message: plain) }
            let number = ((try? box.decodeIfPresent(Double.self, forKey: .level)) ?? nil) ?? 0
            let word = (text(.level) ?? text(.severity) ?? "").lowercased()
            // pino and bunyan: 50 is error, 60 fatal.
            isError = number >= 50 || ["error", "fatal", "critical", "emerg", "alert", "crit"].contains(word)
        }
    }
}
