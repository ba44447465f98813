import BasculeModel
import Testing

@testable import BasculeNet

@Suite struct HTTPParserTests {
    static let answers: [(String, status: Int, body: String, keeps: Bool)] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true),
        ("HTTP/1.1 200\nContent-Length: 0\n\n", 200, "", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", 200, "hi", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", false),
        ("HTTP/1.1 204 None\r\n\r\n", 204, "", true),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx",
            404, "x", true
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
            200, "abc0123456789", true
        ),
    ]

    @Test(arguments: answers)
    func readsAnswersCutAnywhere(text: String, status: Int, body: String, keeps: Bool) throws {
        let bytes = Array(text.utf8)
        for cut in 0...bytes.count {
            var parser = HTTPParser(method: "GET", limits: .init(body: 100))
            try parser.feed(bytes[..<cut])
            if cut < bytes.count { #expect(!parser.isDone) }
            try parser.feed(bytes[cut...])
            #expect(parser.isDone && parser.status == status && parser.keepsAlive == keeps)
            #expect(String(decoding: parser.body, as: UTF8.self) == body)
        }
        var single = HTTPParser(method: "GET", limits: .init(body: 100))
        for byte in bytes { try single.feed([byte]) }
        #expect(single.isDone && single.body == Array(body.utf8))
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", ErrorCode.protocolViolation),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", .protocolViolation),
        ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", .protocolViolation),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", .protocolViolation),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .protocolViolation),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", .protocolViolation),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n", .protocolViolation),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", .protocolViolation),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", .protocolViolation),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", .protocolViolation),
        ("HTTP/1.1 200 OK\r\n folded\r\n\r\n", .protocolViolation),
        ("SSH-2.0-OpenSSH\r\n", .protocolViolation),
        ("HTTP/2 200\r\n", .protocolViolation),
        ("HTTP/1.1 999 OK\r\n", .protocolViolation),
        ("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", .tooMuchData),
        ("HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 101), .tooMuchData),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + String(repeating: "x", count: 101),
            .tooMuchData
        ),
        ("HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 70_000), .tooMuchData),
        (String(repeating: "HTTP/1.1 100 C\r\n\r\n", count: 5000), .tooMuchData),
    ])
    func refusesWhatIsNotProper(text: String, code: ErrorCode) {
        var parser = HTTPParser(method: "GET", limits: .init(body: 100))
        #expect(failure { try parser.feed(text.utf8) }?.code == code)
    }

    @Test func knowsWhenTheEndCameTooEarly() throws {
        var short = HTTPParser(method: "GET", limits: .init(body: 100))
        try short.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell".utf8)
        #expect(failure { try short.end() }?.code == .connectionClosed)
        var open = HTTPParser(method: "GET", limits: .init(body: 100))
        try open.feed("HTTP/1.1 200 OK\r\n\r\nhell".utf8)
        try open.end()
        #expect(open.isDone && !open.keepsAlive)
        var head = HTTPParser(method: "HEAD", limits: .init(body: 1))
        try head.feed("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n".utf8)
        #expect(head.isDone && head.keepsAlive)
        var extra = HTTPParser(method: "GET", limits: .init(body: 100))
        try extra.feed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 unasked\r\n".utf8)
        #expect(extra.isDone && !extra.keepsAlive)
    }

    @Test(arguments: [
        ("http://Shop.example", "http://shop.example/"), ("https://a:8443/x?y#z", "https://a:8443/x?y"),
        ("http://[::1]:80/é b", "http://[::1]/%C3%A9%20b"), ("http://a?x", "http://a/?x"), ("ftp://a", nil),
        ("http://", nil), ("http://u:p@a/", nil), ("http://a:0/", nil), ("http://a:99999/", nil),
        ("http://a/\r\nX: y", nil),
        ("http://a b/", nil), ("http://[zz]/", nil), ("http://a\u{0}/", nil),
    ])
    func readsURLs(text: String, canonical: String?) {
        #expect((try? HTTPURL(text))?.description == canonical)
    }

    @Test(arguments: [
        ("/a", "http://h/a"), ("b", "http://h/x/b"), ("../b?q=../1", "http://h/b?q=../1"), ("?q", "http://h/x/y?q"),
        ("//other/z", "http://other/z"), ("https://s/", "https://s/"), ("", "http://h/x/y?k"),
        ("/../..//a/.", "http://h//a/"),
    ])
    func resolvesReferences(reference: String, result: String) throws {
        #expect(try HTTPURL("http://h/x/y?k").resolving(reference).description == result)
    }
}
