/// A line that an app wrote.
struct AppLine {
    /// Seconds since 1970.
    var time: Double
    var app: String
    /// Lines of one process follow each other; those of several are mixed.
    var process: String
    /// As syslog has it: 3 and less are errors by the app's own word.
    var priority: Int
    var text: String
}

/// An error as it was found.
struct FoundError: Equatable {
    var app: String
    var time: Double
    var type: String
    var message: String
    /// Raw, innermost first.
    var frames: [String]
    /// As written.
    var lines: [String]
}

/// Finds errors in the lines of apps: stack traces of Node.js and Python, JSON logs (pino, bunyan, winston), and lines
/// that are nothing but an error's class and message.
struct ErrorReader {
    private struct Trace {
        var time: Double
        var lines: [String]
        var frames: [String] = []
        var isPython = false
    }

    private struct Stream {
        var app: String
        /// What was written last and belongs to no trace; a header may be among it.
        var recent: [String] = []
        var trace: Trace?
        /// A header whose frames may follow, and how many lines have passed since.
        var header: (time: Double, text: String, age: Int)?
    }

    private var streams: [String: Stream] = [:]
    private var found: [FoundError] = []

    private static let recentLines = 6
    private static let traceLines = 100

    /// The errors that are complete.
    mutating func take(_ line: AppLine) -> [FoundError] {
        var stream = streams[line.process] ?? Stream(app: line.app)
        for text in line.text.split(separator: "\n", omittingEmptySubsequences: true).prefix(Self.traceLines) {
            read(String(text.prefix(4000)), line, &stream)
        }
        streams[line.process] = stream
        defer { found = [] }
        return found
    }

    /// What was still open at the end.
    mutating func end() -> [FoundError] {
        for key in streams.keys.sorted() {
            guard var stream = streams[key] else { continue }
            finish(&stream)
        }
        streams = [:]
        defer { found = [] }
        return found
    }

    private mutating func read(_ text: String, _ line: AppLine, _ stream: inout Stream) {
        if var trace = stream.trace {
            if trace.lines.count < Self.traceLines { trace.lines.append(text) }
            let isIndented = text.first == " " || text.first == "\t"
            if trace.isPython {
                if isIndented, text.drop(while: { $0 == " " }).hasPrefix("File \"") { trace.frames.insert(text, at: 0) }
                stream.trace = trace
                // The line after the frames says what it was.
                if !isIndented { finish(&stream) }
                return
            }
            if ErrorFrame.isJavaScript(text) {
                if trace.frames.count < Self.traceLines { trace.frames.append(text) }
                stream.trace = trace
                return
            }
            if isIndented || text == "}" || text.hasPrefix("} ") {
                stream.trace = trace
                return
            }
            finish(&stream)
        }
        if text.hasPrefix("Traceback (most recent call last)") {
            finish(&stream)
            stream.trace = Trace(time: line.time, lines: [text], isPython: true)
        } else if ErrorFrame.isJavaScript(text) {
            let start = stream.recent.lastIndex { ErrorHeader($0) != nil } ?? max(0, stream.recent.count - 1)
            let time = stream.header?.time ?? line.time
            stream.header = nil
            stream.trace = Trace(time: time, lines: stream.recent[start...] + [text], frames: [text])
            stream.recent = []
        } else if let error = JSONLog.error(text, line) {
            finish(&stream)
            found.append(error)
        } else {
            if ErrorHeader(whole: text) != nil {
                finish(&stream)
                stream.header = (line.time, text, 0)
            } else if stream.header != nil {
                stream.header?.age += 1
                if (stream.header?.age ?? 0) >= Self.recentLines - 1 { finish(&stream) }
            } else if line.priority <= 3 {
                found.append(
                    FoundError(app: line.app, time: line.time, type: "log", message: text, frames: [], lines: [text]))
            }
            stream.recent.append(text)
            if stream.recent.count > Self.recentLines { stream.recent.removeFirst() }
        }
    }

    private mutating func finish(_ stream: inout Stream) {
        if let trace = stream.trace {
            let first = trace.isPython ? trace.lines.last ?? "" : trace.lines.first ?? ""
            let header = ErrorHeader(first) ?? ErrorHeader(loose: first)
            let message = trace.isPython ? header.message : whole(header.message, trace)
            found.append(
                FoundError(
                    app: stream.app, time: trace.time, type: header.type, message: message, frames: trace.frames,
                    lines: trace.lines))
        } else if let header = stream.header, let read = ErrorHeader(whole: header.text) {
            found.append(
                FoundError(
                    app: stream.app, time: header.time, type: read.type, message: read.message, frames: [],
                    lines: [header.text]))
        }
        (stream.trace, stream.header) = (nil, nil)
    }

    /// A message may have several lines before the first frame.
    private func whole(_ message: String, _ trace: Trace) -> String {
        let more = trace.lines.dropFirst().prefix { !ErrorFrame.isJavaScript($0) }
        return ([message] + more).joined(separator: " ")
    }
}

/// `TypeError: Cannot read …`, `Error [ERR_X]: …`, also after other words.
struct ErrorHeader {
    var type: String
    var message: String

    /// nil where no word of the line is an error's class.
    init?(_ line: String) {
        var rest = line[...]
        while let word = Self.nextClass(&rest) {
            (type, message) = (word, Self.message(rest))
            return
        }
        return nil
    }

    /// nil where the line does not begin with an error's class and go on with a colon or end.
    init?(whole line: String) {
        var rest = line[...]
        for prefix in ["Uncaught ", "UnhandledPromiseRejectionWarning: "] where rest.hasPrefix(prefix) {
            rest = rest.dropFirst(prefix.count)
        }
        let word = rest.prefix { Self.isPart($0) }
        guard Self.isClass(word) else { return nil }
        let tail = rest[word.endIndex...]
        guard tail.isEmpty || tail.hasPrefix(":") || tail.hasPrefix(" [") else { return nil }
        (type, message) = (String(word), Self.message(tail))
    }

    /// Whatever the line is: `error: relation …` of PostgreSQL's driver, or a message without a class.
    init(loose line: String) {
        let word = line.prefix { Self.isPart($0) }
        guard line[word.endIndex...].hasPrefix(": "), !word.isEmpty else {
            (type, message) = ("Error", line)
            return
        }
        (type, message) = (String(word), Self.message(line[word.endIndex...]))
    }

    private static func isPart(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "_$.".contains(character))
    }

    private static func isClass(_ word: Substring) -> Bool {
        let name = word.split(separator: ".").last ?? word
        guard let first = name.first, first.isUppercase else { return false }
        return name.hasSuffix("Error") || name.hasSuffix("Exception")
    }

    private static func nextClass(_ rest: inout Substring) -> String? {
        while let start = rest.firstIndex(where: isPart) {
            let word = rest[start...].prefix { isPart($0) }
            rest = rest[word.endIndex...]
            if isClass(word), rest.isEmpty || rest.hasPrefix(":") || rest.hasPrefix(" [") { return String(word) }
        }
        return nil
    }

    /// What follows the class: without `[CODE]` and the colon.
    private static func message(_ tail: Substring) -> String {
        var tail = tail
        if tail.hasPrefix(" ["), let end = tail.firstIndex(of: "]") { tail = tail[tail.index(after: end)...] }
        if tail.hasPrefix(":") { tail = tail.dropFirst() }
        return String(tail.drop { $0 == " " })
    }
}
