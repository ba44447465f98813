import BasculeCatalogue
import BasculeCrypto
import BasculeExecution
import BasculeFleet
import BasculeModel
import BasculeProtocol
import BasculeProviders
import BasculeStore
import Foundation

/// Does the few steps that are the controller's own: creating nodes and putting the agent on them.
struct ControllerPerformer: StepPerformer {
    let session: FleetSession
    let contact: FirstContact
    let observer: RunObserver

    func perform(_ step: Step, attempt: Int, interrupted: Bool) async -> StepResult {
        let start = ContinuousClock.now
        var result: StepResult
        do {
            result = try await act(step)
        } catch {
            let failure = BasculeError.wrapping(error, "the step failed")
            result = StepResult(.failed, failure.message, error: failure)
        }
        let spent = ContinuousClock.now - start
        result.seconds = Double(spent.components.seconds) + Double(spent.components.attoseconds) / 1e18
        return result
    }

    func compensate(_ step: Step, by action: StepAction) async -> StepResult {
        StepResult(.satisfied, "nothing to undo")
    }

    private func act(_ step: Step) async throws -> StepResult {
        let say: @Sendable (String) -> Void = { [observer] in
            observer(.progress(nil, StepProgress(step: step.id, line: $0)))
        }
        switch step.action {
        case .provision(let node):
            guard let lab = session.lab, case .lab(let spec)? = session.fleet.nodes[node] else {
                throw BasculeError(.unsupported, "\(node) is not a throwaway node")
            }
            // What is known of a machine of that name that is gone is not true of the one that comes.
            if try await session.endpoint(node) == nil { try session.store.forget(node) }
            _ = try await lab.up(
                nodes: [LabNodeSpec.from(spec, name: node, key: try await session.fleetKey().publicLine)], progress: say
            )
            Failpoint.hit("controller.provision.after")
            await session.refreshLab()
            return StepResult(.done, "up")
        case .bootstrap(let node):
            try await Bootstrap(session: session, contact: contact, say: say).run(node)
            guard case .facts(let facts) = try await session.link(node).ask(.facts) else {
                throw BasculeError(.protocolViolation, "the agent answered something else than facts")
            }
            try session.store.save(facts, of: node)
            try Catalogue.checkCluster(
                node, facts,
                CompileContext(fleet: session.fleet, positions: session.positions, digest: { Digest(of: $0) }))
            return StepResult(.done, "\(facts.systemName), \(facts.processors) CPUs, \(facts.memory.bytesText)")
        case .migrate(.drilled): return try DrillGate.result(session.store, now: Date())
        case .converge, .data, .migrate:
            throw BasculeError(.defect, "\(step.title) is an agent's to do")
        }
    }
}

extension LabNodeSpec {
    /// A throwaway node as the fleet file declares it.
    package static func from(_ node: BasculeFleet.LabNode, name: NodeName, key: String) -> LabNodeSpec {
        LabNodeSpec(
            name: name, image: node.image == .debian13 ? .debian13 : .debian12, authorizedKeys: [key],
            disk: node.disk.map { .limited(megabytes: Int($0.bytes >> 20)) } ?? .host)
    }
}

/// The controller's own steps are journaled in the store.
struct StoreJournal: ExecutionJournal {
    let store: Store
    let run: RunID
    let observer: RunObserver
    let steps: [StepID: Step]
    let counter = Counter()

    func record(_ event: ExecutionEvent) throws {
        let record = JournalRecord(
            sequence: counter.next(), time: Date().timeIntervalSince1970, segment: SegmentID("\(run).controller"),
            event: event)
        try store.add(record, of: run, node: "controller")
        Failpoint.hit("controller.journal")
        switch event {
        case .started(let id, _): steps[id].map { observer(.started(nil, $0)) }
        case .finished(let id, let result): steps[id].map { observer(.finished(nil, $0, result)) }
        default: break
        }
    }
}
