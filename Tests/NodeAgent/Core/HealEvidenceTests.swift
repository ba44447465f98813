import BasculeModel
import BasculeProtocol
import Glibc
import Testing

@testable import BasculeAgentCore

/// What is healed after a restart is what the controller signed, and nothing else.
@Suite(.enabled(if: geteuid() == 0, "the agent's socket is root's")) struct HealEvidenceTests {
    let folder: Folder
    let signer: Signer

    init() throws {
        folder = try Folder()
        signer = try Signer()
        try signer.pin(at: folder)
    }

    private func say(_ request: Request, _ house: House, serial: Int) async throws -> Reply {
        var signer = signer
        signer.serial = serial
        let peer = try Peer(house)
        let welcome = try await peer.greet()
        return try await peer.ask(try signer.signed(request, machine: welcome.machine, nonce: welcome.nonce))
    }

    /// A node with one file by a segment and one by a manifest, which was there already.
    private func settled() async throws -> House {
        let house = try House(folder, door: .controller)
        try DurableFile.write(Array("x".utf8), to: "\(folder.path)/b", mode: 0o644)
        let done = try await say(.submit(house.segment("s", [house.file("a")])), house, serial: 1)
        #expect(done.outcome?.status == .converged)
        #expect(
            try await say(.manifest([house.desired("a"), house.desired("b")]), house, serial: 2) == .accepted)
        house.services.healing.state.withLock { house.services.healing.save(&$0) }
        return house
    }

    private func entries(_ house: House) -> Set<ResourceID> {
        house.services.healing.state.withLock { Set($0.set.entries.keys) }
    }

    @Test func whatWasSignedIsHealedAfterARestart() async throws {
        let known = entries(try await settled())
        #expect(!known.isEmpty)
        let later = try House(folder, door: .controller)
        try await later.keeper.resume()
        #expect(entries(later) == known)
        #expect(later.services.healing.status().suspended == nil)
    }

    @Test func aTamperedHealSetIsRefusedAndSaidUntilTheNextManifest() async throws {
        let house = try await settled()
        let text = String(decoding: try DurableFile.read(house.paths.healSet) ?? [], as: UTF8.self)
        let forged = text.replacing("\(folder.path)/a\"", with: "\(folder.path)/evil\"")
        #expect(forged != text)
        try DurableFile.write(Array(forged.utf8), to: house.paths.healSet)
        let later = try House(folder, door: .controller)
        try await later.keeper.resume()
        #expect(entries(later).isEmpty && later.services.healing.manifest == nil)
        #expect(later.services.healing.status().suspended?.contains("until the next apply") == true)
        let told = try later.services.healing.outbox.events(from: 1, limit: 100)
        #expect(told.contains { $0.error?.code == .badSignature })
        let again = try await say(.manifest([later.desired("a"), later.desired("b")]), later, serial: 9)
        #expect(again == .accepted && later.services.healing.status().suspended == nil)
        #expect(later.services.healing.manifest != nil)
    }

    @Test func oldSegmentsGoAndThoseThatBearSomethingOutStay() async throws {
        let house = try await settled()
        let machine = house.services.identity.machine
        for number in 0..<70 {
            let segment = house.segment(SegmentID("z\(number)"), [])
            try house.services.trust.keep(
                try signer.signed(.submit(segment), machine: machine, nonce: "n"), of: segment.id)
        }
        let open: SegmentID = "z0"
        house.services.healing.pruneSigned(hasEnded: { $0 != open })
        #expect(house.services.trust.segmentCount == ControllerTrust.keptSegments + 2)
        for kept in ["s", "z0", "z69"] { #expect(folder.exists("state/segments/\(kept).signed"), "\(kept)") }
    }
}
