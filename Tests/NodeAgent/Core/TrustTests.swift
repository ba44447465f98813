import BasculeCrypto
import BasculeModel
import BasculeProtocol
import Glibc
import Testing

@testable import BasculeAgentCore

/// Connections of the agent's user: what changes something needs the pinned controller's signature, and passes once.
@Suite(.enabled(if: geteuid() == 0, "the agent's socket is root's")) struct TrustTests {
    let folder: Folder
    var signer: Signer
    let house: House

    init() throws {
        folder = try Folder()
        signer = try Signer()
        try signer.pin(at: folder)
        house = try House(folder, door: .controller)
    }

    private var secrets: Request { .putSecrets([], tag: "t") }

    /// What a request of this signer is answered on a connection of its own.
    private func answer(_ request: Request, by signer: Signer, machine: String? = nil) async throws -> Reply {
        let peer = try Peer(house)
        let welcome = try await peer.greet(epoch: 99)
        return try await peer.ask(
            try signer.signed(request, machine: machine ?? welcome.machine, nonce: welcome.nonce))
    }

    @Test func withoutASignatureNothingChanges() async throws {
        let peer = try Peer(house)
        #expect(try await peer.ask(.status).refusal == .badSignature, "not even greeted")
        _ = try await peer.greet()
        let changing: [Request] = [
            secrets, .submit(house.segment("s", [house.file("a")])), .command("s", .go), .restore("s"),
            .edge(.old, lease: nil), .publicKey(purpose: "x"), .upgrade("x", trial: 60),
            .putBlob(Digest(of: "x"), size: 1),
            .keepBackup("x", number: 1), .leave,
        ]
        for (index, request) in changing.enumerated() {
            #expect(request.isMutating)
            #expect(try await peer.ask(request, id: UInt32(index + 2)).refusal == .badSignature, "\(request)")
        }
        guard case .status = try await peer.ask(.status, id: 50) else { return #expect(Bool(false), "no status") }
        #expect(!house.folder.exists("a") && house.services.journal.lastSequence == 0)
    }

    @Test func theControllersSegmentRuns() async throws {
        let reply = try await answer(.submit(house.segment("s", [house.file("a")])), by: signer)
        #expect(reply.outcome?.status == .converged)
        #expect(house.folder.exists("a") && house.services.identity.serial == 1)
    }

    @Test func everyBitOfARequestIsSigned() async throws {
        let peer = try Peer(house)
        let welcome = try await peer.greet()
        let good = try signer.signed(secrets, machine: welcome.machine, nonce: welcome.nonce).encoded
        for place in stride(from: 0, to: good.count, by: 7) {
            var bad = good
            bad[place] ^= 1
            try peer.send(try Frame(.signed, id: UInt32(place), body: bad).encoded())
            let refusal = try await peer.answer(to: UInt32(place)).reply.refusal
            #expect(refusal == .badSignature || refusal == .unknownRequest, "byte \(place): \(refusal ?? "taken")")
        }
        try peer.send(try Frame(.signed, id: 9999, body: Array(good.prefix(70))).encoded())
        #expect(try await peer.answer(to: 9999).reply.refusal == .unknownRequest)
        #expect(house.services.identity.secretsTag == nil)
        try peer.send(try Frame(.signed, id: 10_000, body: good).encoded())
        #expect(try await peer.answer(to: 10_000).reply == .accepted)
    }

    @Test func anotherKeyIsRefused() async throws {
        #expect(try await answer(secrets, by: try Signer()).refusal == .badSignature)
    }

    /// Fault 37: signed for the machine that was here before.
    @Test func anotherMachinesRequestIsRefused() async throws {
        let reply = try await answer(secrets, by: signer, machine: String(repeating: "0", count: 32))
        #expect(reply.refusal == .wrongMachine)
    }

    /// Fault 21 and 40: recorded and sent again, on the same connection and on another.
    @Test func aRequestPassesOnce() async throws {
        let peer = try Peer(house)
        let welcome = try await peer.greet()
        let request = try signer.signed(secrets, machine: welcome.machine, nonce: welcome.nonce)
        #expect(try await peer.ask(request) == .accepted)
        #expect(try await peer.ask(request, id: 2).refusal == .replayed)
        let next = try signer.signed(secrets, machine: welcome.machine, nonce: welcome.nonce, counter: 2)
        #expect(try await peer.ask(next, id: 3) == .accepted)
        let other = try Peer(house)
        _ = try await other.greet()
        #expect(try await other.ask(request).refusal == .replayed)
        #expect(try await other.ask(next, id: 2).refusal == .replayed)
    }

    /// Fault 8: what counts less than the node has seen is an old copy; two connections at once are none.
    @Test func anOldStoreIsRefused() async throws {
        var signer = signer
        signer.serial = 7
        #expect(try await answer(secrets, by: signer) == .accepted)
        for old in [1, 6, 7] {
            signer.serial = old
            #expect(try await answer(secrets, by: signer).refusal == .staleSerial, "serial \(old)")
        }
        let (first, second) = (try Peer(house), try Peer(house))
        let (one, two) = (try await first.greet(), try await second.greet())
        signer.serial = 9
        #expect(try await second.ask(signer.signed(secrets, machine: two.machine, nonce: two.nonce)) == .accepted)
        signer.serial = 8
        #expect(
            try await first.ask(signer.signed(secrets, machine: one.machine, nonce: one.nonce)) == .accepted,
            "its serial was taken before the other's came")
        // After a restart the agent knows what it has seen.
        let later = try House(folder, door: .controller)
        #expect(try await Peer(later).greet().serial == 9)
    }

    /// Faults 6 and 7: a higher epoch that shows itself by its signature locks the lower one out, also on connections
    /// that were greeted before.
    @Test func aSecondHolderOfALowerEpochIsRefusedEverywhere() async throws {
        let stale = try Peer(house)
        let before = try await stale.greet(epoch: 1)
        var successor = signer
        (successor.epoch, successor.serial) = (2, 5)
        #expect(try await answer(secrets, by: successor) == .accepted)
        var old = signer
        old.serial = 6
        for (index, request) in [secrets, .submit(house.segment("s", [house.file("a")])), .command("s", .go)]
            .enumerated()
        {
            let signed = try old.signed(request, machine: before.machine, nonce: before.nonce, counter: index + 1)
            #expect(try await stale.ask(signed, id: UInt32(index + 2)).refusal == .staleController)
        }
        let late = try Peer(house)
        await #expect(throws: BasculeError.self) { _ = try await late.greet(epoch: 1) }
        #expect(try await late.ask(.status, id: 2).refusal == .staleController, "after a refusal nothing is answered")
    }

    /// A greeting is not signed: a stranger with the fleet's key cannot lock the controller out by it.
    @Test func aGreetingRaisesNoEpoch() async throws {
        _ = try await Peer(house).greet(epoch: 1000)
        #expect(house.services.identity.epoch == 1)
        #expect(try await answer(secrets, by: signer) == .accepted)
    }

    @Test func anAdoptedNodeRefusesTheOldControllerAndSaysSo() async throws {
        var successor = try Signer()
        #expect(code { try successor.pin(at: folder) } == .staleController, "no take-over without a higher epoch")
        (successor.epoch, successor.serial) = (2, 40)
        try successor.pin(at: folder)
        let later = try House(folder, door: .controller)
        let peer = try Peer(later)
        let welcome = try await peer.greet(epoch: 2)
        #expect(welcome.epoch == 2)
        var old = signer
        (old.epoch, old.serial) = (3, 50)
        #expect(
            try await peer.ask(old.signed(secrets, machine: welcome.machine, nonce: welcome.nonce)).refusal
                == .staleController, "whatever epoch it claims")
        #expect(
            try await peer.ask(successor.signed(secrets, machine: welcome.machine, nonce: welcome.nonce), id: 2)
                == .accepted)
        #expect(code { try signer.pin(at: folder) } == .staleController, "nor does it come back by an installation")
    }

    @Test func theEdgesDoorUnderstandsItsWordsOnly() async throws {
        let door = try House(Folder(), door: .edge)
        let peer = try Peer(door)
        #expect(try await peer.ask(.status).refusal == .badSignature)
        #expect(try await peer.ask(.restore("s"), id: 2).refusal == .badSignature)
        let answer = try await peer.ask(.edge(.old, lease: nil), id: 3)
        #expect(answer.refusal != .badSignature, "\(answer)")
    }

    @Test func answersAreBoundToTheGreeting() async throws {
        let pair = try SealingKeyPair()
        let peer = try Peer(house)
        let hello = Hello(versions: [1], product: "t", epoch: 1, holder: "t", key: Hex.encode(pair.publicKey))
        guard case .welcome(let welcome) = try await peer.ask(.hello(hello)) else {
            return #expect(Bool(false), "no welcome")
        }
        var binding = try LinkBinding(
            own: pair, peer: try #require(Hex.decode(welcome.sealingKey)), transcript: welcome.transcript)
        #expect(binding.accepts(proof: try #require(welcome.proof)))
        try peer.send(.status, id: 2)
        let frame = try #require(try await peer.frame())
        var replay = binding
        let opened = binding.open(head: frame.head, body: frame.body)
        let body = try #require(opened)
        guard case .status = try Wire.decode(Reply.self, from: body) else { return #expect(Bool(false), "no status") }
        #expect(binding.open(head: frame.head, body: frame.body) == nil, "the same answer again")
        #expect(replay.open(head: Frame(.reply, id: 3, body: []).head, body: frame.body) == nil, "for another request")
    }
}
