import BasculeCatalogue
import BasculeCrypto
import BasculeExecution
import BasculeModel
import BasculeProtocol
import BasculeStore
import Foundation

/// Carries a saved plan out, phase by phase: cuts each phase into segments, hands them to their agents at once, and
/// goes on when all have ended well.
package struct Runner: Sendable {
    package let session: FleetSession
    package let contact: FirstContact
    package let observer: RunObserver
    /// Phases after this one are not begun; nil for all.
    package let through: Phase?

    package init(session: FleetSession, contact: FirstContact, through: Phase? = nil, observer: @escaping RunObserver) {
        (self.session, self.contact, self.through, self.observer) = (session, contact, through, observer)
    }

    private var delivery: SegmentDelivery {
        SegmentDelivery(session: session, observer: observer, patience: .seconds(120))
    }

    /// Follows what an earlier run left running to its end. Returns the outcome of a conducted segment, if one was.
    package func settle() async throws -> SegmentOutcome? {
        var conducted: SegmentOutcome?
        for segment in try session.store.openSegments() {
            observer(.note("taking up \(segment.id), which an earlier run handed to \(segment.node)"))
            guard let outcome = try await delivery.attach(segment) else {
                try session.store.end(segment.id, SegmentOutcome(.failed, results: [:]))
                continue
            }
            if segment.lease != nil {
                conducted = outcome
                try note(conducted: outcome)
            }
        }
        try session.store.endInterruptedRuns()
        return conducted
    }

    /// Runs a plan. The plan is in the store already. `handsOver`: tells the nodes afterwards what the fleet file says.
    package func run(_ planned: Planned, handsOver: Bool = true) async throws -> RunReport {
        let start = Date()
        let run = RunID(RandomBytes.identifier())
        try await session.requireNewest()
        try session.store.begin(run, of: planned.plan.id, through: through?.rawValue)
        Failpoint.hit("controller.run.begun")
        var report = RunReport(run: run, plan: planned.plan.id, outcome: .converged, results: [:], seconds: 0)
        do {
            try await runPhases(planned, run, &report)
            if handsOver { await handOver(planned) }
        } catch {
            try? session.store.end(
                run, outcome: RunOutcome.failed.rawValue, summary: "\(BasculeError.wrapping(error, "failed").message)")
            throw error
        }
        report.seconds = Date().timeIntervalSince(start)
        try session.store.end(
            run, outcome: report.outcome.rawValue,
            summary: report.reason ?? "\(report.count(.done)) changed, \(report.count(.satisfied)) satisfied")
        return report
    }

    /// Tells every node what the fleet file says about it as a whole: what it keeps whole by itself from now on, and what
    /// it leaves alone because the fleet file no longer names it. A node that knows already is not asked.
    ///
    /// A node that is out of reach goes on with what it had; the next apply tells it.
    package func handOver(_ planned: Planned) async {
        guard planned.plan.revision == session.revision else { return }
        let nodes = session.usedNodes.filter { planned.unreachable[$0] == nil && !planned.late.contains($0) }
        await withTaskGroup(of: Void.self) { group in
            for node in nodes {
                group.addTask { await handOver(planned.compiled.resources[node] ?? [], to: node) }
            }
        }
    }

    private func handOver(_ resources: [DesiredResource], to node: NodeName) async {
        do {
            guard try session.isBootstrapped(node), try await session.endpoint(node) != nil else { return }
            let digest = Digest(of: try Wire.encode(resources))
            guard try await session.welcome(node).manifest != digest else { return }
            _ = try await session.link(node).ask(.manifest(resources))
        } catch {
            observer(
                .note("\(node) goes on with what it was told before: \(BasculeError.wrapping(error, "failed").message)")
            )
        }
    }

    private func runPhases(_ planned: Planned, _ run: RunID, _ report: inout RunReport) async throws {
        let phases = planned.plan.phases
        var lost: Set<NodeName> = []
        var closed: String?
        for phase in phases where !(phase.isConducted && phase != phases.first(where: \.isConducted)) {
            if let through, phase > through {
                guard report.outcome == .converged else { return }
                report.outcome = .stopped
                report.reason = "stopped before \(phase.rawValue), as --through \(through.rawValue) says"
                return
            }
            // Backups can be restored only once there is a node that makes them: provision and install go on.
            if let closed, phase >= .copy, planned.plan.migration != nil {
                guard report.outcome == .converged else { return }
                report.outcome = .stopped
                report.reason = closed
                return
            }
            let all = planned.plan.steps.filter { phase.isConducted ? $0.phase.isConducted : $0.phase == phase }
            let steps = all.filter { step in step.subject.map { !lost.contains($0) } ?? true }
            for step in all where !steps.contains(where: { $0.id == step.id }) {
                report.results[step.id] = StepResult(.skipped, "an earlier phase failed on \(step.subject ?? "it")")
            }
            if steps.isEmpty { continue }
            observer(.phase(phase, steps: steps.count))
            let before = report.outcome
            let results =
                phase.isConducted
                ? try await conduct(steps, planned, run, &report) : try await converge(phase, steps, planned, run)
            report.results.merge(results) { $1 }
            Failpoint.hit("controller.phase.ended")
            if report.outcome != before { return }
            let bad = steps.filter { results[$0.id].map { !$0.isGood } ?? true }
            guard let first = bad.first else { continue }
            if first.action == .migrate(.drilled) {
                closed = "stopped before copy: \(results[first.id]?.error?.message ?? first.title)"
                continue
            }
            if report.outcome == .converged {
                report.outcome = .failed
                report.reason =
                    "\(first.title): \(results[first.id]?.error?.message ?? results[first.id]?.summary ?? "not reached")"
            }
            // What a migration copies needs every node; configuration of the others does not need the one that failed.
            guard phase < .install || planned.plan.migration == nil, bad.allSatisfy({ $0.subject != nil }) else {
                return
            }
            lost.formUnion(bad.compactMap(\.subject))
        }
        guard report.outcome == .converged else { return }
        if planned.plan.phases.contains(.finish) { try session.store.set(.finished) }
    }

    private func converge(_ phase: Phase, _ steps: [Step], _ planned: Planned, _ run: RunID) async throws -> [StepID:
        StepResult]
    {
        var results: [StepID: StepResult] = [:]
        let own = steps.filter { $0.node == nil }
        if !own.isEmpty {
            let byID = Dictionary(own.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
            let journal = StoreJournal(store: session.store, run: run, observer: observer, steps: byID)
            let performer = ControllerPerformer(session: session, contact: contact, observer: observer)
            let executor = StepExecutor(
                steps: own, onFailure: .skipDependents, history: ExecutionHistory(), journal: journal,
                performer: performer)
            results = try await executor.run().results
        }
        let nodes = Set(steps.compactMap(\.node)).sorted()
        let outcomes = await withTaskGroup(of: Delivered.self) { group in
            for node in nodes {
                let mine = steps.filter { $0.node == node }
                group.addTask {
                    do {
                        return Delivered(
                            node: node,
                            result: .success(try await deliver(phase, mine, to: node, planned, run, lease: nil)))
                    } catch {
                        return Delivered(node: node, result: .failure(error))
                    }
                }
            }
            var outcomes: [NodeName: Result<SegmentOutcome, any Error>] = [:]
            for await delivered in group { outcomes[delivered.node] = delivered.result }
            return outcomes
        }
        for node in nodes {
            switch outcomes[node] {
            case .success(let outcome)?: results.merge(outcome.results) { $1 }
            case .failure(let error)?:
                // One node's silence is not the others' failure: its steps failed, theirs did not.
                let failure = BasculeError.wrapping(error, "the node could not be worked on").placed(
                    at: .node(name: node.rawValue, subject: nil))
                for step in steps where step.node == node {
                    let isFirst = step.id == steps.first { $0.node == node }?.id
                    let result =
                        isFirst
                        ? StepResult(.failed, failure.message, error: failure)
                        : StepResult(.skipped, "the node could not be worked on")
                    results[step.id] = result
                    observer(.finished(node, step, result))
                }
            case nil: break
            }
        }
        return results
    }

    /// A type of its own: an optimized build (Swift 6.3) damages a tuple with a `Result` on its way out of a task group.
    private struct Delivered: Sendable {
        var node: NodeName
        var result: Result<SegmentOutcome, any Error>
    }

    /// From freeze to watch: one segment, conducted by the target's agent, whoever else is there.
    private func conduct(_ steps: [Step], _ planned: Planned, _ run: RunID, _ report: inout RunReport) async throws
        -> [StepID: StepResult]
    {
        guard let conductor = planned.plan.migration?.conductor else {
            throw BasculeError(.defect, "a conducted phase without a conductor")
        }
        // What is read whole under the fence takes as long as the copy found.
        let whole = report.results.values.reduce(0.0) { sum, result in
            if case .data(.mysql(let found))? = result.output { sum + (found.again?.last ?? 0) } else { sum }
        }
        if let reason = WindowRule.refusal(
            session.fleet.migration?.window, now: Date(),
            forecast: whole + (planned.plan.migration?.outageExpected ?? 0), measured: whole,
            rollback: planned.plan.migration?.rollbackExpected ?? 0)
        {
            report.outcome = .stopped
            report.reason = reason
            return [:]
        }
        try session.store.set(.conducted)
        let outcome = try await deliver(.freeze, steps, to: conductor, planned, run, lease: planned.lease)
        try note(conducted: outcome)
        switch outcome.status {
        case .converged: break
        case .rolledBack:
            report.outcome = .rolledBack
            report.reason = reason(outcome, steps)
        case .failed:
            report.outcome = .stopped
            report.reason = reason(outcome, steps)
        case .stuck:
            report.outcome = .failed
            report.reason =
                "the rollback itself failed: \(outcome.compensations.values.first { !$0.isGood }?.error?.message ?? "look at the node")"
        }
        return outcome.results
    }

    private func reason(_ outcome: SegmentOutcome, _ steps: [Step]) -> String {
        let failed = steps.first {
            outcome.results[$0.id].map { $0.status == .failed || $0.status == .refused } ?? false
        }
        return failed.map { "\($0.title): \(outcome.results[$0.id]?.error?.message ?? "failed")" }
            ?? "the administrator asked for it"
    }

    /// Remembers what the conductor decided, so that the next plan begins where this one ended.
    private func note(conducted outcome: SegmentOutcome) throws {
        switch outcome.status {
        case .converged: try session.store.set(.opened)
        case .rolledBack: try session.store.beginNextAttempt()
        case .failed: try session.store.set(.opened)
        case .stuck: break
        }
    }

    private func deliver(
        _ phase: Phase, _ steps: [Step], to node: NodeName, _ planned: Planned, _ run: RunID, lease: MigrationLease?
    ) async throws -> SegmentOutcome {
        let filled = try await fill(steps, conductor: planned.plan.migration?.conductor)
        try await upload(filled, to: node, planned)
        try await session.giveSecrets(
            filled.reduce(into: []) { $0.formUnion($1.secrets) }, to: node, purposes: planned.compiled.secrets)
        let segment = Segment(
            id: SegmentID("\(planned.plan.id).\(phase.rawValue).\(node)"), plan: planned.plan.id, run: run, node: node,
            epoch: session.epoch,
            serial: try session.store.next("serial"), steps: filled,
            onFailure: lease == nil ? .skipDependents : .compensate, lease: lease)
        Failpoint.hit("controller.before.submit")
        let outcome = try await delivery.run(segment)
        let forgets = filled.contains { if case .migrate(.forgetSecrets) = $0.action { true } else { false } }
        if forgets { await session.secretsWereForgotten(on: node) }
        return outcome
    }

    /// What only the nodes know: the conductor's public key goes into the edge's step.
    private func fill(_ steps: [Step], conductor: NodeName?) async throws -> [Step] {
        var out = steps
        for index in out.indices {
            guard case .migrate(.prepareEdge(var spec)) = out[index].action, spec.conductorKey == nil, let conductor
            else { continue }
            guard case .publicKey(let line) = try await session.link(conductor).ask(.publicKey(purpose: "conductor"))
            else {
                throw BasculeError(.protocolViolation, "the conductor did not answer with a key")
            }
            spec.conductorKey = line
            out[index].action = .migrate(.prepareEdge(spec))
        }
        return out
    }

    private func upload(_ steps: [Step], to node: NodeName, _ planned: Planned) async throws {
        let needed = Set(steps.flatMap(\.blobs)).sorted()
        guard !needed.isEmpty else { return }
        let link = try await session.link(node)
        guard case .digests(let missing) = try await link.ask(.missingBlobs(needed)) else {
            throw BasculeError(.protocolViolation, "the agent did not say what it lacks")
        }
        for digest in missing {
            guard let blob = planned.blobs[digest] else {
                throw BasculeError(
                    .notFound, "the content \(digest.rawValue.prefix(12)) of the plan is not here any more",
                    hint: "plan again: bascule plan")
            }
            Failpoint.hit("controller.upload.before")
            try await link.upload(blob, as: digest)
            Failpoint.hit("controller.upload.after")
        }
    }
}

extension Step {
    /// The node that it is about, whoever does it.
    package var subject: NodeName? {
        switch action {
        case .provision(let node), .bootstrap(let node): node
        default: node
        }
    }

    /// The secrets that carrying it out, or undoing it, needs.
    var secrets: Set<SecretName> { action.secrets.union(compensation?.secrets ?? []) }

    /// The uploads that carrying it out needs.
    var blobs: [Digest] {
        guard case .converge(let items) = action else { return [] }
        return items.flatMap(\.desired.resource.blobs)
    }
}

extension StepAction {
    var secrets: Set<SecretName> {
        switch self {
        case .converge(let items): items.reduce(into: []) { $0.formUnion($1.desired.resource.secrets) }
        case .data(let task): task.secrets
        case .migrate(let task):
            switch task {
            case .fence(let task), .prove(let task): task.secrets
            case .journey(let gate): Set(gate.secrets.values)
            case .checkDNS(let change), .switchDNS(let change), .lowerTTL(let change): [change.tsig]
            case .watch(let criteria): Set((criteria.journey?.secrets.values).map(Array.init) ?? [])
            case .prepareEdge, .removeEdge, .edge, .site, .decide, .open, .forgetSecrets, .testAlert, .drilled: []
            }
        case .provision, .bootstrap: []
        }
    }
}
