import BasculeModel
import CLibSSH2

/// A remote command's stdin and stdout as a two-way stream of bytes, for as long as wanted.
///
/// One task may read while another writes. stderr is drained all the while; its last 64 KiB are kept.
package final class SSHStream: Sendable {
    /// The connection that carries it; kept alive by the stream.
    package let session: SSHSession
    private let id: Int

    init(session: SSHSession, id: Int) {
        self.session = session
        self.id = id
    }

    deinit {
        let (session, id) = (session, id)
        Task { await session.release(id) }
    }

    /// The next bytes, at most 64 KiB; nil at the end of the command's output. Waits without end unless told.
    package func read(deadline: Duration? = nil) async throws -> [UInt8]? {
        try await session.read(id, until: deadline.map { .now + $0 })
    }

    /// Writes all of it, in order with other writes. After a write that was cancelled or timed out only `close` works.
    package func write(_ bytes: [UInt8], deadline: Duration = .seconds(60)) async throws {
        try await session.write(id, bytes, until: .now + deadline)
    }

    /// Ends the command's input; its output can still be read.
    package func finishWriting() async throws { try await session.finishWriting(id) }

    /// The last 64 KiB that the command wrote to stderr so far.
    package func stderr() async -> [UInt8] { await session.stderr(id) }

    /// Closes the channel. Reads and writes under way fail. Closing twice is fine.
    package func close() async { await session.release(id) }
}

extension SSHSession {
    /// Starts a command and returns its stream: two round trips.
    package func openStream(_ command: String, window: UInt32 = 2 << 20, deadline: Duration = .seconds(15))
        async throws -> SSHStream
    {
        SSHStream(session: self, id: try await openChannel(command, window: window, until: .now + deadline))
    }

    fileprivate func read(_ id: Int, until deadline: Instant?) async throws -> [UInt8]? {
        let channel = try channel(id)
        var read: [UInt8] = []
        let result = try await drive("data from the command", until: deadline) { _ in
            channel.readStdout { read = Array($0) }
        }
        if result == Int(LIBSSH2_ERROR_CHANNEL_CLOSED), channel.handle == nil {
            throw SSHFailure.disconnected("the stream was closed here").placed(at: place)
        }
        if result < 0 { throw failed(.sshDisconnected, "the stream broke") }
        return result == 0 ? nil : read
    }

    fileprivate func write(_ id: Int, _ bytes: [UInt8], until deadline: Instant) async throws {
        let channel = try channel(id)
        try await channel.writing.enter(until: deadline, on: self)
        defer { channel.writing.leave() }
        guard !channel.broken else { throw SSHFailure.disconnected("an earlier write was given up").placed(at: place) }
        channel.broken = true
        var offset = 0
        while offset < bytes.count {
            let result = try await drive("the command to read", until: deadline) { core in
                _ = channel.drainStderr()
                let count = bytes.withUnsafeBytes {
                    channel.write(UnsafeRawBufferPointer(rebasing: $0[offset...]), core.socket)
                }
                if count == Int(LIBSSH2_ERROR_EAGAIN), channel.closedByPeer { return Int(LIBSSH2_ERROR_CHANNEL_CLOSED) }
                return count
            }
            if result < 0 { throw failed(.sshDisconnected, "the command no longer reads") }
            offset += result
        }
        channel.broken = false
    }

    fileprivate func finishWriting(_ id: Int) async throws {
        let channel = try channel(id)
        let deadline = ContinuousClock.now + .seconds(60)
        try await channel.writing.enter(until: deadline, on: self)
        defer { channel.writing.leave() }
        let result = try await drive("the end of the input", until: deadline) { _ in channel.sendEOF() }
        if result < 0 { throw failed(.sshDisconnected, "the stream broke") }
    }

    fileprivate func stderr(_ id: Int) -> [UInt8] {
        guard let channel = channels[id] else { return [] }
        channel.stderr.trim()
        return channel.stderr.bytes
    }
}
