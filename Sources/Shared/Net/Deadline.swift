import Glibc

/// A moment on the monotonic clock by which something must have ended. Setting the wall clock does not move it.
package struct Deadline: Hashable, Comparable, Sendable {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    private let nanoseconds: UInt64

    private init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// So long from now; a negative duration counts as zero.
    package static func after(_ duration: Duration) -> Deadline {
        let parts = duration.components
        guard parts.seconds >= 0, parts.attoseconds >= 0 else { return Deadline(nanoseconds: Monotonic.now()) }
        let (whole, overflow) = UInt64(parts.seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, more) = Monotonic.now().addingReportingOverflow(whole)
        guard !overflow, !more, sum < UInt64.max - 1_000_000_000 else { return .never }
        return Deadline(nanoseconds: sum + UInt64(parts.attoseconds / 1_000_000_000))
    }

    /// So many seconds from now.
    package static func seconds(_ seconds: Double) -> Deadline { after(.seconds(seconds)) }

    /// No deadline at all.
    package static let never = Deadline(nanoseconds: .max)

    /// What is left, zero once it has passed.
    package var remaining: Duration { .nanoseconds(Int64(min(left, UInt64(Int64.max)))) }

    /// Whether it has passed.
    package var passed: Bool { left == 0 }

    /// The earlier of two.
    package func earlier(_ other: Deadline) -> Deadline { min(self, other) }

    package static func < (left: Deadline, right: Deadline) -> Bool { left.nanoseconds < right.nanoseconds }

    private var left: UInt64 {
        let now = Monotonic.now()
        return nanoseconds > now ? nanoseconds - now : 0
    }

    /// For `poll`: rounded up so that a wait never spins, -1 for no deadline.
    var pollMilliseconds: Int32 {
        guard self != .never else { return -1 }
        return Int32(min((left + 999_999) / 1_000_000, UInt64(Int32.max)))
    }

    /// A share of what is left, for trying several addresses one after the other.
    func share(of parts: Int) -> Deadline {
        guard self != .never, parts > 1 else { return self }
        return Deadline(nanoseconds: Monotonic.now() + left / UInt64(parts))
    }
}

/// The monotonic clock.
package enum Monotonic {
    /// Nanoseconds since an arbitrary start.
    package static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Milliseconds between an earlier `now()` and this moment.
    package static func milliseconds(since start: UInt64) -> Double { Double(now() &- start) / 1_000_000 }

    /// Blocks the calling thread.
    package static func sleep(_ duration: Duration) {
        let parts = duration.components
        guard parts.seconds >= 0, parts.attoseconds >= 0 else { return }
        var wanted = timespec(tv_sec: Int(parts.seconds), tv_nsec: Int(parts.attoseconds / 1_000_000_000))
        var rest = timespec()
        while nanosleep(&wanted, &rest) != 0, errno == EINTR { wanted = rest }
    }
}
