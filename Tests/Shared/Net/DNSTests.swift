import BasculeModel
import Foundation
import Testing

@testable import BasculeNet

@Suite struct DNSServerTests {
    let server: NameServer
    let www: DNSName
    let zone: DNSName
    init() throws {
        server = try NameServer()
        www = try DNSName("www.shop.test")
        zone = try DNSName("shop.test")
    }

    func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
    func key(_ name: String = "mover", _ secret: String = NameServer.secret) throws -> TSIGKey {
        try TSIGKey(name: name, base64: Secret(secret))
    }
    func send(_ update: DNSUpdate, _ key: TSIGKey, now: Int64 = wallClock()) throws {
        try server.client.update(update, key: key, hmacSHA256: hmacSHA256, now: now, deadline: .seconds(5))
    }

    @Test func readsARealServersAnswers() throws {
        #expect(try server.ask("shop.test") == ["192.0.2.1": 300, "192.0.2.2": 300])
        #expect(try server.ask("WWW.Shop.Test.", .aaaa) == ["2001:db8::10": 300])
        #expect(try server.ask("alias.shop.test") == ["192.0.2.10": 2])
        #expect(try server.ask("loop.shop.test") == [:])
        let missing = try server.client.query(DNSName("none.shop.test"), .a, deadline: .seconds(5))
        #expect(missing.code == .noSuchName && missing.authoritative)
        guard case .soa(let start)? = missing.authority.first?.data else { return #expect(Bool(false)) }
        #expect(start.minimum == 3 && "\(start.primary)" == "ns.shop.test.")
        let text = try server.client.query(DNSName("text.shop.test"), .txt, deadline: .seconds(5))
        #expect(text.answers.map(\.data) == [.txt([Array("one".utf8), Array("two".utf8)])])
        let mail = try server.client.query(DNSName("mail.shop.test"), .mx, deadline: .seconds(5))
        #expect(mail.answers.map(\.data) == [.mx(preference: 10, try DNSName("ns.shop.test"))])
        // Far more than fits into a datagram: TCP.
        let large = try server.client.query(DNSName("large.shop.test"), .txt, deadline: .seconds(5))
        #expect(large.answers.count == 60 && !large.truncated)
        let foreign = try server.client.query(DNSName("example.com"), .a, deadline: .seconds(5))
        #expect(foreign.code == .refused)
    }

    @Test func updatesOnlyWhatIsStillAsExpected() throws {
        let (old, new) = (try address("192.0.2.10"), try address("198.51.100.7"))
        let move = try DNSUpdate.replaceAddresses(of: www, zone: zone, from: [old], to: [new], ttl: 17)
        try send(move, key())
        #expect(try server.ask("www.shop.test") == ["198.51.100.7": 17])
        #expect(try server.ask("www.shop.test", .aaaa).count == 1)
        // Once more: the prerequisite no longer holds, and nothing changes.
        let stale = failure { try send(move, key()) }
        #expect(
            stale?.description == """
                shop.test. at 127.0.0.1:\(server.process.port): The record set is not what the update expects \
                [dns-prerequisite-failed]
                cause: NXRRSET
                hint: Query it, and plan again.
                """)
        #expect(try server.ask("www.shop.test") == ["198.51.100.7": 17])
        // A subset is not the set.
        let pair = try DNSUpdate.replaceAddresses(of: www, zone: zone, from: [new], to: [old, new], ttl: 30)
        try send(pair, key())
        #expect(try server.ask("www.shop.test") == ["192.0.2.10": 30, "198.51.100.7": 30])
        #expect(failure { try send(pair, key()) }?.code == .dnsPrerequisiteFailed)
        let create = try DNSUpdate.replaceAddresses(
            of: DNSName("new.shop.test"), zone: zone, from: [], to: [new], ttl: 60)
        try send(create, key())
        #expect(try server.ask("new.shop.test") == ["198.51.100.7": 60])
        #expect(failure { try send(create, key()) }?.cause == "YXRRSET")
    }

    @Test func makesBothFamiliesInOneMessageOrNeither() throws {
        let changes: [DNSUpdate.Change] = [
            .deleteSet(www, .a), .deleteSet(www, .aaaa), .add(www, ttl: 5, .address(try address("198.51.100.8"))),
            .add(www, ttl: 5, .address(try address("2001:db8::8"))),
        ]
        let four = DNSUpdate.Prerequisite.equals(www, [.address(try address("192.0.2.10"))])
        let wrong = DNSUpdate.Prerequisite.equals(www, [.address(try address("2001:db8::99"))])
        #expect(
            failure { try send(DNSUpdate(zone: zone, prerequisites: [four, wrong], changes: changes), key()) }?.code
                == .dnsPrerequisiteFailed)
        #expect(try server.ask("www.shop.test") == ["192.0.2.10": 2])
        let right = DNSUpdate.Prerequisite.equals(www, [.address(try address("2001:db8::10"))])
        try send(DNSUpdate(zone: zone, prerequisites: [four, right], changes: changes), key())
        #expect(try server.ask("www.shop.test") == ["198.51.100.8": 5])
        #expect(try server.ask("www.shop.test", .aaaa) == ["2001:db8::8": 5])
    }

    @Test func tellsEveryKindOfRefusal() throws {
        let update = DNSUpdate(zone: zone, changes: [.add(www, ttl: 1, .address(try address("198.51.100.9")))])
        let wrong = failure { try send(update, key("mover", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")) }
        #expect(wrong?.code == .dnsNotAuthorized && wrong?.cause == "BADSIG")
        let stranger = failure { try send(update, key("stranger")) }
        #expect(stranger?.code == .dnsNotAuthorized && stranger?.cause == "BADKEY")
        let late = failure { try send(update, key(), now: wallClock() - 4000) }
        #expect(late?.code == .dnsNotAuthorized && late?.cause == "BADTIME" && late?.hint == "Set both clocks.")
        let locked = DNSUpdate(zone: zone, changes: [.deleteSet(try DNSName("locked.shop.test"), .a)])
        let forbidden = failure { try send(locked, key()) }
        #expect(forbidden?.code == .dnsNotAuthorized && forbidden?.cause == "REFUSED")
        #expect(try server.ask("www.shop.test") == ["192.0.2.10": 2])
        #expect(!"\(String(describing: try key()))".contains("MDEy"))
        server.process.stop()
        #expect(failure { try send(update, key()) }?.code == .connectFailed)
    }

    @Test func saysWhenNobodyKnowsWhatBecameOfIt() throws {
        let scratch = try Scratch()
        let mute = try serve(scratch, "raw", scratch.write("nothing", ""))
        let client = DNSClient(server: try address("127.0.0.1"), port: mute.port)
        let update = DNSUpdate(zone: zone, changes: [.deleteSet(www, .a)])
        let error = failure {
            try client.update(
                update, key: key(), hmacSHA256: hmacSHA256, now: wallClock(), deadline: .seconds(5))
        }
        #expect(error?.code == .dnsOutcomeUnknown)
        #expect(error?.hint == "Query the record set to learn what became of it.")
        // Nobody listens to UDP there.
        #expect(failure { _ = try client.query(www, .a, deadline: .seconds(2)) }?.code == .connectFailed)
    }

    @Test func believesOnlyASignedAnswer() throws {
        let key = try key()
        let message = DNSUpdate(zone: zone, prerequisites: [.exists(www, .a)], changes: []).message()
        let now = wallClock()
        let signed = try key.sign(message.encoded(), id: message.id, now: now, mac: hmacSHA256)
        let stream = try TCPStream.connect(to: server.client.endpoint, deadline: .seconds(5))
        let bytes = try DNSClient.exchange(signed.bytes, over: stream, deadline: .seconds(5))
        func verdict(_ bytes: [UInt8], _ request: [UInt8], _ now: Int64) throws -> TSIGKey.Verdict {
            try key.verify(
                bytes, answer: DNSClient.answer(to: message, bytes), requestMAC: request, now: now, mac: hmacSHA256)
        }
        #expect(try verdict(bytes, signed.mac, now) == .valid)
        #expect(failure { _ = try verdict(bytes, [UInt8](repeating: 0, count: 32), now) }?.code == .protocolViolation)
        #expect(failure { _ = try verdict(bytes, signed.mac, now + 1000) }?.code == .protocolViolation)
        // The response code is what an attacker would change.
        var forged = bytes
        forged[3] = forged[3] & 0xf0 | 5
        #expect(failure { _ = try verdict(forged, signed.mac, now) }?.code == .protocolViolation)
    }

    @Test func keepsAnswersAsLongAsTheirTTL() throws {
        let resolver = CachingResolver(server.client)
        let first = try resolver.lookUp(www, deadline: .seconds(5))
        #expect(first.addresses.map(\.description) == ["192.0.2.10"] && first.ttl == 2 && !first.fromCache)
        let started = Monotonic.now()
        let (old, new) = (try address("192.0.2.10"), try address("198.51.100.7"))
        try send(try DNSUpdate.replaceAddresses(of: www, zone: zone, from: [old], to: [new], ttl: 1), key())
        #expect(try resolver.lookUp(www, deadline: .seconds(5)).fromCache)
        while try resolver.addresses(of: "www.shop.test", deadline: .seconds(5)) == [old] {
            Monotonic.sleep(.milliseconds(20))
        }
        let took = Monotonic.milliseconds(since: started)
        #expect(took > 1900 && took < 4000, "the old address was used for \(took) ms")
        #expect(
            try resolver.addresses(of: "six.shop.test", deadline: .seconds(5)).map(\.description) == ["2001:db8::6"])
        #expect(try resolver.addresses(of: "192.0.2.77", deadline: .seconds(5)).map(\.description) == ["192.0.2.77"])
    }

    @Test func keepsThatThereIsNothing() throws {
        let clock = TestClock()
        let resolver = CachingResolver(server.client, types: [.a], now: { clock.now })
        let new = try DNSName("new.shop.test")
        #expect(failure { _ = try resolver.lookUp(new, deadline: .seconds(5)) }?.code == .nameNotResolved)
        try send(
            try DNSUpdate.replaceAddresses(of: new, zone: zone, from: [], to: [address("192.0.2.5")], ttl: 60), key())
        clock.advance(seconds: 2)
        #expect(failure { _ = try resolver.lookUp(new, deadline: .seconds(5)) }?.code == .nameNotResolved)
        clock.advance(seconds: 2)
        #expect(try resolver.lookUp(new, deadline: .seconds(5)).addresses.count == 1)
        // Along CNAMEs the least TTL counts (60, 20, 2).
        #expect(try resolver.lookUp(DNSName("alias.shop.test"), deadline: .seconds(5)).ttl == 2)
    }
}

/// A clock that a test moves.
final class TestClock: @unchecked Sendable {
    private let lock = NSLock()
    private var nanoseconds: UInt64 = 1
    var now: UInt64 { lock.withLock { nanoseconds } }
    func advance(seconds: UInt64) { lock.withLock { nanoseconds += seconds * 1_000_000_000 } }
}
