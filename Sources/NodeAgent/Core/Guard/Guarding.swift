import BasculeExecution
import BasculeModel
import BasculeNet
import BasculeResources

extension SegmentPerformer {
    /// Changes what could lock the administrator out, and keeps it only if a fresh login confirms it in time.
    func converge(_ items: [ConvergeItem], _ step: Step, confirmedWithin seconds: Double, interrupted: Bool)
        async throws -> StepResult
    {
        let (services, control, sink, segment) = (services, control, sink, segment)
        let login = services.loginGuard
        while login.isBusy(besides: segment.id, step.id) { try await Task.sleep(for: .milliseconds(100)) }
        let context = services.context(
            progress: { sink.progress(StepProgress(step: step.id, line: $0)) }, isCancelled: { control.isCancelled })
        let made = try await Blocking.run {
            try GuardedChange(items: items, step: step, segment: segment, services: services, context: context)
                .make(interrupted: interrupted)
        }
        let changes: [ResourceID: Change]
        switch made {
        case .nothing(let result): return result
        case .ended(let record): return try Self.settled(record, step, changes: [:])
        case .inForce(let made): changes = made
        }
        let left = try login.wait(segment.id, step.id, seconds: seconds)
        // The clock of /proc ticks in hundredths: a login from now on is later than the change by that clock too.
        try await Task.sleep(for: .milliseconds(20))
        try sink.record(.awaitingConfirmation(step.id, seconds: max(0, left)))
        while let record = login.record(segment.id, step.id) {
            if !record.isOpen { return try Self.settled(record, step, changes: changes) }
            try await Task.sleep(for: .milliseconds(50))
            guard record.state == .reverting || WallClock.sinceBoot() >= record.deadline else { continue }
            try await Blocking.run { login.revertOverdue(context) }
            if login.record(segment.id, step.id)?.isOpen == true { try await Task.sleep(for: .seconds(2)) }
        }
        throw BasculeError(.defect, "the record of a guarded change is gone")
    }

    private static func settled(_ record: LoginGuard.Record, _ step: Step, changes: [ResourceID: Change]) throws
        -> StepResult
    {
        guard record.state != .confirmed else {
            return StepResult(.done, "confirmed by a fresh login", changes: changes)
        }
        throw BasculeError(
            .revertedUnconfirmed,
            "\(step.title) was put back by the node itself: \(record.reason ?? "no fresh login confirmed it")",
            hint:
                "with this change nobody could have logged in any more; correct it in the fleet file, then apply again"
        )
    }
}

/// The work of one guarded step: resource after resource, each noted before it changes.
private struct GuardedChange {
    let items: [ConvergeItem]
    let step: Step
    let segment: Segment
    let services: AgentServices
    let context: NodeContext

    /// How far the step is once its own work is done.
    enum Made {
        case nothing(StepResult)
        /// An earlier life of the agent decided.
        case ended(LoginGuard.Record)
        case inForce([ResourceID: Change])
    }

    func make(interrupted: Bool) throws -> Made {
        let login = services.loginGuard
        if let known = login.record(segment.id, step.id), known.state != .applying {
            if known.state == .reverting {
                try login.revert(segment.id, step.id, because: known.reason ?? "it was not confirmed", context)
            }
            return known.state == .waiting ? .inForce([:]) : .ended(login.record(segment.id, step.id) ?? known)
        }
        services.healing.quiet(items.map(\.desired.id))
        do {
            let sockets = LoginServices.sshdSockets()
            var changes: [ResourceID: Change] = [:]
            var idle: [StepResult] = []
            for item in items {
                switch try make(item, interrupted: interrupted) {
                case .success(let change): changes[item.desired.id] = change
                case .failure(let nothing): idle.append(nothing.result)
                }
            }
            guard let record = login.record(segment.id, step.id) else {
                return .nothing(idle.first { $0.status == .unreachable } ?? idle.first ?? StepResult(.satisfied))
            }
            let resources = record.captures.map(\.resource)
            Failpoint.hit("agent.guard.applied")
            try LoginServices.check(resources)
            try LoginServices.bringIntoForce(resources, context)
            if resources.contains(where: { $0.loginRisk == .sshd }) { LoginServices.awaitSSHD(replacing: sockets) }
            Monotonic.sleep(.seconds(LoginServices.settling(resources)))
            return .inForce(changes)
        } catch {
            let cause = BasculeError.wrapping(error, "the change failed")
            do {
                try login.revert(segment.id, step.id, because: "the change failed: \(cause.message)", context)
            } catch { services.log("\(step.id) could not be put back yet: \(error)") }
            throw cause
        }
    }

    /// A resource for which nothing was to be done.
    private struct Idle: Error { var result: StepResult }

    private func make(_ item: ConvergeItem, interrupted: Bool) throws -> Result<Change, Idle> {
        let decided = try Convergence.decide(
            [item], ResourceKeeper.observe([item.desired], context), interrupted: interrupted)
        guard let (desired, change) = decided.changes.first else { return .failure(Idle(result: decided.nothingToDo)) }
        let capture = try ResourceKeeper.capture(desired, context)
        try services.loginGuard.arm(
            capture, unitRecord: LoginServices.unitRecord(desired.resource, context), for: step.id, of: segment.id)
        try SnapshotKeeper(paths: services.paths).add([(desired.id, capture)], to: segment.id, of: segment.plan)
        try ResourceKeeper.apply([(desired, change)], context)
        try Convergence.verify([desired], ResourceKeeper.observe([desired], context))
        return .success(change)
    }
}
