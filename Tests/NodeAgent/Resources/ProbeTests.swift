import BasculeModel
import BasculeTesting
import Foundation
import Glibc
import Testing

@testable import BasculeResources

@Suite struct ProbeTests {
    private let workshop: Workshop
    init() throws { workshop = try Workshop(secrets: ["pw": "hunter2"]) }

    /// A server of one connection after the other: reads until what was said contains a word, then answers.
    private struct Turns: Sendable, CustomTestStringConvertible {
        var name: String
        var greeting = ""
        var hears: String?
        var answer = ""
        var check: @Sendable (Int) -> ProbeSpec.Check
        /// nil: it serves.
        var reason: String?
        var testDescription: String { name }
    }

    private static func redis(_ port: Int) -> ProbeSpec.Check {
        let ping = Content.parts([.text("AUTH "), .secret("pw"), .text("\r\nPING\r\n")])
        return .dialogue(host: "127.0.0.1", port: port, exchanges: [.init(send: ping, expect: "+PONG")])
    }

    private static func web(_ status: Int?) -> @Sendable (Int) -> ProbeSpec.Check {
        { .http(url: "http://127.0.0.1:\($0)/up", host: "shop.example", status: status) }
    }

    private static let cases: [Turns] = [
        Turns(
            name: "PING with the password", hears: "AUTH hunter2\r\nPING\r\n", answer: "+OK\r\n+PONG\r\n", check: redis),
        Turns(
            name: "a wrong password", hears: "PING\r\n", answer: "-WRONGPASS no\r\n-NOAUTH\r\n", check: redis,
            reason: "another answer than expected: -WRONGPASS no"),
        Turns(
            name: "the server speaks first", greeting: "220 mail", hears: "EHLO x\r\n", answer: "250 ok\r\n",
            check: {
                .dialogue(
                    host: "127.0.0.1", port: $0,
                    exchanges: [.init(expect: "220 "), .init(send: "EHLO x\r\n", expect: "250 ")])
            }),
        Turns(name: "accepting is enough", check: { .dialogue(host: "127.0.0.1", port: $0, exchanges: []) }),
        Turns(
            name: "silence", check: { .dialogue(host: "127.0.0.1", port: $0, exchanges: [.init(expect: "220")]) },
            reason: "the connection closed without an answer"),
        Turns(
            name: "any 2xx under the site's name", hears: "Host: shop.example\r\n", answer: "HTTP/1.1 204 x\r\n\r\n",
            check: web(nil)),
        Turns(
            name: "a 500", hears: "\r\n\r\n", answer: "HTTP/1.1 500 x\r\n\r\n", check: web(nil),
            reason: "status 500, not 2xx"),
        Turns(name: "the very status", hears: "\r\n\r\n", answer: "HTTP/1.1 421 x\r\n\r\n", check: web(421)),
        Turns(
            name: "another status", hears: "\r\n\r\n", answer: "HTTP/1.1 200 x\r\n\r\n", check: web(421),
            reason: "status 200, not 421"),
        Turns(
            name: "not HTTP", hears: "\r\n\r\n", answer: "what is that?\r\n", check: web(nil),
            reason: "the answer is not HTTP"),
    ]

    @Test(arguments: cases) private func aDialogue(_ row: Turns) throws {
        let server = try TinyServer(row.greeting, row.hears, row.answer)
        defer { server.stop() }
        let seen = ask(row.check(server.port))
        #expect(seen?.serves == (row.reason == nil), "\(String(describing: seen))")
        if let reason = row.reason { #expect(seen?.detail.contains(reason) == true, "\(String(describing: seen))") }
        #expect(seen?.detail.contains("hunter2") == false)
    }

    @Test(arguments: [
        (ProbeSpec.Check.command(["true"], user: "root"), nil),
        (.command(["sh", "-c", "echo broken >&2; exit 3"], user: "root"), "status 3: broken"),
        (.command(["/no/such/program"], user: "root"), "is not installed"),
        (.dialogue(host: "127.0.0.1", port: 1, exchanges: []), "Connection refused"),
        (.dialogue(host: "/no/such/socket", port: 0, exchanges: []), "No such file"),
        (.dialogue(host: "127.0.0.1", port: 70_000, exchanges: []), "no such port"),
        (.http(url: "https://127.0.0.1/", host: nil, status: nil), "plain HTTP"),
        (.http(url: "http://127.0.0.1:1/", host: "a\r\nX: y", status: nil), "not a Host header"),
        (
            .postgres(PostgresServer(socket: "/no/such"), database: "d", user: "u", password: "pw"),
            "No PostgreSQL server listens"
        ),
        (
            .dialogue(host: "127.0.0.1", port: 1, exchanges: [.init(send: .parts([.secret("unknown")]), expect: "")]),
            "Connection refused"
        ),
    ])
    func aReason(_ check: ProbeSpec.Check, _ reason: String?) {
        let seen = ask(check)
        #expect(seen?.serves == (reason == nil))
        if let reason { #expect(seen?.detail.contains(reason) == true, "\(String(describing: seen))") }
    }

    /// What hangs costs its own patience once, however many hang, and holds up no other.
    @Test func hangingProbesWaitTogether() throws {
        let server = try TinyServer("", "never", "")
        defer { server.stop() }
        let probes = (0..<12).map { number in
            DesiredResource(
                .probe(
                    ProbeSpec(
                        "p\(number)",
                        .dialogue(host: "127.0.0.1", port: server.port, exchanges: [.init(expect: "word")]))), on: "n",
                origin: "test")
        }
        let start = ContinuousClock.now
        let seen = ResourceKeeper.observe(probes, workshop.context)
        #expect(seen.count == 12)
        for case .probe(let answer) in seen.map(\.observed) { #expect(!answer.serves) }
        #expect(ContinuousClock.now - start < .seconds(3 * ProbeKeeper.patience))
    }

    /// Why it does not serve may change between the plan and the step: that is no other state.
    @Test func theReasonIsNotPartOfTheState() {
        func digest(_ serves: Bool, _ detail: String) -> Digest {
            Observation.make("n/probe:p", .probe(ProbeObserved(serves: serves, detail: detail))).digest
        }
        #expect(digest(false, "refused") == digest(false, "timed out"))
        #expect(digest(false, "x") != digest(true, "x"))
    }

    /// Applying is waiting: until it serves, or no longer than was asked for.
    @Test func applyingWaits() throws {
        let flag = "\(workshop.path)/serves"
        let check = ProbeSpec.Check.command(["test", "-e", flag], user: "root")
        Thread.detachNewThread {
            usleep(300_000)
            _ = FileManager.default.createFile(atPath: flag, contents: nil)
        }
        #expect(try workshop.converge(.probe(ProbeSpec("slow", check, timeout: 30))))
        let never = ProbeSpec("never", .command(["false"], user: "root"), timeout: 0, unit: "no-such.service")
        let error = #expect(throws: BasculeError.self) { try workshop.converge(.probe(never)) }
        #expect(error?.code == .doesNotServe && error?.message.contains("never does not serve") == true)
        #expect(error?.hint?.contains("journalctl -u no-such.service") == true)
    }

    /// RFC 7677, section 3.
    @Test func scram() throws {
        var client = ScramClient(Secret("pencil"), nonce: "rOprNGfwEbeRWgbNEkqO")
        // The user stands in PostgreSQL's startup message, so the RFC's own is spoken without it.
        #expect(String(decoding: client.first(), as: UTF8.self) == "n,,n=,r=rOprNGfwEbeRWgbNEkqO")
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        let proof = String(decoding: try client.final(Array(server.utf8), .thing("t")), as: UTF8.self)
        #expect(proof == "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=\(scramProof)")
        #expect(throws: BasculeError.self) { try client.verify(Array("v=AAAA".utf8), .thing("t")) }
        for bad in ["", "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", server.replacing("i=4096", with: "i=0"), "r,s,i"] {
            #expect(throws: BasculeError.self) { _ = try client.final(Array(bad.utf8), .thing("t")) }
        }
    }
    // Computed with Python's hashlib and hmac for an empty user name.
    private let scramProof = "qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k="

    private func ask(_ check: ProbeSpec.Check) -> ProbeObserved? {
        guard case .probe(let seen) = workshop.observe(.probe(ProbeSpec("p", check))).observed else { return nil }
        return seen
    }
}

/// A server on loopback that greets, hears a word, answers and closes.
private final class TinyServer: Sendable {
    private let listener: LoopbackListener

    var port: Int { Int(listener.port) }

    init(_ greeting: String, _ hears: String?, _ answer: String) throws {
        listener = try LoopbackListener { Self.serve($0, greeting, hears, answer) }
    }

    func stop() { listener.stop() }

    private static func serve(_ peer: Int32, _ greeting: String, _ hears: String?, _ answer: String) {
        _ = greeting.utf8.withContiguousStorageIfAvailable { send(peer, $0.baseAddress, $0.count, 0) }
        guard let hears else { return }
        var heard = ""
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !heard.contains(hears) {
            let count = recv(peer, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            heard += String(decoding: buffer.prefix(count), as: UTF8.self)
        }
        let bytes = Array(answer.utf8)
        _ = send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}
