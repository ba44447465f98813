import BasculeModel

/// Reads one answer from bytes as they come, in pieces of any size. Pure: no clock, no input or output.
struct HTTPParser {
    /// What an answer may cost at most.
    struct Limits {
        /// All heads (interim answers too) and trailers, in bytes.
        var head = 64 << 10
        var body: Int
    }

    private(set) var status = 0
    private(set) var headers = HTTPHeaders()
    private(set) var body: [UInt8] = []
    /// Whether the connection can carry another request afterwards.
    private(set) var keepsAlive = false
    private(set) var isDone = false

    private enum State {
        case head
        case fixed(Int)
        case untilClose, chunkSize
        case chunk(Int)
        case chunkEnd, trailers, done
    }
    private var state = State.head
    private var buffer: [UInt8] = []
    private var position = 0
    private var headBytes = 0
    private let isHead: Bool
    private let limits: Limits

    init(method: String, limits: Limits) {
        isHead = method == "HEAD"
        self.limits = limits
    }

    /// Takes more bytes. Bytes after the end make the connection unusable for another request.
    /// Errors: `protocol-violation`, `too-much-data`.
    mutating func feed(_ bytes: some Sequence<UInt8>) throws {
        buffer += bytes
        while !isDone, try step() {}
        if isDone, position < buffer.count { keepsAlive = false }
        buffer.removeFirst(position)
        position = 0
    }

    /// The peer has ended its side: either that is the end of the body, or something is missing.
    /// Error: `connection-closed`.
    mutating func end() throws {
        if case .untilClose = state { isDone = true }
        guard isDone else {
            throw BasculeError(.connectionClosed, "The server closed before its answer was complete")
        }
    }

    /// One step; false if it needs more bytes.
    private mutating func step() throws -> Bool {
        switch state {
        case .head: return try takeHead()
        case .fixed(let left): return try takeBody(left) { $0 == 0 ? .done : .fixed($0) }
        case .untilClose: return try takeBody(.max) { _ in .untilClose }
        case .chunk(let left): return try takeBody(left) { $0 == 0 ? .chunkEnd : .chunk($0) }
        case .chunkEnd:
            guard let line = try takeLine() else { return false }
            guard line.isEmpty else { throw violation("a chunk is longer than announced") }
            state = .chunkSize
        case .chunkSize:
            guard let line = try takeLine() else { return false }
            let digits = line.prefix { $0 != ";" }.trimmed
            guard digits.utf8.count <= 15, !digits.hasPrefix("+"), !digits.hasPrefix("-"),
                let size = Int(digits, radix: 16)
            else { throw violation("a chunk has no size") }
            state = size == 0 ? .trailers : .chunk(size)
        case .trailers:
            guard let line = try takeLine() else { return false }
            if line.isEmpty { finish() }
        case .done: return false
        }
        return !isDone
    }

    private mutating func takeBody(_ left: Int, next: (Int) -> State) throws -> Bool {
        let count = min(left, buffer.count - position)
        guard count > 0 else { return false }
        guard body.count + count <= limits.body else {
            throw BasculeError(.tooMuchData, "The answer is longer than \(limits.body) bytes")
        }
        body += buffer[position..<position + count]
        position += count
        let following = next(left - count)
        if case .done = following { finish() } else { state = following }
        return true
    }

    private mutating func finish() {
        state = .done
        isDone = true
    }

    /// A line without its end, counted against the head's limit.
    private mutating func takeLine() throws -> String? {
        guard let end = buffer[position...].firstIndex(of: 10) else {
            guard headBytes + buffer.count - position <= limits.head else { throw tooLongHead() }
            return nil
        }
        headBytes += end + 1 - position
        guard headBytes <= limits.head else { throw tooLongHead() }
        let line = buffer[position..<end]
        position = end + 1
        return String(decoding: line.last == 13 ? line.dropLast() : line, as: UTF8.self)
    }

    private mutating func takeHead() throws -> Bool {
        guard let line = try takeLine() else { return false }
        if status == 0 {
            try takeStatus(line)
        } else if line.isEmpty {
            try beginBody()
        } else {
            guard let colon = line.firstIndex(of: ":"), colon > line.startIndex, !line.contains("\0"),
                line[..<colon].utf8.allSatisfy({ $0 > 32 && $0 < 127 })
            else { throw violation("a header line is broken") }
            headers.add(String(line[..<colon]), line[line.index(after: colon)...].trimmed)
        }
        return true
    }

    private mutating func takeStatus(_ line: String) throws {
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[0] == "HTTP/1.1" || parts[0] == "HTTP/1.0", parts[1].utf8.count == 3,
            let code = Int(parts[1]), code >= 100, code < 600
        else { throw violation("it does not begin with an HTTP/1 status line") }
        status = code
        keepsAlive = parts[0] == "HTTP/1.1"
    }

    private mutating func beginBody() throws {
        if status < 200, status != 101 {
            // An interim answer: the real one follows.
            status = 0
            headers = HTTPHeaders()
            return
        }
        if headers.has("close", in: "Connection") { keepsAlive = false }
        if headers.has("keep-alive", in: "Connection") { keepsAlive = true }
        if isHead || status == 204 || status == 304 || status == 101 { return finish() }
        let lengths = Set(headers.all("Content-Length"))
        let codings = headers.all("Transfer-Encoding").map { $0.lowercased() }
        if !codings.isEmpty {
            // Both at once is how answers are smuggled: refuse instead of guessing.
            guard codings == ["chunked"], lengths.isEmpty else { throw violation("its length is ambiguous") }
            state = .chunkSize
        } else if let text = lengths.first {
            guard lengths.count == 1, !text.isEmpty, text.utf8.count <= 18,
                text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let length = Int(text)
            else { throw violation("its length is ambiguous") }
            guard length <= limits.body else {
                throw BasculeError(
                    .tooMuchData, "The answer would be \(length) bytes long, and \(limits.body) are allowed")
            }
            if length == 0 { finish() } else { state = .fixed(length) }
        } else {
            keepsAlive = false
            state = .untilClose
        }
    }

    private func violation(_ reason: String) -> BasculeError {
        BasculeError(.protocolViolation, "The answer is not proper HTTP: \(reason)")
    }

    private func tooLongHead() -> BasculeError {
        BasculeError(.tooMuchData, "The head of the answer is longer than \(limits.head) bytes")
    }
}
