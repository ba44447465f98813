import BasculeModel
import BasculeNet
import Synchronization

/// Whether services serve.
enum ProbeKeeper {
    /// Seconds that an observation waits for an answer: a service that takes longer does not serve its customers.
    static let patience = 2.0

    /// Asks once. Never throws: what hinders asking is why it does not serve.
    static func observe(_ spec: ProbeSpec, _ context: NodeContext, seconds: Double = patience) -> ProbeObserved {
        do {
            return ProbeObserved(serves: true, detail: brief(try ask(spec.check, context, .seconds(seconds), seconds)))
        } catch {
            let known = BasculeError.wrapping(error, "no answer")
            let cause = known.cause.map { ": \($0)" } ?? ""
            return ProbeObserved(serves: false, detail: brief(known.message + cause))
        }
    }

    /// Waits until the service serves.
    /// - Throws: `does-not-serve` with the last reason and the unit's last lines.
    static func apply(_ spec: ProbeSpec, _ context: NodeContext) throws {
        let deadline = Deadline.seconds(Double(spec.timeout))
        var pause = Duration.milliseconds(50)
        while true {
            let seen = observe(spec, context)
            if seen.serves { return }
            if deadline.passed || context.isCancelled() { throw failure(spec, seen.detail) }
            context.progress("\(spec.name) does not serve yet: \(seen.detail)")
            Monotonic.sleep(min(pause, deadline.remaining))
            pause = min(pause * 2, .seconds(1))
        }
    }

    private static func failure(_ spec: ProbeSpec, _ reason: String) -> BasculeError {
        BasculeError(
            .doesNotServe, "\(spec.name) does not serve after \(spec.timeout) s: \(reason)",
            cause: spec.unit.flatMap { Systemctl.journal($0, lines: 5) },
            hint: spec.unit.map { "`journalctl -u \($0)` on the node has more" } ?? "look at the node's journal")
    }

    /// One line without control characters: it may come from a stranger.
    private static func brief(_ text: String) -> String {
        String(text.prefix(200).map { $0.isNewline || $0.unicodeScalars.contains { $0.value < 32 } ? " " : $0 })
    }

    private static func ask(
        _ check: ProbeSpec.Check, _ context: NodeContext, _ deadline: Deadline, _ seconds: Double
    ) throws -> String {
        switch check {
        case .http(let url, let host, let wanted):
            let status = try HealthProbe.status(of: url, host: host, deadline: deadline)
            guard wanted.map({ $0 == status }) ?? (200..<300).contains(status) else {
                throw BasculeError(.doesNotServe, "status \(status), not \(wanted.map { "\($0)" } ?? "2xx")")
            }
            return "status \(status)"
        case .dialogue(let host, let port, let exchanges):
            return try converse(host, port, exchanges, context, deadline)
        case .postgres(let server, let database, let user, let password):
            let secret = try password.map { try context.resolve($0) }
            let session = try PostgresSession(
                server, database: database, user: user, password: secret, seconds: seconds)
            guard try session.query("SELECT 1", seconds: seconds) == [["1"]] else {
                throw BasculeError(.doesNotServe, "SELECT 1 has another answer")
            }
            return "answers a query"
        case .command(let argv, let user):
            let outcome = try Subprocess.run(argv, .init(user: user, deadline: .seconds(seconds)))
            guard outcome.status == 0 else {
                throw BasculeError(.doesNotServe, "status \(outcome.status)", cause: outcome.cause(lines: 2))
            }
            return "status 0"
        }
    }

    private static func converse(
        _ host: String, _ port: Int, _ exchanges: [ProbeSpec.Exchange], _ context: NodeContext, _ deadline: Deadline
    ) throws -> String {
        guard let number = UInt16(exactly: port) else { throw BasculeError(.invalidInput, "no such port: \(port)") }
        let endpoint: Endpoint = host.hasPrefix("/") ? .unix(path: host) : .host(host, port: number)
        let stream = try TCPStream.connect(to: endpoint, deadline: deadline)
        defer { stream.close() }
        for exchange in exchanges {
            if let send = exchange.send {
                guard let bytes = try send.filled(context.resolve) else {
                    throw BasculeError(.invalidInput, "a probe cannot send an uploaded file")
                }
                try stream.write(bytes, deadline: deadline)
            }
            var answer: [UInt8] = []
            let wanted = Array(exchange.expect.utf8)
            while !contains(answer, wanted) {
                guard answer.count < 64 << 10 else { throw BasculeError(.tooMuchData, "an endless answer") }
                let more: [UInt8]
                do { more = try stream.read(max: 4096, deadline: deadline) } catch { throw unexpected(answer, error) }
                guard !more.isEmpty else { throw unexpected(answer, nil) }
                answer += more
            }
        }
        return exchanges.isEmpty ? "accepts connections" : "answers"
    }

    private static func unexpected(_ answer: [UInt8], _ error: (any Error)?) -> any Error {
        guard !answer.isEmpty else {
            return error ?? BasculeError(.connectionClosed, "the connection closed without an answer")
        }
        let said = String(decoding: answer.prefix(120), as: UTF8.self)
        return BasculeError(.doesNotServe, "another answer than expected: \(said)")
    }

    private static func contains(_ bytes: [UInt8], _ wanted: [UInt8]) -> Bool {
        guard bytes.count >= wanted.count else { return false }
        return (0...(bytes.count - wanted.count)).contains { bytes[$0...].starts(with: wanted) }
    }
}

/// The probes of one observation: all are asked at once, each on a thread of its own, so that one that hangs holds up
/// no other.
final class ProbeRound: Sendable {
    private let answers: [ProbeSpec: Question]

    private final class Question: Sendable {
        let answer = Mutex<ProbeObserved?>(nil)
        let worker: Mutex<Worker?>

        init(_ spec: ProbeSpec, _ context: NodeContext) {
            worker = Mutex(nil)
            worker.withLock { worker in
                worker = Worker { [self] in
                    let seen = ProbeKeeper.observe(spec, context)
                    answer.withLock { $0 = seen }
                }
            }
        }

        /// Waits for the answer; joins the thread once.
        func wait() -> ProbeObserved? {
            worker.withLock { worker in
                worker?.join()
                worker = nil
            }
            return answer.withLock { $0 }
        }
    }

    /// Begins to ask.
    init(_ resources: [Resource], _ context: NodeContext) {
        let specs = resources.compactMap { if case .probe(let spec) = $0 { spec } else { nil } }
        answers = Dictionary(Set(specs).map { ($0, Question($0, context)) }, uniquingKeysWith: { first, _ in first })
    }

    deinit { for question in answers.values { _ = question.wait() } }

    /// The answer, once it is there.
    func answer(_ spec: ProbeSpec) -> ProbeObserved {
        answers[spec]?.wait() ?? ProbeObserved(serves: false, detail: "it was not asked")
    }
}
