import BasculeModel
import BasculeProtocol
import BasculeStore
import Foundation
import Synchronization

/// Hands one segment to its agent and follows it to its end, over as many connections as it takes.
struct SegmentDelivery: Sendable {
    let session: FleetSession
    let observer: RunObserver
    /// How long a node may be out of reach before the run gives up on it; the agent goes on by itself.
    let patience: Duration

    /// Delivers a segment. Throws where the agent refuses it or stays out of reach.
    func run(_ segment: Segment) async throws -> SegmentOutcome {
        try session.store.save(segment)
        Failpoint.hit("controller.segment.submit.before")
        return try await follow(segment) { link, onEvent in try await link.ask(.submit(segment), onEvent: onEvent) }
    }

    /// Finds a segment of an earlier run again and follows it to its end; nil where it never arrived.
    func attach(_ segment: Segment) async throws -> SegmentOutcome? {
        do {
            return try await follow(segment) { link, onEvent in
                try await link.ask(.attach(segment.id, from: 1), onEvent: onEvent)
            }
        } catch let error as BasculeError where error.code == "unknown-segment" {
            return nil
        }
    }

    private func follow(
        _ segment: Segment, _ ask: @escaping @Sendable (NodeLink, @escaping NodeLink.EventHandler) async throws -> Reply
    ) async throws -> SegmentOutcome {
        let steps = Dictionary(segment.steps.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        let seen = Mutex(0)
        let store = session.store
        let observer = observer
        let confirmation = Confirmation(session: session, segment: segment, observer: observer)
        let take: NodeLink.EventHandler = { event in
            switch event {
            case .journal(let record):
                // A second connection tells the journal from its beginning again.
                guard
                    seen.withLock({ last in
                        if record.sequence <= last { return false }
                        last = record.sequence
                        return true
                    })
                else { return }
                do { try store.add(record, of: segment.run, node: segment.node) } catch {
                    observer(.note("the store could not be written: \(error)"))
                }
                RunEvent.from(record.event, node: segment.node, steps: steps).map(observer)
                if case .awaitingConfirmation(let step, let seconds) = record.event {
                    confirmation.begin(step, seconds: seconds)
                }
                if case .finished(let step, _) = record.event { confirmation.end(step) }
            case .progress(let progress): observer(.progress(segment.node, progress))
            case .alive: break
            }
        }
        var lost: ContinuousClock.Instant?
        var pause = Duration.milliseconds(250)
        var refused = 0
        while true {
            do {
                let link = try await session.link(segment.node)
                (lost, pause, refused) = (nil, .milliseconds(250), 0)
                guard case .ended(let outcome) = try await ask(link, take) else {
                    throw BasculeError(.protocolViolation, "the agent did not say how the segment ended")
                }
                Failpoint.hit("controller.segment.acknowledged")
                try store.end(segment.id, outcome)
                return outcome
            } catch let error as BasculeError where SegmentDelivery.isPassing(error) {
                let began = lost ?? .now
                if lost == nil { observer(.reconnecting(segment.node, error)) }
                lost = began
                guard ContinuousClock.now - began < patience else { throw error }
                await session.drop(segment.node)
                try await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(8))
            } catch let error as BasculeError where error.code == "ssh-auth-failed" {
                // The very change that waits may be what refuses: the node takes it back, and lets us in again.
                // Few tries: what bans guessers must not ban the controller.
                guard let seconds = confirmation.unproven, refused < 4 else { throw error }
                if refused == 0 { observer(.reconnecting(segment.node, error)) }
                await session.drop(segment.node)
                try await Task.sleep(for: .seconds(refused == 0 ? seconds + 3 : 5))
                refused += 1
            }
        }
    }

    /// A connection that may come back, as opposed to an answer.
    private static func isPassing(_ error: BasculeError) -> Bool {
        [
            "link-lost", "ssh-disconnected", "ssh-unreachable", "ssh-refused", "ssh-timed-out", "ssh-dropped",
            "ssh-banner",
        ].contains(error.code)
    }
}

extension RunEvent {
    /// What a journal entry means for whoever watches the run; nil for what only the journal needs.
    static func from(_ event: ExecutionEvent, node: NodeName, steps: [StepID: Step]) -> RunEvent? {
        switch event {
        case .started(let id, _): steps[id].map { .started(node, $0) }
        case .finished(let id, let result): steps[id].map { .finished(node, $0, result) }
        case .rollingBack(let reason): .rollingBack(node, reason: reason)
        case .compensated(let id, let result): steps[id].map { .compensated(node, $0, result) }
        case .note(let text): .note(text)
        case .awaitingConfirmation(let id, let seconds):
            steps[id].map {
                .note(
                    "\(node)  \($0.title): proving it with a fresh login, else it goes back in \(seconds.durationText)")
            }
        case .accepted, .compensating, .ended: nil
        }
    }
}
