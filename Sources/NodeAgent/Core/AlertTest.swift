import BasculeCrypto
import BasculeModel
import BasculeNet
import BasculeProtocol
import Glibc

/// A test alert through this node's Alertmanager, proved by the answers of the administrator's channels to it.
struct AlertTest {
    let channels: [String]
    /// File that remembers the last one that arrived.
    let kept: String
    private static let manager = "http://127.0.0.1:9093"

    private struct Alert: Encodable {
        var labels: [String: String]
        var annotations: [String: String]
    }

    /// A test alert that every one of its channels has taken.
    struct Arrival: Codable {
        var channels: [String]
        /// Seconds since 1970.
        var time: Double
        /// Seconds that it took.
        var seconds: Double
    }

    /// The last one, if it went to these channels and is not older than so many seconds.
    func arrival(within fresh: Double) -> Arrival? {
        guard let last = try? DurableFile.load(Arrival.self, from: kept), Set(last.channels).isSuperset(of: channels),
            (0..<fresh).contains(WallClock.now() - last.time)
        else { return nil }
        return last
    }

    /// Returns when every channel has taken a notification. Throws `alert-undelivered`, naming those that have not.
    func run(seconds: Double) throws -> Arrival {
        // One that does not arrive outweighs those that did before.
        unlink(kept)
        let start = WallClock.monotonic()
        try deliver(seconds: seconds)
        let arrival = Arrival(channels: channels, time: WallClock.now(), seconds: WallClock.monotonic() - start)
        try DurableFile.save(arrival, to: kept)
        return arrival
    }

    private func deliver(seconds: Double) throws {
        let client = HTTPClient()
        defer { client.close() }
        let end = WallClock.monotonic() + seconds
        let before = try taken(client)
        let alert = Alert(
            labels: [
                "alertname": "TestAlert", "severity": "critical",
                "test": String(Digest(of: Array("\(WallClock.now())".utf8)).rawValue.prefix(8)),
            ],
            annotations: [
                "summary": "This is a test: alerts reach you.",
                "description": "Sent by bascule monitoring test-alert. Nothing is wrong.",
            ])
        let sent = try client.request(
            "POST", "\(Self.manager)/api/v2/alerts", headers: ["Content-Type": "application/json"],
            body: try Wire.encode([alert]), deadline: .seconds(10))
        guard sent.status == 200 else {
            throw BasculeError(
                .alertUndelivered, "Alertmanager refused the test alert with status \(sent.status)",
                cause: String(sent.text.prefix(500)))
        }
        var waiting = channels
        while true {
            let now = try taken(client)
            waiting = channels.filter { (now[$0]?.good ?? 0) <= (before[$0]?.good ?? 0) }
            if waiting.isEmpty { return }
            guard WallClock.monotonic() < end else {
                let failing = waiting.filter { (now[$0]?.failed ?? 0) > (before[$0]?.failed ?? 0) }
                throw BasculeError(
                    .alertUndelivered,
                    "no notification was taken by \(waiting.joined(separator: ", ")) within \(Int(seconds)) s",
                    cause: failing.isEmpty ? nil : "\(failing.joined(separator: ", ")): every attempt failed",
                    hint: "journalctl -u prometheus-alertmanager on the node says why")
            }
            usleep(300_000)
        }
    }

    /// Requests to each channel, by their end.
    private func taken(_ client: HTTPClient) throws -> [String: (good: Double, failed: Double)] {
        let answer = try client.request("GET", "\(Self.manager)/metrics", deadline: .seconds(10))
        return Self.requests(answer.text)
    }

    static func requests(_ metrics: String) -> [String: (good: Double, failed: Double)] {
        var found: [String: (good: Double, failed: Double)] = [:]
        for line in metrics.split(separator: "\n") {
            let isFailed = line.hasPrefix("alertmanager_notification_requests_failed_total{")
            guard isFailed || line.hasPrefix("alertmanager_notification_requests_total{"),
                let start = line.firstRange(of: "integration=\""), let value = line.split(separator: " ").last,
                let count = Double(value)
            else { continue }
            let name = String(line[start.upperBound...].prefix { $0 != "\"" })
            found[name, default: (0, 0)].good += isFailed ? -count : count
            if isFailed { found[name, default: (0, 0)].failed += count }
        }
        return found
    }
}

extension SegmentPerformer {
    /// The gate before the freeze: whoever has to be told of what goes wrong can be.
    func testAlert(_ channels: [String], _ fresh: Double) async -> StepResult {
        let test = AlertTest(channels: channels, kept: services.paths.testAlert)
        var proof = evidence(
            "test alert", "", threshold: "taken by \(channels.joined(separator: " and "))", passed: true)
        do {
            let known = test.arrival(within: fresh)
            let arrival: AlertTest.Arrival
            if let known {
                arrival = known
            } else {
                // One that takes longer than it counts would be no proof.
                arrival = try await Blocking.run { try test.run(seconds: min(60, fresh)) }
            }
            proof.value = "taken after \(Double(Int(arrival.seconds * 10)) / 10) s"
            (proof.time, proof.expires) = (arrival.time, arrival.time + fresh)
            (proof.measure, proof.unit) = (arrival.seconds, "s")
            return StepResult(known == nil ? .done : .satisfied, proof.value, evidence: [proof])
        } catch {
            let failure = BasculeError.wrapping(error, "the test alert did not arrive")
            (proof.value, proof.passed) = (failure.message, false)
            return StepResult(.failed, failure.message, error: failure, evidence: [proof])
        }
    }
}

extension ErrorCode {
    /// A channel of the administrator's took no notification.
    package static let alertUndelivered: ErrorCode = "alert-undelivered"
}
