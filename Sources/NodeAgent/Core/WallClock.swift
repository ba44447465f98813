import Glibc

/// The two clocks: one for people and other machines, one for deadlines.
package enum WallClock {
    /// Seconds since 1970.
    package static func now() -> Double { seconds(CLOCK_REALTIME) }
    /// Seconds that never jump.
    package static func monotonic() -> Double { seconds(CLOCK_MONOTONIC) }
    /// Seconds since the machine booted, its sleep included: the clock of `/proc`, and the same for all of a boot's
    /// lives of the agent.
    package static func sinceBoot() -> Double { seconds(CLOCK_BOOTTIME) }

    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
