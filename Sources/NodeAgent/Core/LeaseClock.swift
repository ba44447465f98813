import BasculeModel
import Synchronization

/// The freeze's lease: from the first step of *freeze* to T0 there are only so many seconds.
final class LeaseClock: Sendable {
    private let lease: MigrationLease?
    private let control: SegmentControl
    /// On the monotonic clock.
    private let ends = Mutex<Double?>(nil)

    /// A freeze that began before a crash of the agent gets a lease of full length again: what was lost with the crash
    /// is how much of it was left, and the rollback needs time too.
    init(_ lease: MigrationLease?, control: SegmentControl, alreadyFrozen: Bool) {
        (self.lease, self.control) = (lease, control)
        if alreadyFrozen { start() }
    }

    func start() {
        guard let lease else { return }
        let began = ends.withLock { known in
            defer { if known == nil { known = WallClock.monotonic() + lease.seconds } }
            return known == nil
        }
        control.set(leaseEnds: ends.withLock { $0 })
        guard began, lease.ifAlone == .rollback else { return }
        // A step that hangs does not look at the clock itself.
        Task { [weak self, control] in
            while let left = self?.left {
                if left <= 0 { return control.cancel() }
                try? await Task.sleep(for: .seconds(min(left, 5) + 0.01))
            }
        }
    }

    /// T0 has passed, or the way back has begun: the lease is over.
    func end() {
        ends.withLock { $0 = nil }
        control.set(leaseEnds: nil)
    }

    /// Seconds left; nil where no lease runs.
    var left: Double? { ends.withLock { $0 }.map { $0 - WallClock.monotonic() } }

    func check() throws {
        guard let left, left <= 0, lease?.ifAlone == .rollback else { return }
        throw BasculeError(
            .leaseExpired, "the freeze took longer than its lease of \(Int(lease?.seconds ?? 0)) s",
            hint: "the old system serves again; widen migration.window.length or find out what was slow")
    }
}
