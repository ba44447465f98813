import BasculeExecution
import BasculeModel
import BasculeResources
import Synchronization

/// Files and links of units, written ahead of their steps: systemd reads all of its files again for every change of
/// one, which takes it 0.4 s on a full node of Debian 13, and a blank node gets some forty units.
///
/// Only units that do not run, whose packages are in, and whose steps were planned as conditional: what such a step
/// finds is judged when it begins, and now it finds its files as desired. What was changed for it counts as its own.
final class UnitsAhead: Sendable {
    private struct State {
        var begun: Set<StepID> = []
        var results: [StepID: StepResult]
        var changes: [ResourceID: Change] = [:]
    }

    /// Fewer are left to their steps.
    private static let worthwhile = 4
    private let state: Mutex<State>
    private let turn = Mutex(())

    init(_ history: ExecutionHistory) { state = Mutex(State(results: history.results)) }

    func ended(_ step: StepID, _ result: StepResult) { state.withLock { $0.results[step] = result } }

    /// What was changed ahead for this resource; given once.
    func change(of id: ResourceID) -> Change? { state.withLock { $0.changes.removeValue(forKey: id) } }

    /// The units whose files may be written now, this step's among them; none where it is not worth it. Whoever asks
    /// is about to begin `step`.
    func candidates(_ step: Step, _ segment: Segment) -> [DesiredResource] {
        state.withLock { state in
            let isFirst = state.begun.insert(step.id).inserted
            guard isFirst, Self.units(of: step) != nil else { return [] }
            let packages = Set(segment.steps.filter(Self.installs).map(\.id))
            let chosen = segment.steps.filter { other in
                guard other.phase == step.phase, Self.units(of: other) != nil,
                    other.id == step.id || (!state.begun.contains(other.id) && state.results[other.id] == nil)
                else { return false }
                return other.requires.allSatisfy { need in
                    state.results[need].map(\.isGood) ?? !packages.contains(need)
                }
            }
            guard chosen.count >= Self.worthwhile else { return [] }
            state.begun.formUnion(chosen.map(\.id))
            return chosen.flatMap { Self.units(of: $0) ?? [] }
        }
    }

    /// Writes what may be written before `step` begins; others wait until it stands.
    func write(before step: Step, of segment: Segment, _ context: NodeContext, _ services: AgentServices) throws {
        try turn.withLock { _ in
            let units = candidates(step, segment)
            guard !units.isEmpty else { return }
            let statuses = try UnitStatus.read(units.map(\.resource.name))
            let idle = units.filter { Self.mayBeWritten($0.resource.name, statuses[$0.resource.name]) }
            var captures: [(ResourceID, Capture)] = []
            var changes: [ResourceID: Change] = [:]
            var wanted: [UnitSpec] = []
            for (unit, seen) in zip(idle, ResourceKeeper.observe(idle, context)) {
                guard case .unit(let spec) = unit.resource,
                    case .change(let change) = unit.resource.verdict(seen.observed)
                else { continue }
                captures.append((unit.id, try ResourceKeeper.capture(unit, context)))
                changes[unit.id] = change
                wanted.append(spec)
            }
            guard !wanted.isEmpty else { return }
            services.healing.quiet(captures.map(\.0))
            try SnapshotKeeper(paths: services.paths).add(captures, to: segment.id, of: segment.plan)
            context.progress("files of \(wanted.count) units")
            Failpoint.hit("agent.units.ahead")
            state.withLock { $0.changes.merge(changes) { $1 } }
            do { try UnitKeeper.writeAhead(wanted, statuses, context) } catch {
                // Which step it concerns shows when that step does it itself.
                state.withLock { state in for id in changes.keys { state.changes[id] = nil } }
                context.progress(BasculeError.wrapping(error, "files of units").message)
            }
        }
    }

    /// A service that runs could start again by itself with half of what its step brings.
    private static func mayBeWritten(_ name: String, _ status: UnitStatus?) -> Bool {
        guard !UnitKeeper.isTemplate(name), let status else { return false }
        return name.hasSuffix(".timer") || ["inactive", "failed"].contains(status.active)
    }

    /// The units that a step brings to their state, where that is all it does and what it finds is judged by itself.
    private static func units(of step: Step) -> [DesiredResource]? {
        guard case .converge(let items) = step.action, step.confirmWithin == nil, step.compensation == nil else {
            return nil
        }
        for item in items {
            guard item.before == nil, case .unit(let spec) = item.desired.resource, !spec.masked,
                spec.state != .stopped
            else { return nil }
        }
        return items.map(\.desired)
    }

    private static func installs(_ step: Step) -> Bool {
        guard case .converge(let items) = step.action else { return false }
        return items.contains { [.package, .aptRepository].contains($0.desired.resource.kind) }
    }
}
