import Glibc

/// Wakes a thread that waits in `poll`.
final class WakePipe: Sendable {
    /// To be waited on.
    let reading: Int32
    private let writing: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw DurableFile.failure("make", "a pipe") }
        (reading, writing) = (ends[0], ends[1])
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
    }

    deinit {
        close(reading)
        close(writing)
    }

    /// Never waits: a full pipe wakes as well as one byte.
    func ring() {
        var byte: UInt8 = 1
        _ = write(writing, &byte, 1)
    }

    func drain() {
        var buffer = [UInt8](repeating: 0, count: 256)
        while read(reading, &buffer, buffer.count) > 0 {}
    }
}

/// A moment for another thread to end what it does.
func usleepBriefly() { usleep(2_000) }
