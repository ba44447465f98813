import BasculeExecution
import BasculeModel
import BasculeProtocol

/// Owns the segments: accepts each once, runs it to its end whether or not anybody watches, and takes up after a crash
/// what had not ended.
package actor SegmentKeeper {
    /// Somebody who watches a segment.
    package typealias Watcher = @Sendable (Event) -> Void

    private struct Running {
        var segment: Segment
        var executor: StepExecutor
        var control: SegmentControl
    }

    private let services: AgentServices
    private var running: [SegmentID: Running] = [:]
    private var outcomes: [SegmentID: SegmentOutcome] = [:]
    private var watchers: [SegmentID: [Int: Watcher]] = [:]
    private var waiters: [SegmentID: [CheckedContinuation<SegmentOutcome, any Error>]] = [:]
    private var nextWatcher = 0
    private var recent: [AgentStatus.Activity] = []

    package init(services: AgentServices) { self.services = services }

    /// Takes up what the journal says was not finished. Call once, before listening.
    package func resume() throws {
        var segments: [SegmentID: Segment] = [:]
        var events: [SegmentID: [ExecutionEvent]] = [:]
        for record in try services.journal.records() {
            if case .accepted(let segment) = record.event { segments[record.segment] = segment }
            if case .ended(let outcome) = record.event {
                outcomes[record.segment] = outcome
                segments[record.segment] = nil
                events[record.segment] = nil
            } else {
                events[record.segment, default: []].append(record.event)
            }
        }
        for (id, segment) in segments.sorted(by: { $0.key < $1.key }) {
            services.log("taking up segment \(id) where it was cut")
            start(segment, history: ExecutionHistory(events[id] ?? []))
        }
    }

    /// Accepts a segment, or finds it again by its id. Throws where the controller's epoch is stale.
    package func accept(_ segment: Segment) throws {
        if running[segment.id] != nil || outcomes[segment.id] != nil { return }
        try services.identity.meet(epoch: segment.epoch, holder: segment.run.rawValue)
        if let lease = segment.lease { try services.identity.begin(attempt: lease.attempt) }
        _ = try services.journal.append(.accepted(segment), to: segment.id)
        start(segment, history: ExecutionHistory())
    }

    private func start(_ segment: Segment, history: ExecutionHistory) {
        let control = SegmentControl()
        let identity = services.identity
        let sink = SegmentSink(
            segment: segment.id, journal: services.journal,
            beforeRollback: {
                // The same compare-and-set as T0's: what is open is never rolled back, what is rolled back never opens.
                guard let attempt = segment.lease?.attempt else { return }
                guard try identity.decide(attempt: attempt, as: .rolledBack) == .rolledBack else {
                    throw BasculeError(.alreadyDecided, "T0 has passed: nothing goes back by itself", hint: "bascule rollback says what going back would lose")
                }
            }
        ) { [weak self] event in
            guard let self else { return }
            Task { await self.tell(event, of: segment.id) }
        }
        let performer = SegmentPerformer(segment: segment, services: services, control: control, history: history, sink: sink)
        let executor = StepExecutor(
            steps: segment.steps, onFailure: segment.onFailure, history: history, journal: sink, performer: performer)
        running[segment.id] = Running(segment: segment, executor: executor, control: control)
        Task {
            do {
                let outcome = try await executor.run()
                await sink.drain()
                finish(segment.id, .success(outcome))
            } catch {
                finish(segment.id, .failure(error))
            }
        }
    }

    private func finish(_ id: SegmentID, _ result: Result<SegmentOutcome, any Error>) {
        if case .success(let outcome) = result { outcomes[id] = outcome }
        if case .failure(let error) = result { services.log("segment \(id) stopped: \(error)") }
        if let ended = running.removeValue(forKey: id) {
            recent.append(activity(of: ended, ended: try? result.get().status))
            recent = recent.suffix(10)
        }
        for waiter in waiters.removeValue(forKey: id) ?? [] { waiter.resume(with: result) }
        watchers[id] = nil
    }

    private func tell(_ event: Event, of segment: SegmentID) {
        if case .journal(let record) = event { running[segment]?.control.note(record.event) }
        for watcher in (watchers[segment] ?? [:]).values { watcher(event) }
    }

    /// Watches a segment from a sequence number of the journal on; returns how it ended.
    package func watch(_ id: SegmentID, from first: Int, _ watcher: @escaping Watcher) async throws -> SegmentOutcome {
        let number = nextWatcher
        nextWatcher += 1
        for record in try services.journal.records(from: first, of: id) { watcher(.journal(record)) }
        if let outcome = outcomes[id] { return outcome }
        guard running[id] != nil else {
            throw BasculeError(.unknownSegment, "this node knows no segment \(id)", hint: "run bascule apply: it sends it again")
        }
        watchers[id, default: [:]][number] = watcher
        return try await withCheckedThrowingContinuation { waiters[id, default: []].append($0) }
    }

    /// Tells a running segment what the administrator wants.
    package func command(_ id: SegmentID, _ command: SegmentCommand) async throws {
        guard let target = running[id] else {
            throw BasculeError(.unknownSegment, "segment \(id) does not run", hint: "bascule now shows what runs")
        }
        switch command {
        case .go: target.control.decide(.go)
        case .noGo: target.control.decide(.noGo)
        case .hold: target.control.set(held: true)
        case .release: target.control.set(held: false)
        case .rollback:
            target.control.decide(.noGo)
            target.control.cancel()
            await target.executor.stop(reason: "the administrator asked for a rollback")
        }
    }

    /// What runs, and what ran last; oldest first.
    package func activities() -> [AgentStatus.Activity] {
        recent + running.values.map { activity(of: $0, ended: nil) }.sorted { $0.segment < $1.segment }
    }

    private func activity(of running: Running, ended: SegmentOutcome.Status?) -> AgentStatus.Activity {
        let state = running.control.view
        let steps = running.segment.steps
        let current = steps.filter { state.running.contains($0.id) }
        let next = steps.first { !state.running.contains($0.id) && !state.done.contains($0.id) }
        return AgentStatus.Activity(
            segment: running.segment.id, plan: running.segment.plan, phase: (current.first ?? next)?.phase ?? steps.last?.phase,
            running: current.map(\.title), next: next?.title, stepsDone: state.done.count, stepsTotal: steps.count,
            isCompensating: state.isCompensating, waitingForDecision: state.isWaitingForDecision,
            conducted: running.segment.lease != nil, leaseLeft: state.leaseEnds.map { max(0, $0 - WallClock.monotonic()) }, ended: ended)
    }
}

extension ErrorCode {
    /// A segment that the agent does not know, or that no longer runs.
    package static let unknownSegment: ErrorCode = "unknown-segment"
}

/// Writes a segment's events to the journal, then tells whoever watches.
final class SegmentSink: ExecutionJournal {
    private let segment: SegmentID
    private let journal: AgentJournal
    private let beforeRollback: @Sendable () throws -> Void
    private let tell: @Sendable (Event) -> Void

    init(
        segment: SegmentID, journal: AgentJournal, beforeRollback: @escaping @Sendable () throws -> Void,
        tell: @escaping @Sendable (Event) -> Void
    ) {
        (self.segment, self.journal, self.beforeRollback, self.tell) = (segment, journal, beforeRollback, tell)
    }

    func record(_ event: ExecutionEvent) throws {
        if case .rollingBack = event { try beforeRollback() }
        tell(.journal(try journal.append(event, to: segment)))
    }

    func progress(_ progress: StepProgress) { tell(.progress(progress)) }

    /// Lets events that were told just now reach their watchers first.
    func drain() async { for _ in 0..<8 { await Task.yield() } }
}
