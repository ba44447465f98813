import BasculeModel
import Foundation
import Testing

@testable import BasculeAgentCore

@Suite struct ErrorReaderTests {
    /// Lines of one process, a millisecond apart; `@2 ` at the beginning makes it another process's.
    private func read(_ text: String, priority: Int = 6) -> [FoundError] {
        var reader = ErrorReader()
        var found: [FoundError] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let isOther = line.hasPrefix("@2 ")
            found += reader.take(
                AppLine(
                    time: Double(index) / 1000, app: "shop", process: isOther ? "2" : "1", priority: priority,
                    text: String(isOther ? line.dropFirst(3) : line)))
        }
        return found + reader.end()
    }

    @Test(arguments: [
        // What console.error(error) writes.
        (
            "TypeError: Cannot read properties of null (reading 'name')\n    at lookup (/srv/apps/shop/releases/ab/app/server.js:2:60)\n    at Server.<anonymous> (/srv/apps/shop/releases/ab/app/server.js:7:17)\n    at node:events:517:28",
            "TypeError", "Cannot read properties of null (reading 'name')", 3
        ),
        // An uncaught one, as Node.js prints it before it ends.
        (
            "/srv/apps/shop/current/app/server.js:10\n    throw new RangeError('x 17')\n    ^\n\nRangeError: x 17\n    at f (/srv/apps/shop/current/app/server.js:10:11)\n\nNode.js v18.19.0",
            "RangeError", "x 17", 1
        ),
        ("checkout failed TypeError: no cart\n    at pay (/srv/a.js:1:1)", "TypeError", "no cart", 1),
        (
            "Error [ERR_HTTP_HEADERS_SENT]: Cannot set headers\n    at f (/a.js:1:1) {\n  code: 'ERR_HTTP_HEADERS_SENT'\n}",
            "Error", "Cannot set headers", 1
        ),
        (
            "error: relation \"carts\" does not exist\n    at P.parse (/a.js:1:1)", "error",
            "relation \"carts\" does not exist", 1
        ),
        ("Error: Command failed: x\nsecond line\n    at f (/a.js:1:1)", "Error", "Command failed: x second line", 1),
        ("Uncaught SyntaxError: Unexpected token", "SyntaxError", "Unexpected token", 0),
        (
            "Traceback (most recent call last):\n  File \"/srv/x.py\", line 3, in <module>\n    f()\n  File \"/srv/x.py\", line 1, in f\n    raise ValueError('bad')\nValueError: bad",
            "ValueError", "bad", 2
        ),
        (
            #"{"level":50,"time":1,"msg":"checkout","err":{"type":"StripeError","message":"declined","stack":"StripeError: declined\n    at pay (/a.js:1:1)"}}"#,
            "StripeError", "declined", 1
        ),
        (#"{"level":"error","message":"boom","stack":"Error: boom\n    at g (/a.js:1:1)"}"#, "Error", "boom", 1),
        (#"{"severity":"ERROR","message":"no stock"}"#, "log", "no stock", 0),
    ])
    func anErrorIsFoundOnce(text: String, type: String, message: String, frames: Int) throws {
        let found = read(text)
        try #require(found.count == 1, "\(found)")
        #expect(found[0].type == type)
        #expect(found[0].message == message)
        #expect(found[0].frames.count == frames)
    }

    @Test(arguments: [
        "listening on 3000", "  at the door", #"{"level":30,"msg":"Error: all is well"}"#, "GET /TypeError 200",
        "retrying after Error in upstream", "{", "}", "", "null", #"{"level":{}}"#,
    ])
    func whatIsNoErrorIsNone(text: String) { #expect(read(text).isEmpty) }

    @Test func aLineThatSyslogCallsAnErrorIsOne() {
        #expect(read("disk on fire", priority: 3).map(\.message) == ["disk on fire"])
    }

    @Test func twoProcessesDoNotMixTheirTraces() {
        let found = read(
            "TypeError: a\n@2 RangeError: b\n    at f (/a.js:1:1)\n@2     at g (/b.js:1:1)\n@2 done\n    at h (/a.js:2:1)\nok"
        )
        #expect(
            Set(found.map { "\($0.type) \($0.message) \($0.frames.count)" }) == ["TypeError a 2", "RangeError b 1"])
    }

    @Test func twoInARowAreTwo() {
        let one = "Error: x\n    at f (/a.js:1:1)"
        #expect(read("\(one)\n\(one)").count == 2)
        #expect(read("Error: x\nError: y\nError: z").count == 3)
    }

    @Test func theSameErrorOfAnotherReleaseAndCustomerIsOneGroup() {
        var book = ErrorBook()
        for (hash, id) in [("aaaa1111", 7), ("bbbb2222", 1234)] {
            let text =
                "Error: no order \(id) for anna\(id)@shop.example\n    at load (/srv/apps/shop/releases/\(hash)/app/lib/o.js:\(id):9)\n    at x (/srv/apps/shop/releases/\(hash)/app/node_modules/e/i.js:\(id):1)"
            for error in read(text) { book.add(error, secrets: []) }
        }
        #expect(book.groups.map(\.count) == [2])
        #expect(book.groups.first?.message == "no order <n> for <email>")
        #expect(book.groups.first?.frames == ["load lib/o.js"])
        #expect(book.groups.first?.sample.contains("@shop.example") == false)
        let other = FoundError(app: "shop", time: 1, type: "Error", message: "another", frames: [], lines: ["another"])
        book.add(other, secrets: [])
        #expect(book.groups.count == 2 && book.totals == ["shop": 3])
    }

    @Test func theBookIsBounded() {
        var book = ErrorBook()
        for number in 0..<(ErrorBook.limit + 40) {
            let word = String((0..<6).map { Character(Unicode.Scalar(UInt8(97 + (number >> ($0 * 2)) % 4))) })
            book.add(
                FoundError(
                    app: "shop", time: Double(number), type: "E\(number)", message: word, frames: [],
                    lines: [String(repeating: "word ", count: 1600)]), secrets: [])
        }
        #expect(book.groups.count == ErrorBook.limit)
        #expect(!book.groups.contains { $0.type == "E0" }, "the oldest went")
        #expect(book.groups.allSatisfy { $0.sample.count <= 4000 })
        #expect(book.metrics(["shop"], now: 1).utf8.count < 200_000)
    }

    @Test func metricsHoldNoText() {
        var book = ErrorBook()
        book.add(
            FoundError(app: "shop", time: 5, type: "A\"} 1\nevil{", message: "m", frames: [], lines: ["m"]), secrets: []
        )
        let text = book.metrics(["shop", "side"], now: 9)
        #expect(text.contains("bascule_errors_total{app=\"shop\"} 1\nbascule_errors_total{app=\"side\"} 0\n"))
        #expect(text.contains("type=\"A___1_evil_\"") && !text.contains("\nevil"))
    }

    @Test func theUnitTellsTheApp() {
        #expect(ErrorCollector.app(of: "bascule-my-shop@3000.service") == "my-shop")
        #expect(ErrorCollector.app(of: "nginx.service") == nil)
    }
}

@Suite struct ErrorTextTests {
    @Test(arguments: [
        ("user 42 not found", "user <n> not found"),
        ("connect ECONNREFUSED 127.0.0.1:5432", "connect ECONNREFUSED <address>"),
        ("no 6ba7b810-9dad-11d1-80b4-00c04fd430c8", "no <uuid>"),
        ("at https://a.example/x?id=1 now", "at <url>=<n> now"),
        ("key deadbeef01 (id)=(77)", "key <hex> (id)=(<n>)"),
        ("to [2001:db8::1]", "to [<address>]"),
        ("cart_77 of item77x", "cart_<n> of item<n>x"),
        ("timeout of 300ms", "timeout of <n>ms"),
    ])
    func whatChangesIsTakenOut(message: String, expected: String) {
        #expect(ErrorText.normalised(message) == expected)
    }

    @Test(arguments: [
        ("postgresql://shop:pa55@db:5432/shop", "pa55"), ("redis://:s3cret@h:6379/0", "s3cret"),
        ("password=hunter2", "hunter2"), (#"{"password":"hunter2"}"#, "hunter2"), ("Password: hunter2", "hunter2"),
        ("Authorization: Bearer abc123", "abc123"), ("GET /reset?token=abcDEF&x=1", "abcDEF"),
        ("api_key: 'k-99'", "k-99"), ("Cookie: sid=abc123", "abc123"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x_y", "eyJzdWIiOiIxIn0"),
        ("got 0123456789abcdef0123456789abcdef01", "0123456789abcdef"), ("mail to anna@shop.example", "anna"),
        ("value mY-0wn-V4lue!", "mY-0wn-V4lue!"),
    ])
    func secretsAreTakenOut(text: String, secret: String) {
        let clean = ErrorText.redacted(text, secrets: ["mY-0wn-V4lue!"])
        #expect(!clean.contains(secret), "\(clean)")
    }

    @Test(arguments: [
        "TypeError: Cannot read properties of null (reading 'name')",
        "    at lookup (/srv/apps/shop/app/server.js:2:60)",
        "error: duplicate key value violates unique constraint \"orders_pkey\"", "https://shop.example/a/b",
    ])
    func whatIsNoSecretStays(text: String) { #expect(ErrorText.redacted(text, secrets: []) == text) }

    @Test(
        arguments: [
            ("DATABASE_URL=postgresql://shop:abcdef99@h/db", "abcdef99"), ("K=\"abc123def456ghi\"", "abc123def456ghi"),
            ("NODE_ENV=production", nil), ("PORT=3000", nil), ("DIR=/srv/uploads/2024", nil), ("junk", nil),
        ] as [(String, String?)])
    func theEnvironmentsSecretsAreKnown(line: String, secret: String?) {
        #expect(ErrorCollector.secret(in: line[...]) == secret)
    }

    @Test func theAgentsMetricsTellWhatItDoes() {
        let status = HealingStatus(
            managed: 9, healed: 3, failed: 1,
            drift: [Drift(resource: "n/file:/a", since: 1, summary: "", reason: .backoff)],
            holds: [], suspended: "why", diskLow: true)
        let text = AgentMetrics.text(status, lastApply: 17, needsReboot: true)
        for line in [
            "bascule_agent_managed_resources 9", "bascule_agent_heals_total 3", "bascule_agent_heal_failures_total 1",
            "bascule_agent_drift 1", "bascule_agent_backoff 1", "bascule_agent_suspended 1", "bascule_agent_disk_low 1",
            "bascule_agent_last_apply_timestamp_seconds 17", "bascule_reboot_required 1",
        ] {
            #expect(text.contains("\(line)\n"), "\(line)")
        }
    }

    @Test func aTestAlertCountsForAsLongAsDeclared() throws {
        let path = NSTemporaryDirectory() + "test-alert-\(getpid()).json"
        defer { unlink(path) }
        func arrival(_ channels: [String], within fresh: Double) -> AlertTest.Arrival? {
            AlertTest(channels: channels, kept: path).arrival(within: fresh)
        }
        #expect(arrival(["webhook"], within: 60) == nil)
        try DurableFile.save(
            AlertTest.Arrival(channels: ["email", "webhook"], time: WallClock.now() - 30, seconds: 2), to: path)
        #expect(arrival(["webhook"], within: 60)?.seconds == 2)
        #expect(arrival(["webhook"], within: 20) == nil, "it is too old")
        #expect(arrival(["webhook", "pager"], within: 60) == nil, "a channel that it never went to")
        try DurableFile.save(
            AlertTest.Arrival(channels: ["webhook"], time: WallClock.now() + 30, seconds: 2), to: path)
        #expect(arrival(["webhook"], within: 60) == nil, "a clock that was put back proves nothing")
    }

    @Test func alertmanagersAnswersAreCounted() {
        let counts = AlertTest.requests(
            """
            # HELP x
            alertmanager_notification_requests_total{integration="webhook"} 5
            alertmanager_notification_requests_failed_total{integration="webhook"} 2
            alertmanager_notification_requests_failed_total{integration="email",reason="other"} 0
            """)
        #expect(counts["webhook"]?.good == 3 && counts["webhook"]?.failed == 2 && counts["email"]?.failed == 0)
    }
}
