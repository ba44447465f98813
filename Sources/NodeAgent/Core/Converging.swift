import BasculeExecution
import BasculeModel
import BasculeResources

extension SegmentPerformer {
    /// Observes again, changes only what was planned, observes, verifies.
    func converge(_ items: [ConvergeItem], _ step: Step, interrupted: Bool) async throws -> StepResult {
        let services = services
        let control = control
        let (segment, sink, unitsAhead) = (segment, sink, unitsAhead)
        return try await Blocking.run {
            let context = services.context(
                progress: { sink.progress(StepProgress(step: step.id, line: $0)) }, isCancelled: { control.isCancelled }
            )
            services.healing.quiet(items.map(\.desired.id))
            try unitsAhead.write(before: step, of: segment, context, services)
            var decided = try Convergence.decide(
                items, ResourceKeeper.observe(items.map(\.desired), context), interrupted: interrupted)
            decided.ahead = items.compactMap { item in
                unitsAhead.change(of: item.desired.id).map { (item.desired, $0) }
            }
            guard !decided.changes.isEmpty else { return decided.nothingToDo }
            let captures = try decided.changes.map { ($0.0.id, try ResourceKeeper.capture($0.0, context)) }
            try SnapshotKeeper(paths: services.paths).add(captures, to: segment.id, of: segment.plan)
            Failpoint.hit("agent.converge.apply")
            try ResourceKeeper.apply(decided.changes, context)
            Failpoint.hit("agent.converge.verify")
            let after = ResourceKeeper.observe(decided.changes.map(\.0), context)
            try Convergence.verify(decided.changes.map(\.0), after)
            return decided.done
        }
    }
}

/// The decision of a converging step, pure: what to change, or why not.
struct Convergence {
    var changes: [(DesiredResource, Change)] = []
    var satisfied: [String] = []
    var unreachable: [String] = []
    /// What was changed for these resources before the step began.
    var ahead: [(DesiredResource, Change)] = []

    /// Throws `changed-underneath` where a resource is neither as it was when planned nor as desired. A step that was
    /// interrupted may find its own half-done work: what it finds then is judged anew.
    static func decide(_ items: [ConvergeItem], _ observations: [Observation], interrupted: Bool) throws -> Convergence
    {
        var result = Convergence()
        for (item, observation) in zip(items, observations) {
            switch item.desired.resource.verdict(observation.observed) {
            case .satisfied(let reason): result.satisfied.append(reason)
            case .unreachable(let reason):
                if case .unobservable = observation.observed {
                    throw BasculeError(
                        .didNotConverge, "\(item.desired.id) \(reason)", hint: "look at the node's journal")
                }
                result.unreachable.append(reason)
            case .change(let change):
                if let before = item.before, before != observation.digest, !interrupted {
                    throw BasculeError(
                        .changedUnderneath, "\(item.desired.id) changed after the plan was made",
                        hint: "look at what changed it, then plan again: bascule plan")
                }
                result.changes.append((item.desired, change))
            }
        }
        return result
    }

    /// Throws `did-not-converge` where a resource that was changed is not as desired.
    static func verify(_ resources: [DesiredResource], _ observations: [Observation]) throws {
        for (desired, observation) in zip(resources, observations) {
            guard case .change(let rest) = desired.resource.verdict(observation.observed) else { continue }
            let what = rest.differences.map {
                "\($0.attribute) is \($0.before ?? "absent"), not \($0.after ?? "absent")"
            }
            throw BasculeError(
                .didNotConverge,
                "\(desired.id) was changed and is still not as desired: \(what.joined(separator: "; "))",
                hint: "something else on the node may set it; look at the node's journal")
        }
    }

    var nothingToDo: StepResult {
        if !ahead.isEmpty { return done }
        return unreachable.isEmpty
            ? StepResult(.satisfied, satisfied.first ?? "nothing to do")
            : StepResult(.unreachable, unreachable.joined(separator: "; "))
    }

    /// All that was changed, ahead of the step and in it.
    var done: StepResult {
        let all = Dictionary((changes + ahead).map { ($0.0.id, $0.1) }, uniquingKeysWith: { $1 })
        let summary =
            all.count == 1
            ? all.values.flatMap(\.differences).map { "\($0.attribute)\($0.after.map { " → \($0)" } ?? "")" }
                .joined(separator: ", ")
            : "\(all.count) changes"
        return StepResult(.done, summary, changes: all)
    }
}
