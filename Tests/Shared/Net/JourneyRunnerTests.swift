import BasculeModel
import Foundation
import Testing

@testable import BasculeNet

@Suite struct JourneyRunnerTests {
    let scratch: Scratch
    let shop: ServerProcess
    let password = ["password": Secret("p&ss=1")]
    var base: String { "http://127.0.0.1:\(shop.port)" }

    init() throws {
        scratch = try Scratch()
        shop = try serve(scratch, "shop")
    }

    func run(_ json: String, secrets: [String: Secret] = [:], seconds: Double = 10) throws -> JourneyResult {
        JourneyRunner(.init(baseURL: base)).run(try journey(json), secrets: secrets, deadline: .seconds(seconds))
    }

    func admin(_ body: String) throws {
        _ = try HTTPClient().request("POST", base + "/admin", body: Array(body.utf8), deadline: .seconds(5))
    }

    func orders() throws -> String {
        try HTTPClient().request("GET", base + "/orders.json", deadline: .seconds(5)).text
    }

    @Test func walksTheWholeWayAndCleansUp() throws {
        let result = try run(shopJourney, secrets: password)
        #expect(result.ok, "\(result)")
        #expect(result.steps.allSatisfy { $0.ok && $0.address == "127.0.0.1" && $0.milliseconds > 0 })
        #expect(result.steps.map(\.cleanup) == [false, false, false, false, false, false, true, true, true])
        #expect(result.captured.keys.sorted() == ["order"])
        #expect(result.steps.filter(\.write).map(\.servedBy) == ["old"])
        #expect(try orders() == "{}")
        let text = String(decoding: try JSONEncoder().encode(result), as: UTF8.self)
        #expect(!text.contains("p&ss"))
    }

    @Test func actsAsAnotherHostBeforeItsNamePointsHere() throws {
        let runner = JourneyRunner(.init(baseURL: base, host: "shop.example"))
        #expect(runner.run(try journey(shopJourney), secrets: password, deadline: .seconds(10)).ok)
        let named = JourneyRunner(
            .init(baseURL: "http://shop.example", connectTo: .host("127.0.0.1", port: shop.port)))
        #expect(named.run(try journey(shopJourney), secrets: password, deadline: .seconds(10)).ok)
    }

    @Test func saysWhichStepFailsAndStillCleansUp() throws {
        // The wrong password: nothing was ordered, so cancelling is skipped.
        let result = try run(shopJourney)
        #expect(result.outcome == .failed(step: "log in"))
        #expect(result.failure?.reason == "status 403 instead of 200")
        #expect(result.steps.last?.reason == "skipped: The variable ‘place’ has no value")
        // A failure after the order: it is cancelled.
        let late = shopJourney.replacingOccurrences(of: #""contains": ["bye"]"#, with: #""contains": ["see {{user}}"]"#)
        let second = try run(late, secrets: password)
        #expect(second.outcome == .failed(step: "log out"))
        #expect(second.failure?.reason == "the body does not contain ‘see {{user}}’")
        #expect(second.steps.last?.status == 204)
        #expect(try orders() == "{}")
    }

    @Test(arguments: [
        (
            #"{"path": "/products"}, "expect": {"json": {"items[0].id": 8}}"#,
            "‘items[0].id’ in the JSON body is not as expected"
        ),
        (#"{"path": "/login"}, "expect": {"json": {"a": 8}}"#, "the body is not JSON"),
        (
            #"{"path": "/products"}, "expect": {"header": {"X-Served-By": "new"}}"#,
            "the header ‘X-Served-By’ is not ‘new’"
        ),
        (#"{"path": "/products"}, "capture": {"a": {"json": "b"}}"#, "‘a’ could not be captured"),
        (#"{"path": "/nowhere{{what}}"}"#, "The variable ‘what’ has no value"),
        (#"{"path": "/x", "headers": {"A": "b\r\nc"}}"#, "The value of the header ‘A’ has a control character"),
        (#"{"path": "/orders", "method": "GET"}"#, "status 401 instead of 200 to 399"),
    ])
    func saysWhatIsWrong(step: String, reason: String) throws {
        let result = try run(#"{"name": "x", "steps": [{"name": "one", "request": \#(step)}]}"#)
        #expect(result.outcome == .failed(step: "one"))
        #expect(result.failure?.reason == reason)
    }

    @Test func tellsMaintenanceAndAbsenceFromErrors() throws {
        try admin("down=1")
        let closed = try run(shopJourney, secrets: password)
        #expect(closed.outcome == .maintenance && closed.steps.first?.status == 503)
        shop.stop()
        let gone = try run(shopJourney, secrets: password)
        #expect(gone.outcome == .unreachable && gone.steps.first?.reason == "Could not connect: Connection refused")
        let unknown = JourneyRunner(.init(baseURL: "ftp://x")).run(try journey(shopJourney), deadline: .seconds(1))
        #expect(unknown.outcome == .failed(step: "open login"))
    }

    @Test func countsTimeAgainstTheStep() throws {
        let site = try serve(scratch, "http")
        let runner = JourneyRunner(.init(baseURL: "http://127.0.0.1:\(site.port)"))
        let slow = try journey(
            #"{"name": "x", "steps": [{"name": "slow", "request": {"path": "/slow"}, "maxTime": "200ms"}]}"#)
        let result = runner.run(slow, deadline: .seconds(10))
        #expect(result.outcome == .failed(step: "slow") && result.failure?.reason == "it took longer than 0.2 s")
        #expect(runner.run(slow, deadline: .after(.milliseconds(50))).outcome == .unreachable)
        let expected = try journey(
            #"{"name": "x", "steps": [{"name": "m", "request": {"path": "/maintenance"}, "expect": {"status": 503}}]}"#)
        #expect(runner.run(expected, deadline: .seconds(5)).ok)
    }
}
