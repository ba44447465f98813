import BasculeExecution
import BasculeModel
import BasculeResources
import Synchronization

/// Does the steps of one segment on this node.
final class SegmentPerformer: StepPerformer {
    let segment: Segment
    let services: AgentServices
    let control: SegmentControl
    let sink: SegmentSink
    /// What finished steps of this segment left for later ones.
    let outputs: Mutex<[StepID: StepOutput]>
    let lease: LeaseClock
    let edgeRenewal = EdgeRenewal()
    let unitsAhead: UnitsAhead

    init(
        segment: Segment, services: AgentServices, control: SegmentControl, history: ExecutionHistory, sink: SegmentSink
    ) {
        (self.segment, self.services, self.control, self.sink) = (segment, services, control, sink)
        unitsAhead = UnitsAhead(history)
        outputs = Mutex(history.results.compactMapValues(\.output))
        let begun = segment.steps.filter { history.begun.contains($0.id) }
        let opened = begun.contains { $0.phase == .open && history.results[$0.id]?.isGood == true }
        lease = LeaseClock(
            segment.lease, control: control, alreadyFrozen: !opened && begun.contains { $0.phase == .freeze })
        // A maintenance page that an earlier life of this agent put up has to be kept up by this one.
        let words = begun.compactMap { step -> (EdgeLink, EdgeMode)? in
            guard case .migrate(.edge(let link, let mode)) = step.action, history.results[step.id]?.isGood == true
            else { return nil }
            return history.compensations[step.id] == nil ? (link, mode) : nil
        }
        if let (link, mode) = words.last, mode == .maintenance { keepUp(link) }
    }

    /// Renews the old edge's maintenance lease until another word is said.
    func keepUp(_ link: EdgeLink) {
        let paths = services.paths
        edgeRenewal.start(every: Double(link.lease) / 3) { try? EdgeTelling.say(link, .maintenance, paths: paths) }
    }

    func perform(_ step: Step, attempt: Int, interrupted: Bool) async -> StepResult {
        let start = WallClock.monotonic()
        Failpoint.hit("agent.step.begin")
        while control.isHeld, !control.isCancelled { try? await Task.sleep(for: .milliseconds(200)) }
        var result: StepResult
        do {
            if step.phase == .freeze { lease.start() }
            if step.phase >= .freeze, step.phase <= .open { try lease.check() }
            result = try await act(step.action, step, interrupted: interrupted)
        } catch {
            let failure = BasculeError.wrapping(error, "the step failed").placed(
                at: .node(name: segment.node.rawValue, subject: step.title))
            result = StepResult(
                failure.code == .changedUnderneath ? .refused : .failed, failure.message, error: failure)
        }
        // Customers wait for the way back: what still runs beside a step that failed serves nobody.
        if !result.isGood, segment.onFailure == .compensate, step.phase < .open { control.cancel() }
        Failpoint.hit("agent.step.end")
        result.seconds = WallClock.monotonic() - start
        unitsAhead.ended(step.id, result)
        if let output = result.output { outputs.withLock { $0[step.id] = output } }
        return result
    }

    func compensate(_ step: Step, by action: StepAction) async -> StepResult {
        let start = WallClock.monotonic()
        // What cancelled the steps must not cancel their undoing, and the lease was the way forward's.
        lease.end()
        // The old system must serve again: what fails is tried again before a person is called.
        var last = StepResult(.failed, "not tried")
        for attempt in 0..<5 {
            if attempt > 0 { try? await Task.sleep(for: .seconds(1)) }
            control.uncancel()
            do {
                last = try await act(action, step, interrupted: attempt > 0)
            } catch {
                let failure = BasculeError.wrapping(error, "the compensation failed")
                last = StepResult(.failed, failure.message, error: failure)
            }
            if last.isGood { break }
        }
        last.seconds = WallClock.monotonic() - start
        return last
    }

    private func act(_ action: StepAction, _ step: Step, interrupted: Bool) async throws -> StepResult {
        switch action {
        case .converge(let items):
            if let seconds = step.confirmWithin {
                return try await converge(items, step, confirmedWithin: seconds, interrupted: interrupted)
            }
            return try await converge(items, step, interrupted: interrupted)
        case .data(let task): return try await move(task, step)
        case .migrate(let task): return try await migrate(task, step)
        case .provision, .bootstrap:
            throw BasculeError(.protocolViolation, "\(step.title) is the controller's to do, not an agent's")
        }
    }

    /// One line of progress for whoever watches.
    func progress(_ step: Step, _ line: String, _ fraction: Double? = nil) {
        sink.progress(StepProgress(step: step.id, line: line, fraction: fraction))
    }

    /// Seconds since 1970 and this node's name go into every piece of evidence.
    func evidence(
        _ subject: String, _ value: String, threshold: String? = nil, passed: Bool, measure: Double? = nil,
        unit: String? = nil
    ) -> Evidence {
        Evidence(
            subject, value: value, threshold: threshold, passed: passed, time: WallClock.now(),
            origin: segment.node.rawValue,
            measure: measure, unit: unit)
    }
}

extension ErrorCode {
    /// A resource is neither as it was when planned nor as desired: somebody changed it in between.
    package static let changedUnderneath: ErrorCode = "changed-underneath"
    /// A change was applied and the resource is still not as desired.
    package static let didNotConverge: ErrorCode = "did-not-converge"
    /// The freeze's lease ran out before T0.
    package static let leaseExpired: ErrorCode = "lease-expired"
}
