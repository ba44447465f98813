import BasculeModel
import Foundation
import Testing

@testable import BasculeNet

@Suite struct SyntheticCustomerTests {
    static let ping = """
        {"name": "ping", "servedBy": "X-Served-By", "record": ["order"], "steps": [
          {"name": "open", "request": {"path": "/login"}, "capture": {"t": {"after": "value=\\"", "before": "\\""}}},
          {"name": "enter", "request": {"path": "/login", "form": {"csrf": "{{t}}", "user": "p", "password": "p&ss=1"}}},
          {"name": "write", "write": true, "request": {"path": "/orders", "json": {"product": 7, "quantity": 2}},
           "capture": {"order": {"json": "order.id"}}}]}
        """
    static let look =
        #"{"name": "look", "servedBy": "X-Served-By", "steps": [{"name": "list", "request": {"path": "/products"}}]}"#

    /// A real move: old and new shop on two addresses, a real BIND with a TTL of 1 s, a maintenance page between.
    @Test func measuresARealMove() throws {
        let dns = try NameServer()
        let scratch = try Scratch()
        let old = try serve(scratch, "shop", "127.0.0.1", "0", "old")
        let new = try serve(scratch, "shop", "127.0.0.2", "\(old.port)", "new")
        let (www, zone) = (try DNSName("www.shop.test"), try DNSName("shop.test"))
        let key = try TSIGKey(name: "mover", base64: Secret(NameServer.secret))
        let addresses = try ["192.0.2.10", "127.0.0.1", "127.0.0.2"].map { try #require(IPAddress($0)) }
        func move(_ from: Int, _ to: Int) throws {
            let update = try DNSUpdate.replaceAddresses(
                of: www, zone: zone, from: [addresses[from]], to: [addresses[to]], ttl: 1)
            try dns.client.update(update, key: key, hmacSHA256: hmacSHA256, now: wallClock(), deadline: .seconds(5))
        }
        func admin(_ address: String, _ body: String) throws {
            _ = try HTTPClient().request(
                "POST", "http://\(address):\(old.port)/admin", body: Array(body.utf8), deadline: .seconds(5))
        }
        try move(0, 1)

        let record = try CustomerRecord(path: scratch.path + "/customer.jsonl")
        let customer = SyntheticCustomer(
            target: .init(
                baseURL: "http://www.shop.test:\(old.port)", resolver: CachingResolver(dns.client, types: [.a])),
            lanes: [
                .init(journey: try journey(Self.ping), every: 0.05, timeout: 1),
                .init(journey: try journey(Self.look), every: 0.05, timeout: 1),
            ], record: record)
        let done = Results()
        let shopping = Thread {
            done.add((try? customer.run(until: .seconds(60))) != nil)
        }
        shopping.start()
        Monotonic.sleep(.milliseconds(1200))
        try admin("127.0.0.1", "down=1")
        let closed = WallClock.milliseconds()
        Monotonic.sleep(.milliseconds(700))
        try move(1, 2)
        let switched = WallClock.milliseconds()
        Monotonic.sleep(.milliseconds(2500))
        customer.stop()
        while done.good == 0, !shopping.isFinished { Monotonic.sleep(.milliseconds(10)) }
        #expect(done.good == 1)

        let attempts = try CustomerRecord.read(path: record.path)
        let report = CustomerReport(attempts, old: ["old"], new: ["new"])
        let outage = try #require(report.writeOutage)
        // The page stands 0.7 s before the switch; then the TTL of 1 s runs out; each side adds a pace.
        #expect(outage > 650 && outage < 3500, "\(report)")
        let last = try #require(report.lastOldWrite)
        let first = try #require(report.firstNewWrite)
        #expect(last < Double(closed) + 150 && first > Double(switched) - 5)
        #expect(report.readOutage > 600 && report.readOutage < 3500)
        #expect(report.longestWriteGap == outage)
        #expect(report.failed == 0 && report.unreachable == 0 && report.maintenance > 5)
        #expect(report.before.count > 10 && report.after.count > 10 && report.after.p50 > 0)
        // What the customer was told is what the two shops have.
        let told = Set(CustomerReport.captured("order", in: attempts))
        let kept = try ["127.0.0.1", "127.0.0.2"].flatMap { address in
            let text = try HTTPClient().request(
                "GET", "http://\(address):\(old.port)/orders.json", deadline: .seconds(5)
            ).body
            return try JSONDecoder().decode([String: String].self, from: Data(text)).keys
        }
        #expect(told == Set(kept) && told.count == report.acceptedWrites.values.reduce(0, +))
        #expect(new.process.isRunning)
    }

    func step(_ at: Int64, _ ok: Bool, _ system: String, write: Bool = true, ms: Double = 10) -> JourneyResult {
        let step = JourneyStepResult(
            name: "s", startedAt: at, milliseconds: ms, status: ok ? 200 : 503, ok: ok, reason: nil, write: write,
            cleanup: false, address: nil, servedBy: system)
        return JourneyResult(
            journey: "j", outcome: ok ? .ok : .maintenance, startedAt: at, milliseconds: ms, steps: [step],
            captured: [:])
    }

    @Test func computesOutagesFromTheRecord() {
        let attempts = [
            step(0, true, "old"), step(100, true, "old"), step(150, true, "old", write: false), step(200, false, "old"),
            step(300, false, "old"), step(400, true, "new", ms: 30), step(450, true, "new", write: false),
            step(500, true, "new"),
        ]
        let report = CustomerReport(attempts, old: ["old"], new: ["new"])
        #expect(report.writeOutage == 320 && report.longestWriteGap == 320)
        // A quiet time without a refused read is no outage.
        #expect(report.readOutage == 0)
        #expect(report.requests == 8 && report.maintenance == 2 && report.failed == 0)
        #expect(report.acceptedWrites == ["old": 2, "new": 2])
        #expect(report.before.count == 3 && report.after.count == 3)
        let never = CustomerReport([step(0, true, "old"), step(100, false, "old")], old: ["old"], new: ["new"])
        #expect(never.writeOutage == nil && never.longestWriteGap == 0)
        // Two systems that both take writes show as a negative outage.
        let both = CustomerReport([step(0, true, "new"), step(100, true, "old")], old: ["old"], new: ["new"])
        #expect(both.writeOutage == -100)
    }

    @Test func ranksLatencies() {
        let hundred = CustomerReport.Latencies((1...100).map(Double.init).shuffled())
        #expect(hundred.p50 == 50 && hundred.p95 == 95 && hundred.p99 == 99 && hundred.count == 100)
        let one = CustomerReport.Latencies([7])
        #expect(one.p50 == 7 && one.p99 == 7)
        #expect(CustomerReport.Latencies([]).p50 == 0)
    }

    @Test func readsARecordThatACrashHasCut() throws {
        let scratch = try Scratch()
        let record = try CustomerRecord(path: scratch.path + "/r")
        try record.append(step(200, true, "a"))
        try record.append(step(100, true, "a"))
        let whole = try scratch.read("r")
        _ = try scratch.write("cut", whole + #"{"journey":"#)
        #expect(try CustomerRecord.read(path: scratch.path + "/cut").map(\.startedAt) == [100, 200])
        _ = try scratch.write("broken", "{}\n" + whole)
        #expect(failure { _ = try CustomerRecord.read(path: scratch.path + "/broken") }?.code == .invalidInput)
    }
}
