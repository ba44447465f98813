import BasculeModel
import Testing

@testable import BasculeNet

@Suite struct DNSMessageTests {
    @Test func roundTripsEveryKindOfRecord() throws {
        let name = try DNSName("a.Example")
        var message = DNSMessage(id: 0x1234)
        message.isResponse = true
        message.authoritative = true
        message.recursionDesired = true
        message.code = .noSuchName
        message.questions = [DNSQuestion(name: name, type: .any)]
        let start = DNSStart(primary: name, mailbox: name, serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5)
        let data: [DNSData] = [
            .address(try #require(IPAddress("192.0.2.1"))), .address(try #require(IPAddress("2001:db8::1"))),
            .cname(name), .ns(name), .ptr(name), .mx(preference: 7, name), .soa(start), .txt([[1, 2], []]),
            .other(DNSType(rawValue: 999), [9]),
        ]
        message.answers = data.map { DNSRecord(name: name, ttl: 60, data: $0) }
        message.authority = [DNSRecord(name: try DNSName("."), ttl: 1, data: .ns(name))]
        var decoder = DNSDecoder(message.encoded())
        #expect(try decoder.message() == message)
    }

    @Test func survivesEveryCutAndEveryFlippedByte() throws {
        var message = DNSMessage(id: 1)
        message.questions = [DNSQuestion(name: try DNSName("www.shop.test"), type: .a)]
        message.answers = [
            DNSRecord(name: try DNSName("www.shop.test"), ttl: 1, data: .txt([[65, 66]])),
            DNSRecord(name: try DNSName("www.shop.test"), ttl: 1, data: .ns(try DNSName("x.y"))),
        ]
        let bytes = message.encoded()
        for cut in 0..<bytes.count {
            var decoder = DNSDecoder(Array(bytes[..<cut]))
            #expect(throws: BasculeError.self) { try decoder.message() }
        }
        for index in bytes.indices {
            for value in [UInt8(0), 1, 63, 64, 127, 192, 193, 255] {
                var flipped = bytes
                flipped[index] = value
                var decoder = DNSDecoder(flipped)
                _ = try? decoder.message()
            }
        }
    }

    static func message(name: [UInt8]) -> [UInt8] { [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0] + name + [0, 1, 0, 1] }

    @Test(
        arguments: [
            [0xc0, 12], [0xc0, 13], [0xc0, 200], [1, 97, 0xc0, 12], [0x40, 0], [0x80, 0], [3, 97],
            [UInt8](repeating: 63, count: 300),
        ] as [[UInt8]])
    func refusesBrokenNames(name: [UInt8]) {
        var decoder = DNSDecoder(Self.message(name: name))
        #expect(failure { _ = try decoder.message() }?.code == .protocolViolation)
    }

    @Test func followsPointersBackwards() throws {
        // Two questions: "ab.c." and, compressed, "x.c.".
        let bytes: [UInt8] = [
            0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 2, 97, 98, 1, 67, 0, 0, 1, 0, 1, 1, 120, 0xc0, 15, 0, 1, 0, 1,
        ]
        var decoder = DNSDecoder(bytes)
        #expect(try decoder.message().questions.map { "\($0.name)" } == ["ab.c.", "x.c."])
    }

    @Test(arguments: [
        ("shop.example", "shop.example."), ("Shop.Example.", "shop.example."), (".", "."), ("", "."), ("a..b", nil),
        (".a", nil), ("a b", nil), (String(repeating: "x", count: 64), nil), ("é.example", nil),
    ])
    func readsNames(text: String, canonical: String?) {
        #expect((try? DNSName(text))?.description == canonical)
    }

    @Test func knowsWhatLiesInAZone() throws {
        let zone = try DNSName("shop.test")
        #expect(try DNSName("a.shop.test").isWithin(zone) && zone.isWithin(zone))
        #expect(try !DNSName("myshop.test").isWithin(zone) && !DNSName("test").isWithin(zone))
    }

    @Test func readsKeysAsNsupdateWritesThem() throws {
        #expect(try TSIGKey(text: Secret("hmac-sha256:k.x:MDEyMzQ1Njc4OWFiY2RlZg==")).name == DNSName("k.x"))
        #expect(try TSIGKey(text: Secret("k:MDEyMzQ1Njc4OWFiY2RlZg==")).name == DNSName("k"))
        for text in ["k", "hmac-md5:k:MDEyMzQ1Njc4OWFiY2RlZg==", "k:short", "k:!!!"] {
            let error = failure { _ = try TSIGKey(text: Secret(text)) }
            #expect(error?.code == .invalidInput && error?.description.contains("MDEy") == false)
        }
    }
}
