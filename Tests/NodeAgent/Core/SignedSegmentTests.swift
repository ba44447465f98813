import BasculeModel
import BasculeProtocol
import Glibc
import Testing

@testable import BasculeAgentCore

/// A segment at rest keeps its signature: what an agent takes up after a restart is verified again.
@Suite(.enabled(if: geteuid() == 0, "the agent's socket is root's")) struct SignedSegmentTests {
    let folder: Folder
    let signer: Signer

    init() throws {
        folder = try Folder()
        signer = try Signer()
        try signer.pin(at: folder)
    }

    /// Leaves a segment accepted and not begun, as a crash does.
    private func cut(_ house: House, _ id: SegmentID, journaled: Segment? = nil) throws -> Segment {
        let segment = house.segment(id, [house.file("\(id)")])
        let signed = try signer.signed(.submit(segment), machine: house.services.identity.machine, nonce: "n")
        try house.services.trust.keep(signed, of: id)
        _ = try house.services.journal.append(.accepted(journaled ?? segment), to: id)
        return segment
    }

    @Test func whatWasSignedIsTakenUp() async throws {
        let house = try House(folder)
        let segment = try cut(house, "s")
        #expect(try house.services.trust.segment("s") == segment)
        let later = try House(folder)
        try await later.keeper.resume()
        #expect(try await later.keeper.watch("s", from: 1) { _ in }.status == .converged)
        #expect(folder.exists("s"))
    }

    /// A node may be called like the end of a temporary file's name, and its segments are called after it.
    @Test(arguments: ["p.freeze.new", "p.freeze.part", "p.freeze.bascule-new"])
    func nothingThatIsNeededIsTakenForALeftover(_ id: SegmentID) async throws {
        let house = try House(folder)
        _ = try cut(house, id)
        Leftovers.remove(below: house.paths.state)
        let later = try House(folder)
        try await later.keeper.resume()
        #expect(try await later.keeper.watch(id, from: 1) { _ in }.status == .converged)
    }

    @Test func aTamperedJournalIsRefused() async throws {
        let house = try House(folder)
        _ = try cut(house, "s", journaled: house.segment("s", [house.file("planted")]))
        try cut(house, "good").steps.forEach { _ in }
        let later = try House(folder)
        try await later.keeper.resume()
        let refused = await #expect(throws: BasculeError.self) {
            try await later.keeper.watch("s", from: 1) { _ in }
        }
        #expect(refused?.code == .badSignature)
        #expect(try await later.keeper.watch("good", from: 1) { _ in }.status == .converged)
        #expect(!folder.exists("planted") && !folder.exists("s"))
    }

    @Test(arguments: ["gone", "other key", "changed", "other id"]) func aTamperedSegmentIsRefused(how: String)
        async throws
    {
        let house = try House(folder)
        let segment = try cut(house, "s")
        let path = "\(folder.path)/state/segments/s.signed"
        let machine = house.services.identity.machine
        switch how {
        case "gone": unlink(path)
        case "other key":
            let forged = try Signer().signed(.submit(segment), machine: machine, nonce: "n")
            try DurableFile.write(forged.encoded, to: path)
        case "changed":
            var bytes = try #require(try DurableFile.read(path))
            bytes[bytes.count - 30] ^= 1
            try DurableFile.write(bytes, to: path)
        default:
            let other = try signer.signed(.submit(house.segment("t", [])), machine: machine, nonce: "n")
            try DurableFile.write(other.encoded, to: path)
        }
        let later = try House(folder)
        #expect(code { try later.services.trust.segment("s") } == .badSignature)
        try await later.keeper.resume()
        #expect(!folder.exists("s"))
    }

    /// After an adoption what the former controller had signed is still whole; what it signs now is not taken.
    @Test func anAdoptionDoesNotSpoilWhatWasSignedBefore() async throws {
        let house = try House(folder)
        _ = try cut(house, "s")
        var successor = try Signer()
        successor.epoch = 2
        try successor.pin(at: folder)
        let later = try House(folder)
        #expect(try later.services.trust.segment("s").id == "s")
        var old = signer
        old.epoch = 2
        let late = try old.signed(
            .submit(house.segment("late", [])), machine: house.services.identity.machine, nonce: "n")
        try later.services.trust.keep(late, of: "late")
        #expect(code { try later.services.trust.segment("late") } == .badSignature)
    }
}
