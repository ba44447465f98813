import BasculeModel
import Foundation
import Testing

@testable import BasculeNet

@Suite struct HTTPClientTests {
    let scratch: Scratch
    let server: ServerProcess
    var base: String { "http://127.0.0.1:\(server.port)" }

    init() throws {
        scratch = try Scratch()
        server = try serve(scratch, "http")
    }

    func get(_ path: String, _ client: HTTPClient = HTTPClient(), follow: Bool = false) throws -> HTTPResponse {
        try client.request("GET", base + path, follow: follow, deadline: .seconds(5))
    }

    @Test func readsEveryKindOfBody() throws {
        #expect(try get("/hello").text == "hello")
        #expect(try get("/chunked").text == "one two three")
        #expect(try get("/until-close").text == "to the end")
        #expect(try get("/nowhere").status == 404)
        #expect(try HTTPClient().request("HEAD", base + "/hello", deadline: .seconds(5)).body.isEmpty)
        #expect(failure { _ = try get("/short") }?.code == .connectionClosed)
        #expect(failure { _ = try get("/drop") }?.code == .connectionClosed)
        let small = HTTPClient(.init(maxBody: 1000))
        #expect(try get("/big/1000", small).body.count == 1000)
        #expect(failure { _ = try get("/big/1001", small) }?.code == .tooMuchData)
        let timing = try get("/big/3000000").timing
        #expect(timing.connect > 0 && timing.firstByte >= timing.connect && timing.total >= timing.firstByte)
    }

    @Test func keepsConnectionsWithinOneClient() throws {
        let client = HTTPClient()
        let first = try get("/port", client)
        let second = try get("/port", client)
        #expect(first.text == second.text && second.timing.connect == 0)
        #expect(try get("/port").text != first.text)
        client.close()
        #expect(try get("/port", client).text != first.text)
    }

    @Test func servesThreadsInParallel() throws {
        let client = HTTPClient()
        let results = Results()
        let base = base
        DispatchQueue.concurrentPerform(iterations: 32) { number in
            let text = try? client.request(
                "GET", base + "/big/\(1000 + number)", deadline: .seconds(10)
            ).body.count
            results.add(text == 1000 + number)
        }
        #expect(results.good == 32)
    }

    @Test func survivesARestartOfTheServer() throws {
        let client = HTTPClient()
        _ = try get("/hello", client)
        _ = try get("/until-close", client)
        #expect(try get("/hello", client).text == "hello")
    }

    @Test func sendsWhatItWasGivenAndNothingElse() throws {
        let response = try HTTPClient().request(
            "POST", base + "/echo?a=b c", headers: ["X-One": "1", "Host": "shop.example"], body: Array("body".utf8),
            deadline: .seconds(5))
        let text = response.text
        #expect(text.contains(#""method": "POST""#) && text.contains(#""path": "/echo?a=b%20c""#))
        #expect(text.contains(#""body": "body""#) && text.contains(#"["Host", "shop.example"]"#))
        #expect(text.components(separatedBy: #"["Host""#).count == 2)
    }

    @Test(arguments: [
        ("GET", "X", "a\r\nEvil: 1"), ("GET", "X", "a\nb"), ("GET", "X\r\nY", "a"), ("GET", "X:", "a"),
        ("GET", "", "a"),
        ("GET /x HTTP/1.1\r\nA:", "X", "a"), ("GET", "X", "a\u{0}"), ("GET", "Host", "a\r\nb"),
        ("GET", "Transfer-Encoding", "chunked"), ("GET", "content-length", "5"),
    ])
    func letsNothingBeInjected(method: String, name: String, value: String) {
        var headers = HTTPHeaders()
        headers.add(name, value)
        let error = failure {
            _ = try HTTPClient().request(method, base + "/echo", headers: headers, deadline: .seconds(5))
        }
        #expect(error?.code == .invalidInput)
    }

    @Test func followsRedirectsOnlyWhenAsked() throws {
        #expect(try get("/redirect/2").status == 302)
        let response = try get("/redirect/2", follow: true)
        #expect(response.text == "hello" && response.url.target == "/hello")
        #expect(failure { _ = try get("/redirect/50", follow: true) }?.code == .protocolViolation)
        let seen = try HTTPClient().request(
            "POST", base + "/see-other", headers: ["Content-Type": "text/plain"], body: [1], follow: true,
            deadline: .seconds(5))
        #expect(seen.text.contains(#""method": "GET""#) && !seen.text.contains("text/plain"))
        let request = HTTPRequest(
            method: "GET", url: try HTTPURL("https://a/"), headers: ["Cookie": "s", "X": "y"], body: nil)
        let away = HTTPResponse(
            status: 302, headers: ["Location": "https://b/"], body: [], timing: .init(), url: request.url, address: nil)
        #expect(try HTTPClient.redirect(request, away)?.headers == ["X": "y"])
    }

    @Test func connectsElsewhereWhenTold() throws {
        let client = HTTPClient(.init(connectTo: .host("127.0.0.1", port: server.port)))
        let response = try client.request("GET", "http://shop.example/echo", deadline: .seconds(5))
        #expect(response.text.contains(#"["Host", "shop.example"]"#))
        #expect(response.address?.description == "127.0.0.1")
        let fixed = HTTPClient(.init(resolver: FixedResolver(try #require(IPAddress("127.0.0.1")))))
        #expect(
            try fixed.request("GET", "http://shop.example:\(server.port)/hello", deadline: .seconds(5)).status == 200)
    }

    @Test func keepsItsDeadline() throws {
        let start = Monotonic.now()
        let error = failure {
            _ = try HTTPClient().request("GET", base + "/slow", deadline: .after(.milliseconds(300)))
        }
        #expect(error?.code == .timedOut && Monotonic.milliseconds(since: start) < 2000)
    }

    @Test func speaksHTTPS() throws {
        let certificates = try Certificates()
        let secure = try serve(certificates.scratch, "https", certificates.files.0, certificates.files.1)
        let client = HTTPClient(
            .init(trust: .authorities(pem: certificates.authority), connectTo: .host("127.0.0.1", port: secure.port)))
        let first = try client.request("GET", "https://shop.example/port", deadline: .seconds(5))
        let second = try client.request("GET", "https://shop.example/port", deadline: .seconds(5))
        #expect(first.text == second.text && second.timing.connect == 0)
        let wrong = failure { _ = try client.request("GET", "https://other.example/", deadline: .seconds(5)) }
        #expect(wrong?.code == .tlsVerificationFailed)
    }
}

/// Counts good results from several threads.
final class Results: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0
    var good: Int { lock.withLock { count } }
    func add(_ isGood: Bool) { lock.withLock { count += isGood ? 1 : 0 } }
}
