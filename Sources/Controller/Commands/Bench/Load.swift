import BasculeModel
import BasculeNet
import Synchronization

/// A bounded load of GET requests: so many at a time, for so long, and no faster than was asked for.
struct Load: Sendable {
    var urls: [String]
    var seconds: Double
    var concurrency: Int
    /// Requests a second at most; nil for as fast as the answers come.
    var rate: Double?
    var trust = TLSTrust.systemStore
    /// Connects here whatever the URL says.
    var connectTo: Endpoint?
    /// Seconds that one answer may take.
    var timeout = 10.0

    /// What came of it.
    struct Result: Sendable, Equatable {
        /// Milliseconds of answers below 400.
        var good: [Double] = []
        var serverErrors = 0
        var unanswered = 0
        var limited = 0
        var refused = 0
        /// From the first request to the last answer.
        var seconds = 0.0
        /// Why the last request that had no answer had none.
        var reason: String?

        var requests: Int { good.count + serverErrors + unanswered + limited + refused }

        mutating func add(_ other: Result) {
            good += other.good
            serverErrors += other.serverErrors
            unanswered += other.unanswered
            limited += other.limited
            refused += other.refused
            reason = other.reason ?? reason
        }

        mutating func note(_ status: Int, _ milliseconds: Double) {
            switch status {
            case 429: limited += 1
            case ..<400: good.append(milliseconds)
            case ..<500: refused += 1
            default: serverErrors += 1
            }
        }
    }

    private func client() -> HTTPClient { HTTPClient(.init(trust: trust, connectTo: connectTo)) }

    /// Asks each URL once: what is not there need not be measured.
    func check() throws {
        let client = client()
        defer { client.close() }
        for url in urls {
            let answer = try client.request("GET", url, deadline: .seconds(timeout))
            guard answer.status < 400 else {
                throw BasculeError(
                    .invalidInput, "\(url) answers \(answer.status)",
                    hint: "measure a page that customers get without logging in")
            }
        }
    }

    /// Blocks the calling thread until it is over.
    func run() -> Result {
        let total = Mutex(Result())
        let turn = Atomic(0)
        let begin = Monotonic.now()
        let end = Deadline.seconds(seconds)
        let workers = (0..<concurrency).map { _ in
            Worker { [self] in
                let own = work(turn: { turn.add(1, ordering: .relaxed).oldValue }, from: begin, until: end)
                total.withLock { $0.add(own) }
            }
        }
        workers.forEach { $0.join() }
        var result = total.withLock { $0 }
        result.seconds = Monotonic.milliseconds(since: begin) / 1000
        return result
    }

    private func work(turn: () -> Int, from begin: UInt64, until end: Deadline) -> Result {
        var result = Result()
        let client = client()
        defer { client.close() }
        while !end.passed {
            let number = turn()
            if let rate {
                let due = Double(number) / rate - Monotonic.milliseconds(since: begin) / 1000
                if due > 0 { Monotonic.sleep(min(.seconds(due), end.remaining)) }
                if end.passed { break }
            }
            do {
                let answer = try client.request("GET", urls[number % urls.count], deadline: .seconds(timeout))
                result.note(answer.status, answer.timing.total)
            } catch {
                result.unanswered += 1
                result.reason = BasculeError.wrapping(error, "no answer").message
                // A closed port answers at once: that is no reason to spin.
                Monotonic.sleep(.milliseconds(20))
            }
        }
        return result
    }
}
