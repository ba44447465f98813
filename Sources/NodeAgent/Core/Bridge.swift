import BasculeModel
import Glibc

/// What the forced command runs: copies standard input and output to the agent's socket and back, nothing else.
package enum Bridge {
    /// Seconds in which an agent that was killed, upgraded or booted with its node listens again.
    private static let patience = 5.0

    /// Returns when either side has ended. Throws where no agent listens.
    /// - Parameter first: what the agent is told before anything of standard input.
    package static func run(socket path: String, saying first: [UInt8] = []) throws {
        let agent = try connect(path)
        defer { close(agent) }
        signal(SIGPIPE, SIG_IGN)
        guard writeAll(first[...], to: agent) else { return }
        var open = [
            pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
            pollfd(fd: agent, events: Int16(POLLIN), revents: 0),
        ]
        var buffer = [UInt8](repeating: 0, count: 262_144)
        while open[1].fd >= 0 {
            guard poll(&open, 2, -1) >= 0 || errno == EINTR else { return }
            for (index, sink) in [(0, agent), (1, STDOUT_FILENO)] where open[index].revents != 0 {
                let count = read(open[index].fd, &buffer, buffer.count)
                if count < 0, errno == EINTR || errno == EAGAIN { continue }
                if count <= 0 {
                    if index == 0 { shutdown(agent, Int32(SHUT_WR)) }
                    open[index].fd = -1
                    continue
                }
                guard writeAll(buffer[..<count], to: sink) else { return }
            }
        }
    }

    private static func connect(_ path: String) throws -> Int32 {
        let end = WallClock.monotonic() + patience
        while true {
            do { return try UnixSocket.connect(path) } catch {
                guard WallClock.monotonic() < end else { throw error }
                usleep(20_000)
            }
        }
    }

    private static func writeAll(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN {
                    var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&wait, 1, 1000)
                    continue
                }
                return false
            }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
