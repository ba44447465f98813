import BasculeCrypto
import BasculeExecution
import BasculeModel
import BasculeProtocol
import BasculeResources
import Glibc

/// One release by token, from the archive to healthy instances, or back to the release of before.
struct ReleaseRun {
    private static let prefix = "token-"
    private let services: AgentServices

    init(_ services: AgentServices) { self.services = services }

    /// Whether a journaled segment is a release by token: no controller signed it.
    static func isRelease(_ segment: Segment) -> Bool { segment.id.rawValue.hasPrefix(prefix) }

    /// What would be released; throws where the token, the node's state or somebody's hold forbids it.
    func prepare(app: String, token: String, archive: Digest, size: Int) throws -> ReleaseScope {
        try TokenKeeper(services.paths).check(token, app: app)
        let scope = try ReleaseScope(
            app: app, archive: archive, size: size,
            accepted: services.healing.state.withLock { $0.set.entries.values.map(\.desired) })
        try services.healing.permitRelease(of: scope.ids)
        return scope
    }

    /// Releases, and returns when all instances run it and are healthy: one line for people. Throws when they do not;
    /// the release of before runs again then.
    func run(_ scope: ReleaseScope, token: String, progress: @escaping @Sendable (String) -> Void) throws -> String {
        let healing = services.healing
        try healing.claimRelease(of: scope.ids)
        defer { healing.endRelease(of: scope.ids) }
        let context = services.context(progress: progress)
        let (name, short) = (scope.app.app, String(scope.release.rawValue.prefix(12)))
        let step = Step(
            id: StepID("\(scope.node)/token-release:\(name)"), phase: .deploy, node: scope.node,
            title: "release \(name) by token \(token)",
            action: .converge(scope.after.map { ConvergeItem(desired: $0, before: nil, change: nil) }),
            reversal: .reversible(seconds: 15), estimate: 10)
        let id = Self.prefix + RandomBytes.identifier()
        let segment = Segment(
            id: SegmentID(id), plan: PlanID(id), run: RunID("token/\(token)"), node: scope.node,
            epoch: services.identity.epoch, serial: 0, steps: [step])
        try note(.accepted(segment), segment)
        try note(.started(step.id, attempt: 1), segment)
        do {
            let captures = try scope.before.map { ($0.id, try ResourceKeeper.capture($0, context)) }
            try SnapshotKeeper(paths: services.paths).add(captures, to: segment.id, of: segment.plan)
            let changes = self.changes(scope.after, context)
            try ResourceKeeper.apply(changes, context)
            try Convergence.verify(scope.after, ResourceKeeper.observe(scope.after, context))
            try ResourceKeeper.note(releaseOf: scope.app, by: token, context)
            let result = StepResult(
                changes.isEmpty ? .satisfied : .done, "release \(short)",
                changes: Dictionary(changes.map { ($0.0.id, $0.1) }, uniquingKeysWith: { $1 }))
            try end(step, result, .converged, segment)
            // What the fleet file says may be something else: the next apply compares anew.
            healing.forgetManifest()
            tell(scope, "released by token \(token): release \(short)", nil)
            return changes.isEmpty ? "release \(short) runs already" : "release \(short) runs"
        } catch {
            let failure = BasculeError.wrapping(error, "the release failed")
            putBack(scope.before, context)
            try? end(step, StepResult(.failed, failure.message, error: failure), .failed, segment)
            tell(scope, "token \(token) could not release \(short): \(failure.message)", failure)
            throw failure
        }
    }

    /// Puts back what a crash cut: what the node accepted before runs again.
    func recover(_ segments: [Segment]) {
        for segment in segments {
            let ids = segment.steps.flatMap { $0.action.resources.map(\.id) }
            guard (try? services.healing.claimRelease(of: ids)) != nil else { continue }
            Thread.detach { [self] in
                defer { services.healing.endRelease(of: ids) }
                let accepted = services.healing.state.withLock { state in
                    ids.compactMap { state.set.entries[$0]?.desired }
                }
                putBack(accepted, services.context(progress: services.log))
                try? note(.ended(SegmentOutcome(.rolledBack, results: [:])), segment)
                services.healing.tell([
                    AgentEvent(
                        sequence: 0, time: 0, kind: .note, resource: ids.last,
                        text: "a release (\(segment.run)) was cut; what was accepted before it is back")
                ])
            }
        }
    }

    private func changes(_ wanted: [DesiredResource], _ context: NodeContext) -> [(DesiredResource, Change)] {
        zip(wanted, ResourceKeeper.observe(wanted, context)).compactMap { desired, seen in
            guard case .change(let change) = desired.resource.verdict(seen.observed) else { return nil }
            return (desired, change)
        }
    }

    /// A rollout that fails goes back by itself; this is for what failed around it.
    private func putBack(_ accepted: [DesiredResource], _ context: NodeContext) {
        let apps = accepted.filter { $0.resource.kind == .app }
        do { try ResourceKeeper.apply(changes(apps, context), context) } catch {
            services.log("the release of before could not be put back: \(error)")
        }
    }

    private func end(
        _ step: Step, _ result: StepResult, _ status: SegmentOutcome.Status, _ segment: Segment
    ) throws {
        try note(.finished(step.id, result), segment)
        try note(.ended(SegmentOutcome(status, results: [step.id: result])), segment)
    }

    private func note(_ event: ExecutionEvent, _ segment: Segment) throws {
        services.healing.note(try services.journal.append(event, to: segment.id))
    }

    private func tell(_ scope: ReleaseScope, _ text: String, _ error: BasculeError?) {
        services.healing.tell([
            AgentEvent(sequence: 0, time: 0, kind: .note, resource: scope.ids.last, text: text, error: error)
        ])
    }
}

extension Healing {
    /// Throws while a migration is conducted, while an apply is at work on these, or where somebody holds them.
    func permitRelease(of ids: [ResourceID]) throws {
        try state.withLock { try permit(ids, $0) }
        let held = holds.active(at: WallClock.now()).first { $0.resource.map(ids.contains) ?? true }
        if let held {
            throw BasculeError(
                .resourceHeld, "somebody asked this node to leave \(held.resource?.rawValue ?? "everything") alone",
                hint: "bascule-agent release on the node ends the hold")
        }
        if edgeMode() == .maintenance {
            throw BasculeError(.conducting, "the maintenance page is up", hint: "release after the migration")
        }
    }

    private func permit(_ ids: [ResourceID], _ state: State) throws {
        if state.set.migration != nil {
            throw BasculeError(.conducting, "a migration is under way on this node", hint: "release after it")
        }
        if state.diskLow {
            throw BasculeError(.diskLow, "the node's disk is nearly full", hint: "make room, then release again")
        }
        guard state.set.inSegments.isDisjoint(with: ids), state.inWork.isDisjoint(with: ids),
            state.restoring.isDisjoint(with: ids)
        else { throw BasculeError(.segmentRuns, "the node is at work on this app", hint: "try again in a moment") }
    }

    /// Keeps heals and steps of an apply from these until `endRelease`.
    func claimRelease(of ids: [ResourceID]) throws {
        try state.withLock { state in
            try permit(ids, state)
            state.inWork.formUnion(ids)
        }
    }

    func endRelease(of ids: [ResourceID]) {
        state.withLock { state in
            state.inWork.subtract(ids)
            state.dirty.formUnion(ids)
        }
        wake.ring()
    }

    func forgetManifest() {
        state.withLock { state in
            state.set.manifest = nil
            save(&state)
        }
    }
}

extension ErrorCode {
    /// What was asked needs room that the node's disk does not have.
    package static let diskLow: ErrorCode = "disk-low"
}
