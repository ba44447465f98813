import BasculeModel
import BasculeProtocol
import Foundation
import Synchronization

/// Proves with fresh logins that a node can still be reached after a change that could have prevented it.
final class Confirmation: Sendable {
    private let session: FleetSession
    private let segment: Segment
    private let observer: RunObserver
    private struct State {
        /// Steps that a login is to prove, or has proved.
        var begun: Set<StepID> = []
        var finished: Set<StepID> = []
    }
    private let state = Mutex(State())

    init(session: FleetSession, segment: Segment, observer: @escaping RunObserver) {
        (self.session, self.segment, self.observer) = (session, segment, observer)
    }

    /// Set while logins may be refused by the very change that is to be proved: after so many seconds the node has put
    /// back what was there. The connection may have broken before the node could say that it waits.
    var unproven: Double? {
        let finished = state.withLock { $0.finished }
        return segment.steps.filter { !finished.contains($0.id) }.compactMap(\.confirmWithin).max()
    }

    /// Told by the node that a step waits. Called again when its journal is told again.
    func begin(_ step: StepID, seconds: Double) {
        guard state.withLock({ $0.begun.insert(step).inserted }) else { return }
        Task { await prove(step, until: .now + .seconds(seconds)) }
    }

    func end(_ step: StepID) { state.withLock { _ = $0.finished.insert(step) } }

    /// Pauses grow, and refused logins are few: what bans guessers must not ban the controller.
    private func prove(_ step: StepID, until deadline: ContinuousClock.Instant) async {
        var pause = Duration.milliseconds(500)
        while ContinuousClock.now < deadline, !state.withLock({ $0.finished.contains(step) }) {
            do {
                return try await session.overFreshLogin(segment.node) { link in
                    _ = try await link.ask(.confirm(self.segment.id, step))
                }
            } catch let error as BasculeError {
                if error.code == "nothing-to-confirm" || error.code == "unknown-request" { return }
                observer(.note("\(segment.node)  a fresh login failed: \(error.message) [\(error.code)]"))
                // A refusal is an answer, and what bans guessers counts it.
                if error.code == "ssh-auth-failed" { return }
            } catch { return }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(8))
        }
    }
}
