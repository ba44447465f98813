import BasculeCrypto
import BasculeModel
import BasculePlanning
import BasculeProtocol
import BasculeStore
import Foundation

/// A rollback after T0: ends the watch, then has the conductor go back over what it did.
package struct GoingBack: Sendable {
    let session: FleetSession
    let observer: RunObserver
    /// The segment that went forward.
    package let conducted: Segment
    package let plan: BackPlan

    /// nil where no migration of this store was ever conducted.
    package init?(_ session: FleetSession, observer: @escaping RunObserver) throws {
        let segments = try session.store.runs(limit: 1000).lazy.flatMap { try session.store.segments(of: $0.id) }
            .map(\.segment)
        guard let newest = segments.first(where: { $0.lease != nil && $0.steps.contains { $0.phase == .decide } })
        else { return nil }
        (self.session, self.observer, conducted) = (session, observer, newest)
        plan = BackPlan(newest)
    }

    /// Carries it out.
    package func run() async throws -> SegmentOutcome {
        let link = try await session.link(conducted.node)
        // The watch ends; what is open stays open until the way back itself closes it.
        do { _ = try await link.ask(.command(conducted.id, .rollback)) } catch let error as BasculeError
            where error.code == "unknown-segment"
        {}
        let id = PlanID(RandomBytes.identifier())
        let run = RunID(RandomBytes.identifier())
        let steps = plan.steps()
        let attempt = try session.store.migrationAttempt() + 1
        try session.store.save(
            Plan(
                id: id, fleet: session.fleet.name, topology: session.fleet.activeTopology.rawValue,
                revision: session.revision, created: Date().timeIntervalSince1970, steps: steps))
        try session.store.begin(run, of: id, through: nil)
        let segment = Segment(
            id: SegmentID("\(id).back.\(conducted.node)"), plan: id, run: run, node: conducted.node,
            epoch: session.epoch, serial: try session.store.next("serial"), steps: steps, onFailure: .compensate,
            lease: MigrationLease(seconds: plan.budget, ifAlone: .hold, attempt: attempt))
        let outcome = try await SegmentDelivery(session: session, observer: observer, patience: .seconds(120)).run(
            segment)
        try session.store.end(
            run, outcome: outcome.status == .converged ? "converged" : "failed",
            summary: "rollback after T0: \(outcome.status.rawValue)")
        if outcome.status == .converged {
            // This attempt's number is used up as well.
            try session.store.beginNextAttempt()
            try session.store.beginNextAttempt()
        }
        return outcome
    }
}
