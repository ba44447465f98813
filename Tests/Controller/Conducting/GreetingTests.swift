import BasculeCrypto
import BasculeModel
import BasculeProtocol
import Testing

@testable import BasculeConducting

/// The controller's side of a connection against a node that lies: it must show that it holds the node's key, and
/// every answer must be this connection's next one (faults 37 and 40).
@Suite struct GreetingTests {
    let node: SealingKeyPair
    let keys: SigningKeyPair

    init() throws { (node, keys) = (try SealingKeyPair(), try SigningKeyPair()) }

    private func greeting(machine: String? = "m", key: String? = nil) throws -> LinkGreeting {
        try LinkGreeting(
            node: "vps1", holder: "t", machine: machine, sealingKeys: [key ?? Hex.encode(node.publicKey)],
            signer: RequestSigner(keys: keys, epoch: 3, serial: { $0 + 1 }))
    }

    /// What an agent answers the greeting, and what binds its later answers.
    private func answer(
        _ hello: Hello, by pair: SealingKeyPair? = nil, machine: String = "m", claiming: SealingKeyPair? = nil
    ) throws -> (Frame, LinkBinding) {
        let pair = pair ?? node
        var welcome = Welcome(
            version: 1, product: "t", machine: machine, architecture: "x86_64",
            sealingKey: Hex.encode((claiming ?? pair).publicKey), capabilities: [], secretsTag: nil, epoch: 3,
            migrationAttempt: 0, t0: nil, nonce: "n", serial: 7)
        let binding = try LinkBinding(
            own: pair, peer: Hex.decode(hello.key ?? "") ?? [], transcript: welcome.transcript)
        welcome.proof = binding.proof
        return (Frame(.reply, id: 0, body: try Wire.encode(Reply.welcome(welcome))), binding)
    }

    private func code(_ body: () throws -> some Any) -> ErrorCode? {
        do {
            _ = try body()
            return nil
        } catch { return (error as? BasculeError)?.code }
    }

    @Test func thePinnedNodeIsMet() throws {
        var greeting = try greeting()
        var (frame, binding) = try answer(greeting.hello)
        #expect(try greeting.meet(frame).machine == "m" && greeting.isBound)
        let body = Array("{}".utf8)
        let reply = Frame(.reply, id: 4, body: body)
        let tagged = Frame(.reply, id: 4, body: body + binding.nextTag(head: reply.head, body: body[...]))
        #expect(try greeting.open(tagged) == body)
        #expect(code { try greeting.open(tagged) } == .forgedReply, "once more")
    }

    @Test func whoIsNotThePinnedNodeIsRefused() throws {
        let stranger = try SealingKeyPair()
        var one = try greeting()
        let other = try answer(one.hello, machine: "other").0
        #expect(code { try one.meet(other) } == .otherMachine)
        var two = try greeting()
        let fresh = try answer(two.hello, by: stranger).0
        #expect(code { try two.meet(fresh) } == .otherMachine, "the machine's name with another key")
        var three = try greeting()
        let liar = try answer(three.hello, by: stranger, claiming: node).0
        #expect(code { try three.meet(liar) } == .forgedReply, "the node's key named, and not held")
        var four = try greeting()
        let recorded = try answer(try greeting().hello).0
        #expect(code { try four.meet(recorded) } == .forgedReply, "the answer to an earlier greeting")
        #expect(!one.isBound && !two.isBound && !three.isBound && !four.isBound)
    }

    @Test func whatIsNotTheAnswerIsRefused() throws {
        var one = try greeting()
        let early = Frame(.reply, id: 5, body: try Wire.encode(Reply.accepted))
        #expect(code { try one.meet(early) } == .forgedReply)
        let other = Frame(.reply, id: 0, body: try Wire.encode(Reply.accepted))
        #expect(code { try one.meet(other) } == .protocolViolation)
        #expect(code { try one.open(early) } == .forgedReply)
        #expect(code { try one.sign(.leave) } == .defect, "nothing is signed for nobody")
    }

    @Test func requestsAreSignedForThisConnection() throws {
        var greeting = try greeting()
        _ = try greeting.meet(try answer(greeting.hello).0)
        let (first, second) = (try greeting.sign(.restore("s")), try greeting.sign(.leave))
        #expect(first.head == SignedHead(machine: "m", epoch: 3, serial: 8, nonce: "n", counter: 1))
        #expect(second.head == SignedHead(machine: "m", epoch: 3, serial: 8, nonce: "n", counter: 2))
        #expect(SigningKeyPair.verify(first.signature, of: first.signedBytes, by: keys.publicKey))
        #expect(!SigningKeyPair.verify(first.signature, of: second.signedBytes, by: keys.publicKey))
    }
}
