import Glibc

/// How much memory a loading session may take.
enum LoadMemory {
    /// Megabytes for one index build: an eighth of what the node has, shared, between 64 and 2048.
    static func maintenance(parallelism: Int) -> Int {
        let pages = sysconf(Int32(_SC_PHYS_PAGES))
        let size = sysconf(Int32(_SC_PAGESIZE))
        guard pages > 0, size > 0 else { return 64 }
        let share = pages / 1024 * size / 1024 / 8 / max(1, parallelism)
        return min(2048, max(64, share))
    }
}

/// A clock that only goes forward, in seconds.
enum MoveClock {
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
