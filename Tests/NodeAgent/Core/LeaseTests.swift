import BasculeModel
import BasculeProtocol
import Glibc
import Testing

@testable import BasculeAgentCore

/// The freeze's lease is over: what follows until T0 does not happen any more.
@Suite(.enabled(if: geteuid() == 0, "the agent's socket is root's")) struct LeaseTests {
    private func step(_ phase: Phase, _ task: MigrationTask, requires: [StepID]) -> Step {
        Step(
            id: StepID(phase.rawValue), phase: phase, node: "n", title: phase.rawValue, action: .migrate(task),
            requires: requires, reversal: .reversible(seconds: 0), estimate: 0)
    }

    /// Somebody holds the cutover right before T0 and forgets it: the lease ends, and the old system serves again.
    @Test(.timeLimit(.minutes(1))) func aLeaseThatEndsBeforeT0OpensNothing() async throws {
        let house = try House()
        var frozen = house.file("frozen", undo: true)
        frozen.phase = .freeze
        let decide = step(
            .decide, .decide(DecisionSpec(automatic: false, patience: 60, ifAlone: .rollback)), requires: [frozen.id])
        let open = step(.open, .open(domains: []), requires: [decide.id])
        var segment = house.segment("s", [frozen, decide, open], .compensate, attempt: 1)
        segment.lease?.seconds = 3
        let (peer, other) = (try Peer(house), try Peer(house))
        try peer.send(.submit(segment))
        var waits = false
        while !waits {
            try await Task.sleep(for: .milliseconds(10))
            if case .status(let status) = try await other.ask(.status) {
                waits = status.activities.last?.waitingForDecision ?? false
            }
        }
        #expect(try await other.ask(.command("s", .hold), id: 2).refusal == nil)
        #expect(try await other.ask(.command("s", .go), id: 3).refusal == nil)
        let outcome = try #require(try await peer.answer().reply.outcome)
        #expect(outcome.status == .rolledBack, "\(outcome.results)")
        #expect(outcome.results["open"]?.error?.code == .leaseExpired)
        #expect(house.folder.exists("undone-frozen"))
        #expect(house.services.identity.attempt?.t0 == .rolledBack)
    }
}
