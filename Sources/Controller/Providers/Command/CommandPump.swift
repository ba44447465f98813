import BasculeModel
import Foundation
import Glibc

/// One running child and its three pipes, served by one blocking thread.
struct CommandPump {
    private let pid: pid_t
    private let program: String
    private var input: Int32
    private var outputs: [Int32]
    private var pending: ArraySlice<UInt8>
    private var collected: [[UInt8]] = [[], []]
    private let limit: Int
    private let onOutput: (@Sendable ([UInt8]) -> Void)?

    init(
        _ argv: [String], stdin: [UInt8], environment: [String: String?], limit: Int,
        onOutput: (@Sendable ([UInt8]) -> Void)?
    ) throws {
        var pipes: [(reading: Int32, writing: Int32)] = []
        do {
            // Pipes, not sockets: programs reopen /dev/stdin.
            for _ in 0..<3 { pipes.append(try Spawn.pipe()) }
            pid = try Spawn.start(
                argv, environment: environment,
                descriptors: (pipes[0].reading, pipes[1].writing, pipes[2].writing), group: .own)
        } catch {
            for pipe in pipes {
                close(pipe.reading)
                close(pipe.writing)
            }
            throw error
        }
        for end in [pipes[0].reading, pipes[1].writing, pipes[2].writing] { close(end) }
        input = pipes[0].writing
        outputs = [pipes[1].reading, pipes[2].reading]
        for end in [input] + outputs { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        program = argv[0]
        pending = stdin[...]
        self.limit = limit
        self.onOutput = onOutput
    }

    /// Serves the pipes until the child has ended. A daemon that the child left behind may keep them open: that does
    /// not hold us up.
    mutating func run(deadline: Duration, wake: Int32) throws -> CommandResult {
        defer { closeAll() }
        blockBrokenPipes()
        let end = ContinuousClock.now.advanced(by: deadline)
        while true {
            feed()
            if let status = Spawn.poll(pid) {
                drain()
                return CommandResult(status: status, stdout: collected[0], stderr: collected[1])
            }
            if outputs.allSatisfy({ $0 < 0 }) && input < 0 {
                // Nothing left to serve: the end is near, and each look is cheap.
                usleep(500)
            }
            var interesting = [pollfd(fd: wake, events: Int16(POLLIN), revents: 0)]
            for output in outputs { interesting.append(pollfd(fd: output, events: Int16(POLLIN), revents: 0)) }
            interesting.append(pollfd(fd: input, events: Int16(POLLOUT), revents: 0))
            let open = outputs.contains { $0 >= 0 }
            _ = Glibc.poll(&interesting, nfds_t(interesting.count), open ? 20 : 1)
            if interesting[0].revents != 0 {
                stop()
                throw BasculeError(.cancelled, "\(program) was cancelled")
            }
            drain()
            if ContinuousClock.now >= end {
                stop()
                throw BasculeError(
                    .timedOut, "\(program) did not end within \(deadline)",
                    cause: CommandResult.tail(of: String(decoding: collected[1], as: UTF8.self)))
            }
        }
    }

    /// Writes what the child is ready to read, and closes its input at the end.
    private mutating func feed() {
        while input >= 0 {
            let count = pending.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
            if pending.isEmpty || (count < 0 && errno != EAGAIN && errno != EINTR) {
                close(input)
                input = -1
            } else if count > 0 {
                pending = pending.dropFirst(count)
            } else {
                return
            }
        }
    }

    /// Reads all that is there.
    private mutating func drain() {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        for index in outputs.indices {
            while outputs[index] >= 0 {
                let count = read(outputs[index], &buffer, buffer.count)
                if count > 0 {
                    onOutput?(Array(buffer[..<count]))
                    collected[index] += buffer[..<min(count, max(0, limit - collected[index].count))]
                } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
                    close(outputs[index])
                    outputs[index] = -1
                } else {
                    break
                }
            }
        }
    }

    /// Ends the whole process group: politely, then for good.
    private func stop() {
        kill(-pid, SIGTERM)
        for _ in 0..<100 {
            if Spawn.poll(pid) != nil {
                kill(-pid, SIGKILL)
                return
            }
            usleep(10_000)
        }
        kill(-pid, SIGKILL)
        _ = Spawn.wait(for: pid)
    }

    private mutating func closeAll() {
        for end in [input] + outputs where end >= 0 { close(end) }
        input = -1
        outputs = [-1, -1]
    }

    /// A child that ends without reading its input must not end us with SIGPIPE; only this thread is concerned.
    private func blockBrokenPipes() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }
}
