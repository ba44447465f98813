import BasculeModel
import Synchronization

/// One connection to a server, used by one request at a time.
final class HTTPConnection: Sendable {
    let stream: any ByteStream
    let socket: TCPStream
    private let state: Mutex<State>

    private struct State {
        var connected: Double?
        var hasAnswered = false
        var canContinue = false
    }

    /// `socket` is what carries `stream`, or the same.
    init(stream: any ByteStream, socket: TCPStream) {
        self.stream = stream
        self.socket = socket
        state = Mutex(State())
    }

    /// Whether a byte of the current request's answer has come.
    var hasAnswered: Bool { state.withLock(\.hasAnswered) }
    /// Whether another request can follow.
    var canContinue: Bool { state.withLock(\.canContinue) }

    /// Prepares for another request.
    func reuse() { state.withLock { $0 = State(connected: 0) } }

    func exchange(
        _ request: HTTPRequest, _ bytes: [UInt8], limits: HTTPParser.Limits, started: UInt64, deadline: Deadline
    ) throws -> HTTPResponse {
        var timing = HTTPTiming()
        timing.connect = state.withLock(\.connected) ?? Monotonic.milliseconds(since: started)
        do {
            try stream.write(bytes, deadline: deadline)
        } catch let error as BasculeError where error.code == .connectionClosed {
            // A server may answer (413, 503) and close before it has read everything: its answer counts.
        }
        var parser = HTTPParser(method: request.method, limits: limits)
        while !parser.isDone {
            let part = try stream.read(max: 64 << 10, deadline: deadline)
            if part.isEmpty {
                try parser.end()
            } else {
                if timing.firstByte == 0 {
                    timing.firstByte = Monotonic.milliseconds(since: started)
                    state.withLock { $0.hasAnswered = true }
                }
                try parser.feed(part)
            }
        }
        timing.total = Monotonic.milliseconds(since: started)
        let keeps = parser.keepsAlive
        state.withLock { $0.canContinue = keeps }
        return HTTPResponse(
            status: parser.status, headers: parser.headers, body: parser.body, timing: timing, url: request.url,
            address: socket.address)
    }
}
