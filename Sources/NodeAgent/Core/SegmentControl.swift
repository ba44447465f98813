import BasculeExecution
import BasculeModel
import Synchronization

/// What the administrator has said to a running segment, and a view of where it is.
final class SegmentControl: Sendable {
    struct View {
        var running: Set<StepID> = []
        var done: Set<StepID> = []
        var isCompensating = false
        var isWaitingForDecision = false
        /// On the monotonic clock.
        var leaseEnds: Double?
    }

    private struct State {
        var decision: Decision?
        var held = false
        var cancelled = false
        var view = View()
    }

    private let state = Mutex(State())

    func decide(_ decision: Decision) { state.withLock { $0.decision = $0.decision ?? decision } }
    func set(held: Bool) { state.withLock { $0.held = held } }
    func cancel() { state.withLock { $0.cancelled = true } }
    func uncancel() { state.withLock { $0.cancelled = false } }
    func set(waitingForDecision: Bool) { state.withLock { $0.view.isWaitingForDecision = waitingForDecision } }
    func set(leaseEnds: Double?) { state.withLock { $0.view.leaseEnds = leaseEnds } }

    var decision: Decision? { state.withLock { $0.decision } }
    var isHeld: Bool { state.withLock { $0.held } }
    var isCancelled: Bool { state.withLock { $0.cancelled } }
    var view: View { state.withLock { $0.view } }

    func note(_ event: ExecutionEvent) {
        state.withLock { state in
            switch event {
            case .started(let id, _): state.view.running.insert(id)
            case .finished(let id, _):
                state.view.running.remove(id)
                state.view.done.insert(id)
            case .rollingBack: state.view.isCompensating = true
            case .accepted, .compensating, .compensated, .note, .ended, .awaitingConfirmation: break
            }
        }
    }
}
