import BasculeExecution
import BasculeModel
import BasculeProtocol
import Glibc
import Synchronization

/// Events that wait for a controller: on disk when noted, bounded by dropping the oldest half when a file is full.
///
/// Lines as in the journal: CRC-32, a space, JSON. Unlike the journal's, a damaged line costs only itself.
package final class Outbox: Sendable {
    private struct State {
        var descriptor: Int32
        var size: Int
        var sequence: Int
    }

    /// Bytes of one of the two files.
    private let limit: Int
    private let directory: String
    private let state: Mutex<State>
    private let clock: @Sendable () -> Double

    package init(directory: String, limit: Int = 1 << 20, clock: @escaping @Sendable () -> Double) throws {
        (self.directory, self.limit, self.clock) = (directory, limit, clock)
        try DurableFile.makeDirectory(directory)
        var last = 0
        for name in ["previous", "current"] {
            try Self.scan("\(directory)/\(name)") { last = max(last, $0.sequence) }
        }
        state = Mutex(State(descriptor: -1, size: 0, sequence: last))
        try state.withLock { try open(&$0) }
    }

    deinit { state.withLock { _ = close($0.descriptor) } }

    private var current: String { "\(directory)/current" }

    private func open(_ state: inout State) throws {
        state.descriptor = Glibc.open(current, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard state.descriptor >= 0 else { throw DurableFile.failure("open", current) }
        state.size = Int(lseek(state.descriptor, 0, SEEK_END))
        // A line that a power cut tore ends here; what follows begins on a line of its own.
        var end: UInt8 = 0x0A
        if state.size > 0 { pread(state.descriptor, &end, 1, off_t(state.size - 1)) }
        if end != 0x0A { try DurableFile.writeAll([0x0A], to: state.descriptor, path: current) }
        try DurableFile.syncDirectory(of: current)
    }

    /// Number of the newest event; 0 where there is none.
    package var last: Int { state.withLock { $0.sequence } }

    /// Notes events, numbered and dated here, and returns when they are on disk.
    package func append(_ events: [AgentEvent]) throws {
        guard !events.isEmpty else { return }
        try state.withLock { state in
            Failpoint.hit("agent.outbox.before")
            var lines: [UInt8] = []
            var number = state.sequence
            for event in events {
                number += 1
                var numbered = event
                (numbered.sequence, numbered.time) = (number, clock())
                let json = try Wire.encode(numbered)
                lines += Array(CRC32.text(of: json).utf8) + [0x20] + json + [0x0A]
            }
            if state.size > 0, state.size + lines.count > limit {
                guard rename(current, "\(directory)/previous") == 0 else {
                    throw DurableFile.failure("rename", current)
                }
                close(state.descriptor)
                try open(&state)
            }
            do {
                try DurableFile.writeAll(lines, to: state.descriptor, path: current)
                guard fdatasync(state.descriptor) == 0 else { throw DurableFile.failure("flush", current) }
            } catch {
                _ = ftruncate(state.descriptor, off_t(state.size))
                throw error
            }
            state.size += lines.count
            state.sequence = number
            Failpoint.hit("agent.outbox.after")
        }
    }

    /// Events from a number on, at most `limit`.
    package func events(from first: Int, limit: Int) throws -> [AgentEvent] {
        try state.withLock { _ in
            var found: [AgentEvent] = []
            for name in ["previous", "current"] {
                try Self.scan("\(directory)/\(name)") {
                    if $0.sequence >= first, found.count < limit { found.append($0) }
                }
            }
            return found
        }
    }

    /// Reads a file line by line, so that no more than a piece of it is in memory.
    private static func scan(_ path: String, _ take: (AgentEvent) -> Void) throws {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { return }
            throw DurableFile.failure("open", path)
        }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var rest: [UInt8] = []
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest += buffer[..<count]
            var start = 0
            while let end = rest[start...].firstIndex(of: 0x0A) {
                if let event = parse(rest[start..<end]) { take(event) }
                start = end + 1
            }
            rest.removeFirst(start)
        }
    }

    private static func parse(_ line: ArraySlice<UInt8>) -> AgentEvent? {
        guard line.count > 9 else { return nil }
        let json = Array(line.dropFirst(9))
        guard CRC32.text(of: json) == String(decoding: line.prefix(8), as: UTF8.self) else { return nil }
        return try? Wire.decode(AgentEvent.self, from: json)
    }
}
