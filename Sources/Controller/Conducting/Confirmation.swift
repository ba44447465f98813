import BasculeModel
import BasculeProtocol
import Foundation
import Synchronization

/// Proves with fresh logins that a node can still be reached after a change that could have prevented it.
final class Confirmation: Sendable {
    private let session: FleetSession
    private let segment: Segment
    private let observer: RunObserver
    /// Until when the node waits, by step; it goes back by itself after that.
    private let waits = Mutex<[StepID: ContinuousClock.Instant]>([:])

    init(session: FleetSession, segment: Segment, observer: @escaping RunObserver) {
        (self.session, self.segment, self.observer) = (session, segment, observer)
    }

    /// How long refused logins have to be borne, because a change may yet go back; nil where nothing waits.
    var patience: Duration? {
        let last = waits.withLock { $0.values.max() }
        guard let last else { return nil }
        // Putting back takes its time too, and so does a restart of sshd.
        return max(.zero, last + .seconds(15) - .now)
    }

    /// Told by the node that a step waits. Called again when its journal is told again.
    func begin(_ step: StepID, seconds: Double) {
        let isNew = waits.withLock { waits in
            defer { waits[step] = waits[step] ?? .now + .seconds(seconds) }
            return waits[step] == nil
        }
        if isNew { Task { await prove(step, until: .now + .seconds(seconds)) } }
    }

    func end(_ step: StepID) { waits.withLock { $0[step] = nil } }

    /// Pauses grow, and refused logins are few: what bans guessers must not ban the controller.
    private func prove(_ step: StepID, until deadline: ContinuousClock.Instant) async {
        var pause = Duration.milliseconds(500)
        var refusals = 0
        while ContinuousClock.now < deadline, waits.withLock({ $0[step] != nil }) {
            do {
                return try await session.overFreshLogin(segment.node) { link in
                    _ = try await link.ask(.confirm(self.segment.id, step))
                }
            } catch let error as BasculeError {
                if error.code == "nothing-to-confirm" || error.code == "unknown-request" { return }
                if error.code == "ssh-auth-failed" { refusals += 1 }
                observer(.note("\(segment.node)  a fresh login failed: \(error.message) [\(error.code)]"))
                if refusals == 2 { return }
            } catch { return }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(8))
        }
    }
}
