import BasculeModel
import CLibSSH2

/// A logged-in connection. It lives on its transport's thread and never leaves it.
///
/// Every request may be cancelled and takes a deadline. What a remote command did is known only from what it wrote:
/// libssh2 reports exit status 0 for a command that was cut off, so only a framed result counts.
package actor SSHSession {
    /// Where it is connected to.
    package nonisolated let endpoint: SSHEndpoint
    nonisolated let transport: SSHTransport
    nonisolated var loop: SSHLoop { transport.loop }
    /// The transport's thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { transport.loop.asUnownedSerialExecutor() }

    /// The key that the host presented and the policy accepted.
    package internal(set) var hostKey: HostKey?
    var core: SSHCore?
    private var closeCause: String? = "it was closed here"
    var channels: [Int: Channel] = [:]
    var lastChannel = 0
    /// libssh2 keeps the state of one channel being opened in the session.
    let opening: TaskGate

    init(endpoint: SSHEndpoint, transport: SSHTransport) {
        self.endpoint = endpoint
        self.transport = transport
        opening = TaskGate(loop: transport.loop)
    }

    isolated deinit { core = nil }

    /// Whether the connection stands, as far as this machine knows.
    package var isOpen: Bool {
        core.map { !$0.socket.ended && $0.socket.failure == nil && !$0.socket.isHungUp } ?? false
    }

    /// Says goodbye and frees everything; requests under way fail with `ssh-disconnected`. Closing twice is fine.
    package func close() {
        guard let core else { return }
        if !core.socket.ended {
            core.socket.beginTurn()
            _ = libssh2_session_disconnect_ex(core.session, SSH_DISCONNECT_BY_APPLICATION, "done", "")
            core.socket.flush()
        }
        drop()
    }

    func drop() {
        guard let core else { return }
        for channel in channels.values { channel.handle = nil }
        channels = [:]
        self.core = nil
        core.source.waiters.wakeAll()
    }

    /// Calls into libssh2 until it no longer says "try again": the one place that knows EAGAIN.
    ///
    /// `call` must repeat the very same request each time. Returns libssh2's result; a broken connection, a deadline or
    /// a cancellation throws. Data that arrived before a break is still delivered.
    func drive(
        _ waitedFor: String, until deadline: Instant?, cancellable: Bool = true, _ call: (SSHCore) throws -> Int
    ) async throws -> Int {
        while true {
            if cancellable && Task.isCancelled { throw SSHFailure.cancelled().placed(at: place) }
            guard let core else { throw SSHFailure.disconnected(closeCause).placed(at: place) }
            if let deadline, ContinuousClock.now >= deadline {
                throw SSHFailure.late(waitedFor).placed(at: place)
            }
            let (socket, source) = (core.socket, core.source)
            socket.beginTurn()
            let before = socket.received
            let result = try call(core)
            socket.flush()
            // Its input is everybody's: another request's answer may just have been read.
            if socket.received != before { source.waiters.wakeAll() }
            if let failure = socket.failure {
                closeCause = failure.message
                drop()
                throw failure.placed(at: place)
            }
            if result != Int(LIBSSH2_ERROR_EAGAIN) { return result }
            if socket.ended {
                closeCause = socket.endCause
                throw SSHFailure.disconnected(socket.endCause).placed(at: place)
            }
            do {
                try await source.wait(
                    socket.queued > 0 ? [.readable, .writable] : .readable, until: deadline, on: self)
            } catch is CancellationError {
                if cancellable { throw SSHFailure.cancelled().placed(at: place) }
            }
        }
    }

    nonisolated var place: Place { .thing("\(endpoint)") }

    /// The error behind a negative result: a broken connection, or `code` with libssh2's own words.
    func failed(_ code: ErrorCode, _ message: String, hint: String? = nil) -> BasculeError {
        guard let core else { return SSHFailure.disconnected(closeCause).placed(at: place) }
        if core.socket.ended { return SSHFailure.disconnected(core.socket.endCause).placed(at: place) }
        return BasculeError(code, message, at: place, cause: core.lastMessage(), hint: hint)
    }
}
