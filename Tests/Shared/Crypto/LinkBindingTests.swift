import BasculeModel
import Testing

@testable import BasculeCrypto

@Suite struct LinkBindingTests {
    let controller: SealingKeyPair
    let node: SealingKeyPair
    private let head: [UInt8] = [2, 0, 0, 0, 1]

    init() throws { (controller, node) = (try SealingKeyPair(), try SealingKeyPair()) }

    private func sides(_ transcript: [UInt8] = [1], _ other: [UInt8] = [1]) throws -> (LinkBinding, LinkBinding) {
        (
            try LinkBinding(own: node, peer: controller.publicKey, transcript: transcript),
            try LinkBinding(own: controller, peer: node.publicKey, transcript: other)
        )
    }

    @Test func bothSidesHaveOneKey() throws {
        var (agent, link) = try sides()
        #expect(link.accepts(proof: agent.proof))
        for body in [[], [1, 2, 3], Array(repeating: UInt8(9), count: 70_000)] as [[UInt8]] {
            #expect(link.open(head: head, body: body + agent.nextTag(head: head, body: body[...])) == body)
        }
    }

    @Test func anythingElseIsRefused() throws {
        let (agent, link) = try sides()
        let stranger = try LinkBinding(own: try SealingKeyPair(), peer: controller.publicKey, transcript: [1])
        #expect(!link.accepts(proof: stranger.proof), "who does not hold the node's key")
        #expect(!(try sides([1], [2]).1.accepts(proof: agent.proof)), "another greeting")
        for text in ["", "00", "zz", String(agent.proof.dropLast(2))] { #expect(!link.accepts(proof: text)) }
        var sender = agent
        let first = [1] + sender.nextTag(head: head, body: [1])
        let second = [2] + sender.nextTag(head: head, body: [2])
        var (one, two, three) = (link, link, link)
        #expect(one.open(head: head, body: second) == nil, "left out")
        #expect(two.open(head: [2, 0, 0, 0, 2], body: first) == nil, "under another id")
        #expect(three.open(head: head, body: first) == [1] && three.open(head: head, body: first) == nil, "twice")
        var four = link
        #expect(four.open(head: head, body: Array(first.prefix(10))) == nil, "too short for a tag")
    }

    @Test func aKeyWithoutStrengthIsRefused() {
        for bad in [Array(repeating: UInt8(0), count: 32), [], [1]] as [[UInt8]] {
            let error = #expect(throws: BasculeError.self) {
                try LinkBinding(own: node, peer: bad, transcript: [])
            }
            #expect(error?.code == .invalidInput)
        }
    }
}
