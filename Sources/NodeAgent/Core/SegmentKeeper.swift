import BasculeExecution
import BasculeModel
import BasculeProtocol
import Dispatch
import Synchronization

/// Owns the segments: accepts each once, runs it to its end whether or not anybody watches, and takes up after a crash
/// what had not ended.
package actor SegmentKeeper {
    /// Somebody who watches a segment.
    package typealias Watcher = @Sendable (Event) -> Void

    /// How many steps run at once. Most wait for systemd, and those that wait together share its reloads.
    private static let width = 8

    private struct Running {
        var segment: Segment
        var executor: StepExecutor
        var control: SegmentControl
    }

    private let services: AgentServices
    private var running: [SegmentID: Running] = [:]
    private var outcomes: [SegmentID: SegmentOutcome] = [:]
    private let audience = Audience()
    private var waiters: [SegmentID: [CheckedContinuation<SegmentOutcome, any Error>]] = [:]
    private var recent: [AgentStatus.Activity] = []
    /// Segments of the journal that are not what the controller signed: never run, and said so.
    private var tampered: [SegmentID: BasculeError] = [:]

    /// Releases by token that were cut: no controller signed them, so they are not taken up but put back.
    private(set) var cutReleases: [Segment] = []

    package init(services: AgentServices) { self.services = services }

    /// Takes up what the journal says was not finished. Call once, before listening.
    package func resume() throws {
        var segments: [SegmentID: Segment] = [:]
        var events: [SegmentID: [ExecutionEvent]] = [:]
        let records = try services.journal.records()
        services.healing.replay(records)
        for record in records {
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
            if ReleaseRun.isRelease(segment) {
                cutReleases.append(segment)
                continue
            }
            do {
                let verified = try services.trust.verified(segment)
                services.log("taking up segment \(id) where it was cut")
                start(verified, history: ExecutionHistory(events[id] ?? []))
            } catch {
                tampered[id] = BasculeError.wrapping(error, "the segment could not be verified")
                services.log("segment \(id) is not taken up: \(error)")
            }
        }
        services.healing.keepOnly(Set(running.keys))
        services.healing.pruneSigned(hasEnded: { outcomes[$0] != nil })
    }

    /// Accepts a segment, or finds it again by its id. Throws where the controller's epoch is stale.
    /// - Parameter signed: the request that brought it; it is kept, so that after a restart it is verified again.
    package func accept(_ segment: Segment, signed: SignedRequest?) throws {
        if running[segment.id] != nil || outcomes[segment.id] != nil { return }
        if let tampered = tampered[segment.id] { throw tampered }
        try services.identity.meet(epoch: segment.epoch, holder: segment.run.rawValue)
        if let lease = segment.lease { try services.identity.begin(attempt: lease.attempt) }
        // One that stopped before its end (the disk was full) goes on where its journal stopped.
        let known = try services.journal.records(of: segment.id).map(\.event)
        if let signed {
            try services.trust.keep(signed, of: segment.id)
        } else if services.trust.isPinned {
            throw BasculeError(.badSignature, "a segment must be signed by the fleet's controller")
        }
        let accepted =
            known.isEmpty
            ? try services.journal.append(.accepted(segment), to: segment.id)
            : try services.journal.records(of: segment.id).first
        // From here on healing leaves what the segment may change to it.
        if let accepted { services.healing.note(accepted) }
        start(segment, history: ExecutionHistory(known))
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
                    throw BasculeError(
                        .alreadyDecided, "T0 has passed: nothing goes back by itself",
                        hint: "bascule rollback says what going back would lose")
                }
            }
        ) { [audience, healing = services.healing] event in
            if case .journal(let record) = event {
                control.note(record.event)
                healing.note(record)
            }
            audience.tell(event, of: segment.id)
        }
        let performer = SegmentPerformer(
            segment: segment, services: services, control: control, history: history, sink: sink)
        let executor = StepExecutor(
            steps: segment.steps, onFailure: segment.onFailure, history: history, width: Self.width, journal: sink,
            performer: performer)
        running[segment.id] = Running(segment: segment, executor: executor, control: control)
        Task {
            do {
                finish(segment.id, .success(try await executor.run()))
            } catch let error as BasculeError where error.code == .alreadyDecided {
                // T0 has passed and a step failed: nothing goes back by itself, and a person has to look.
                services.log("segment \(segment.id): \(error)")
                finish(segment.id, Result { try endStuck(segment.id, sink) })
            } catch {
                finish(segment.id, .failure(error))
            }
        }
    }

    private func endStuck(_ id: SegmentID, _ sink: SegmentSink) throws -> SegmentOutcome {
        let history = ExecutionHistory(try services.journal.records(of: id).map(\.event))
        let outcome = SegmentOutcome(.stuck, results: history.results, compensations: history.compensations)
        try sink.record(.ended(outcome))
        return outcome
    }

    private func finish(_ id: SegmentID, _ result: Result<SegmentOutcome, any Error>) {
        if case .success(let outcome) = result { outcomes[id] = outcome }
        if case .failure(let error) = result {
            services.log("segment \(id) stopped: \(error)")
            services.healing.pause(id)
        }
        if let ended = running.removeValue(forKey: id) {
            recent.append(activity(of: ended, ended: try? result.get().status))
            recent = recent.suffix(10)
        }
        if services.trust.segmentCount > 2 * ControllerTrust.keptSegments {
            services.healing.pruneSigned(hasEnded: { outcomes[$0] != nil })
        }
        for waiter in waiters.removeValue(forKey: id) ?? [] { waiter.resume(with: result) }
    }

    /// Watches a segment from a sequence number of the journal on; returns how it ended.
    package func watch(_ id: SegmentID, from first: Int, _ watcher: @escaping Watcher) async throws -> SegmentOutcome {
        let seat = audience.seat(at: id, watcher)
        defer { audience.leave(seat, at: id) }
        seat.begin(with: try services.journal.records(from: first, of: id))
        let outcome: SegmentOutcome
        if let known = outcomes[id] {
            outcome = known
        } else if running[id] != nil {
            outcome = try await withCheckedThrowingContinuation { waiters[id, default: []].append($0) }
        } else if let tampered = tampered[id] {
            throw tampered
        } else {
            throw BasculeError(
                .unknownSegment, "this node knows no segment \(id)", hint: "run bascule apply: it sends it again")
        }
        await seat.drain()
        return outcome
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

    /// Throws while this agent conducts a migration: it must not be exchanged then.
    package func refuseWhileConducting() throws {
        guard let conducted = running.values.first(where: { $0.segment.lease != nil }) else { return }
        throw BasculeError(
            .conducting, "this agent conducts a migration in segment \(conducted.segment.id)",
            hint: "wait until bascule now says that it has ended")
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
            segment: running.segment.id, plan: running.segment.plan,
            phase: (current.first ?? next)?.phase ?? steps.last?.phase,
            running: current.map(\.title), next: next?.title, stepsDone: state.done.count, stepsTotal: steps.count,
            isCompensating: state.isCompensating, waitingForDecision: state.isWaitingForDecision,
            conducted: running.segment.lease != nil,
            leaseLeft: state.leaseEnds.map { max(0, $0 - WallClock.monotonic()) }, ended: ended)
    }
}

extension ErrorCode {
    /// What was asked has to wait for the end of the migration.
    package static let conducting: ErrorCode = "conducting"
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
}

/// Who watches which segment. Telling never waits for a watcher.
private final class Audience: Sendable {
    private let seats = Mutex<[SegmentID: [Seat]]>([:])

    func seat(at segment: SegmentID, _ watcher: @escaping SegmentKeeper.Watcher) -> Seat {
        let seat = Seat(watcher)
        seats.withLock { $0[segment, default: []].append(seat) }
        return seat
    }

    func leave(_ seat: Seat, at segment: SegmentID) {
        seats.withLock { all in
            all[segment]?.removeAll { $0 === seat }
            if all[segment]?.isEmpty ?? false { all[segment] = nil }
        }
    }

    func tell(_ event: Event, of segment: SegmentID) {
        for seat in seats.withLock({ $0[segment] ?? [] }) { seat.tell(event) }
    }
}

/// One watcher: told every record once and in order, on a queue of its own, so that a peer that reads nothing holds up
/// nobody else.
private final class Seat: Sendable {
    private struct State {
        /// Events that came before the past was told; nil from then on.
        var early: [Event]? = []
        /// The newest record that was told.
        var last = 0
        var waiting = 0
    }

    private let watcher: SegmentKeeper.Watcher
    private let queue = DispatchQueue(label: "bascule.watcher")
    private let state = Mutex(State())

    init(_ watcher: @escaping SegmentKeeper.Watcher) { self.watcher = watcher }

    func begin(with records: [JournalRecord]) {
        state.withLock { state in
            let early = state.early ?? []
            state.early = nil
            for event in records.map(Event.journal) + early { pass(event, &state) }
        }
    }

    func tell(_ event: Event) {
        state.withLock { state in
            if state.early != nil { state.early?.append(event) } else { pass(event, &state) }
        }
    }

    private func pass(_ event: Event, _ state: inout State) {
        if case .journal(let record) = event {
            guard record.sequence > state.last else { return }
            state.last = record.sequence
        } else if state.waiting > 100 {
            // Progress is for looking at: who is that far behind does not look.
            return
        }
        state.waiting += 1
        queue.async { [self] in
            watcher(event)
            self.state.withLock { $0.waiting -= 1 }
        }
    }

    /// Returns when everything that was told has reached the watcher.
    func drain() async { await withCheckedContinuation { continuation in queue.async { continuation.resume() } } }
}
