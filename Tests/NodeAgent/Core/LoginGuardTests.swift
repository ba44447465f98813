import BasculeModel
import BasculeProtocol
import Glibc
import Synchronization
import Testing

@testable import BasculeAgentCore

/// The dead man's switch's memory, and whose word counts.
@Suite struct LoginGuardTests {
    private let house: House
    private let path: String
    private let segment: SegmentID = "s"

    init() throws {
        house = try House()
        path = "\(house.folder.path)/guard.json"
    }

    private func login(at time: Double?, boot: String = "now") throws -> LoginGuard {
        try LoginGuard(path: path, boot: boot, began: { _ in time })
    }

    /// A file that is to be put back to not being there.
    private func armed(_ login: LoginGuard, _ name: String = "risky") throws -> String {
        let desired = house.desired(name)
        let path = "\(house.folder.path)/\(name)"
        try login.arm(
            Capture(id: desired.id, resource: desired.resource, prior: .paths([path: PathSnapshot(type: .nothing)])),
            unitRecord: nil, for: "step", of: segment)
        try DurableFile.write([0x78], to: path)
        return path
    }

    @Test func onlyALoginThatIsNewerThanTheChangeCounts() throws {
        let now = WallClock.sinceBoot()
        for (time, wanted) in [
            (nil, ErrorCode.loginNotFresh), (now - 5, .loginNotFresh), (now + 60, nil),
        ] as [(Double?, ErrorCode?)] {
            unlink(path)
            let login = try login(at: time)
            _ = try armed(login)
            #expect(code { try login.confirm(segment, "step", peer: 1) } == .nothingToConfirm, "it is not in force yet")
            #expect(try login.wait(segment, "step", seconds: 30) > 29)
            #expect(code { try login.confirm(segment, "step", peer: 1) } == wanted)
            #expect(login.isPending == (wanted != nil))
            #expect(code { try login.confirm(segment, "other", peer: 1) } == .nothingToConfirm)
        }
    }

    @Test func whatNobodyConfirmsGoesBackAndItsTimeIsNotBegunAnew() throws {
        let login = try login(at: 1e12)
        let file = try armed(login)
        _ = try login.wait(segment, "step", seconds: 0.2)
        login.revertOverdue(house.services.context())
        #expect(access(file, F_OK) == 0, "its time is not over")
        // Another life of the agent knows as much as the first.
        let next = try self.login(at: 1e12)
        #expect(try next.wait(segment, "step", seconds: 30) < 0.3)
        usleep(250_000)
        #expect(code { try next.confirm(segment, "step", peer: 1) } == .nothingToConfirm, "it comes too late")
        next.revertOverdue(house.services.context())
        #expect(access(file, F_OK) != 0 && !next.isPending)
    }

    @Test func afterARebootItGoesBackAtOnceAndWhatWasConfirmedStays() throws {
        let before = try login(at: 1e12, boot: "first")
        let kept = try armed(before, "kept")
        _ = try before.wait(segment, "step", seconds: 600)
        try before.confirm(segment, "step", peer: 1)
        try before.arm(
            Capture(
                id: house.desired("lost").id, resource: house.desired("lost").resource,
                prior: .paths(["\(house.folder.path)/lost": PathSnapshot(type: .nothing)])), unitRecord: nil,
            for: "second", of: segment)
        try DurableFile.write([0x78], to: "\(house.folder.path)/lost")
        let after = try login(at: 1e12, boot: "second")
        after.recover(house.services.context())
        #expect(access(kept, F_OK) == 0 && !house.folder.exists("lost") && !after.isPending)
    }

    /// Over the real socket: the test's own process does not hang below an SSH server.
    @Test func aGuardedStepOfAConnectionWithoutALoginGoesBack() async throws {
        var step = house.file("guarded")
        step.confirmWithin = 1
        let peer = try Peer(house)
        try peer.send(.submit(house.segment("s", [step])), id: 1)
        let other = try Peer(house)
        let login = house.services.loginGuard
        #expect(try await eventually { login.record("s", step.id)?.state == .waiting })
        #expect(try await other.ask(.confirm("s", step.id)).refusal == .loginNotFresh)
        #expect(house.folder.exists("guarded"))
        let (events, reply) = try await peer.answer(to: 1)
        #expect(reply.outcome?.results[step.id]?.error?.code == .revertedUnconfirmed)
        #expect(!house.folder.exists("guarded"))
        let waits = events.compactMap(\.record).filter {
            if case .awaitingConfirmation(step.id, _) = $0.event { true } else { false }
        }
        #expect(waits.count == 1)
    }

    @Test(arguments: [
        (
            "12 (sshd) S 7 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9",
            FreshLogin.Member(parent: 7, isServer: true, began: 47.11)
        ),
        ("12 (sshd-session) S 7 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 100 9", .init(parent: 7, isServer: true, began: 1)),
        ("12 (a) (sshd) x) S 1 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 100 9", .init(parent: 1, isServer: false, began: 1)),
        ("12 (cut) S 1", nil), ("", nil), (")(", nil),
    ]) func aLineOfProc(_ line: String, _ wanted: FreshLogin.Member?) {
        #expect(FreshLogin.parse(line) == wanted)
    }
}
