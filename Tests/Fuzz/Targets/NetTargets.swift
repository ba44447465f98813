import BasculeCrypto
import BasculeData
import BasculeModel
import Glibc

@testable import BasculeNet
@testable import BasculeSSH

extension FuzzTarget {
    /// A name server's answer, its signature included.
    static let dns = FuzzTarget(name: "dns") { bytes in
        var decoder = DNSDecoder(bytes)
        let message = try decoder.message()
        let key = try TSIGKey(name: "k", base64: Secret("AAAAAAAAAAAAAAAAAAAAAA=="))
        _ = try? key.verify(bytes, answer: message, requestMAC: [1, 2, 3], now: 1_800_000_000) {
            HMAC.sha256(key: $0, $1)
        }
        // What was read can be sent, and reads the same.
        var again = DNSDecoder(message.encoded())
        try require(again.message() == message, "a message does not survive its own encoding")
    }

    /// A web server's answer, in pieces; then the address and the cookie that it may hold.
    static let http = FuzzTarget(name: "http") { bytes in
        let (head, tail) = halves(bytes)
        var parser = HTTPParser(method: "GET", limits: .init(body: 1 << 20))
        try parser.feed(head)
        for byte in tail.prefix(64) where !parser.isDone { try parser.feed([byte]) }
        if !parser.isDone { try parser.feed(tail.dropFirst(64)) }
        require(parser.body.count <= 1 << 20, "more body than allowed")
        var jar = CookieJar()
        for cookie in parser.headers.all("Set-Cookie") {
            jar.take(cookie, host: "shop.example", path: "/a", now: 1_800_000_000)
        }
        _ = jar.field(host: "shop.example", path: "/a", secure: true)
        let url = try HTTPURL("https://shop.example/a/b?c")
        for location in parser.headers.all("Location") {
            let next = try url.resolving(location)
            require(next.target.utf8.allSatisfy { $0 > 32 && $0 < 127 }, "a target breaks the request line")
            _ = try HTTPURL(next.description)
        }
    }

    /// Keys of strangers, in SSH's wire format, as lines, and private ones as files.
    static let ssh = FuzzTarget(name: "ssh") { bytes in
        if let key = HostKey(wire: bytes) {
            try require(HostKey(line: key.line) == key, "a host key does not survive its own line")
            _ = key.fingerprint
        }
        let text = String(decoding: bytes, as: UTF8.self)
        _ = try? HostKey(line: text)
        _ = try PrivateKey(name: "key", text: Secret(bytes: bytes))
    }
}
