import BasculeExecution
import BasculeModel
import BasculeProtocol
import Glibc
import Testing

@testable import BasculeAgentCore

@Suite(.enabled(if: geteuid() == 0, "the agent's socket is root's")) struct SegmentTests {
    let house: House
    init() throws { house = try House() }

    private func inode(_ name: String) -> ino_t {
        var status = stat()
        return stat("\(house.folder.path)/\(name)", &status) == 0 ? status.st_ino : 0
    }

    private func deliver(_ segment: Segment) async throws -> (events: [Event], reply: Reply) {
        let peer = try Peer(house)
        try peer.send(.submit(segment))
        return try await peer.answer()
    }

    @Test func aSegmentRunsOnceHoweverOftenItIsDelivered() async throws {
        let segment = house.segment("s", [house.file("a"), house.file("b", requires: ["file/a"])])
        let (events, reply) = try await deliver(segment)
        #expect(reply.outcome?.status == .converged)
        #expect(reply.outcome?.results.mapValues(\.status) == ["file/a": .done, "file/b": .done])
        #expect(events.compactMap(\.record) == (try house.services.journal.records()))
        let before = (inode("a"), house.services.journal.lastSequence)
        let again = try await deliver(segment)
        #expect(again.reply == reply)
        #expect(again.events.compactMap(\.record) == (try house.services.journal.records()))
        #expect(inode("a") == before.0 && house.services.journal.lastSequence == before.1)
    }

    /// Nothing is lost and nothing overtakes: the store of the controller is made of these events.
    @Test func aWatcherSeesEveryRecordInOrderBeforeTheEnd() async throws {
        for round in 0..<4 {
            let steps = (0..<60).map { house.file("r\(round)-\($0)") }
            let peer = try Peer(house, seconds: 60)
            try peer.send(.submit(house.segment(SegmentID("s\(round)"), steps)))
            let (events, reply) = try await peer.answer()
            #expect(reply.outcome?.status == .converged)
            let seen = events.compactMap(\.record).map(\.sequence)
            let written = try house.services.journal.records(of: SegmentID("s\(round)")).map(\.sequence)
            #expect(seen == written, "round \(round)")
        }
    }

    @Test func aSegmentGoesOnWhenItsWatcherIsGone() async throws {
        let steps = (0..<20).map { house.file("f\($0)") }
        do { try Peer(house).send(.submit(house.segment("s", steps))) }
        #expect(
            try await eventually {
                try house.services.journal.records(of: "s").contains {
                    if case .ended = $0.event { true } else { false }
                }
            })
        let peer = try Peer(house)
        try peer.send(.attach("s", from: 3))
        let (events, reply) = try await peer.answer()
        #expect(reply.outcome?.status == .converged)
        #expect(events.compactMap(\.record) == (try house.services.journal.records(from: 3)))
    }

    /// An administrator closes the laptop: the connection stays, nobody reads, and everybody else is served.
    @Test(.timeLimit(.minutes(1))) func aWatcherThatReadsNothingHoldsUpNobody() async throws {
        let long = String(repeating: "x", count: 4000)
        let steps = (0..<100).map { house.file("f\($0)", id: StepID("\(long)\($0)")) }
        let stalled = try Peer(house)
        try stalled.send(.submit(house.segment("s", steps)))
        #expect(try await eventually { house.services.journal.lastSequence == 202 })
        let peer = try Peer(house, seconds: 4)
        guard case .status = try await peer.ask(.status) else { return #expect(Bool(false), "no status") }
        #expect(try await peer.ask(.command("s", .hold), id: 2).refusal == .unknownSegment)
        #expect(try await stalled.answer().reply.outcome?.status == .converged)
    }

    @Test func anUnknownSegmentIsSaid() async throws {
        let peer = try Peer(house)
        #expect(try await peer.ask(.attach("nobody", from: 1)).refusal == .unknownSegment)
        #expect(try await peer.ask(.command("nobody", .go), id: 2).refusal == .unknownSegment)
    }

    @Test func afterACrashTheNextUnfinishedStepIsDoneAndNoOther() async throws {
        let segment = house.segment(
            "s", [house.file("a"), house.file("b", requires: ["file/a"]), house.file("c", requires: ["file/b"])])
        let journal = house.services.journal
        _ = try journal.append(.accepted(segment), to: "s")
        _ = try journal.append(.started("file/a", attempt: 1), to: "s")
        _ = try journal.append(.finished("file/a", StepResult(.done)), to: "s")
        _ = try journal.append(.started("file/b", attempt: 1), to: "s")
        let later = try House(house.folder)
        try await later.keeper.resume()
        let outcome = try await later.keeper.watch("s", from: 1) { _ in }
        #expect(outcome.status == .converged)
        #expect(!house.folder.exists("a"), "a finished step was done again")
        #expect(house.folder.exists("b") && house.folder.exists("c"))
        let attempts = try later.services.journal.records(of: "s").compactMap {
            if case .started(let id, let attempt) = $0.event { "\(id) \(attempt)" } else { nil }
        }
        #expect(attempts == ["file/a 1", "file/b 1", "file/b 2", "file/c 1"])
        let third = try House(house.folder)
        try await third.keeper.resume()
        #expect(try await third.keeper.watch("s", from: 1) { _ in } == outcome)
    }

    /// T0's compare-and-set: once open, nothing goes back; a person has to look, and the segment has an end.
    @Test(.timeLimit(.minutes(1))) func whatIsOpenIsNotRolledBack() async throws {
        let segment = house.segment(
            "s", [house.file("a", undo: true), house.impossible("x", requires: ["file/a"])], .compensate, attempt: 1)
        try house.services.identity.begin(attempt: 1)
        #expect(try house.services.identity.decide(attempt: 1, as: .open) == .open)
        let peer = try Peer(house)
        let first = try await peer.ask(.submit(segment))
        #expect(first.outcome?.status == .stuck)
        #expect(!house.folder.exists("undone-a"))
        #expect(try await peer.ask(.submit(segment), id: 2) == first)
        #expect(house.services.identity.attempt?.t0 == .open)
    }

    @Test func aRollbackDecidesT0() async throws {
        let segment = house.segment(
            "s", [house.file("a", undo: true), house.impossible("x", requires: ["file/a"])], .compensate, attempt: 1)
        #expect(try await Peer(house).ask(.submit(segment)).outcome?.status == .rolledBack)
        #expect(house.folder.exists("undone-a"))
        #expect(house.services.identity.attempt?.t0 == .rolledBack)
    }

    /// The journal's disk is full in the middle: when there is room again, what was finished is not done again.
    @Test(.timeLimit(.minutes(1))) func aFullDiskNeverMakesAStepHappenTwice() async throws {
        let folder = try Folder()
        let journal = "\(folder.path)/state/journal"
        try DurableFile.makeDirectory(journal)
        guard mount("tmpfs", journal, "tmpfs", 0, "size=32k") == 0 else { return #expect(Bool(false), "no tmpfs") }
        defer { umount2(journal, Int32(MNT_DETACH)) }
        let house = try House(folder)
        var steps = [house.file("first")]
        for index in 0..<39 { steps.append(house.file("f\(index)", requires: [steps[index].id])) }
        let segment = house.segment("s", steps)
        let peer = try Peer(house)
        #expect(try await peer.ask(.submit(segment)).refusal == .diskFull)
        #expect(house.folder.exists("first"))
        let finished = try house.services.journal.records(of: "s").count {
            if case .finished = $0.event { true } else { false }
        }
        #expect(finished >= 1 && finished < steps.count)
        unlink("\(folder.path)/first")
        #expect(mount("tmpfs", journal, "tmpfs", UInt(MS_REMOUNT), "size=4m") == 0)
        #expect(try await peer.ask(.submit(segment), id: 2).outcome?.status == .converged)
        #expect(!house.folder.exists("first"), "a finished step was done again")
        #expect(house.folder.exists("f38"))
    }
}
