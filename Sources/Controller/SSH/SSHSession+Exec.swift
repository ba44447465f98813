import BasculeModel
import CLibSSH2

/// What a remote command left behind. Not proof of anything: see `exitStatus`.
package struct SSHOutput: Sendable {
    /// What the command wrote, up to the caller's cap. Bytes of a stranger.
    package var stdout: [UInt8]
    /// Output beyond the cap was read and thrown away.
    package var stdoutTruncated: Bool
    /// The last 64 KiB.
    package var stderr: [UInt8]
    /// The status that the server reported; nil if a signal ended the command. **0 is also what libssh2 says when the
    /// server reported nothing**: only a framed result counts.
    package var exitStatus: Int?
    /// The signal that ended the command, without `SIG`, such as `KILL`.
    package var exitSignal: String?

    /// `stdout` as text; bytes that are not UTF-8 become replacement characters.
    package var stdoutText: String { String(decoding: stdout, as: UTF8.self) }
    /// `stderr` as text, likewise.
    package var stderrText: String { String(decoding: stderr, as: UTF8.self) }
}

/// What a command reads.
package enum SSHInput: Sendable {
    /// Its input ends at once.
    case none
    /// All of these, then the end.
    case bytes([UInt8])
    /// Called for the next piece when the last is on its way; nil ends the input.
    case chunks(@Sendable () async throws -> [UInt8]?)
}

extension SSHSession {
    /// Runs a command to its end. `command` is what the remote shell, or the forced command, gets: build it from
    /// constants only. `stdoutLimit` caps what is kept; the rest is read and dropped. `window` is how much may be under
    /// way unread (2 MiB; 16 MiB for big downloads far away).
    package func exec(
        _ command: String, input: SSHInput = .none, stdoutLimit: Int = 16 << 20, window: UInt32 = 2 << 20,
        deadline: Duration = .seconds(60)
    ) async throws -> SSHOutput {
        let deadline = ContinuousClock.now + deadline
        let id = try await openChannel(command, window: window, until: deadline)
        defer { release(id) }
        let channel = try channel(id)
        var output = SSHOutput(stdout: [], stdoutTruncated: false, stderr: [], exitStatus: nil, exitSignal: nil)
        var pump = Pump(input)
        while true {
            if try await step(channel, &pump, &output, stdoutLimit, deadline) { break }
            try await pump.refill()
        }
        try await finish(channel, &output, deadline)
        return output
    }

    /// What is still to be written.
    private struct Pump {
        var pending: [UInt8] = []
        var offset = 0
        var done = false
        private let next: (@Sendable () async throws -> [UInt8]?)?

        init(_ input: SSHInput) {
            switch input {
            case .none: (done, next) = (true, nil)
            case .bytes(let bytes): (pending, done, next) = (bytes, bytes.isEmpty, nil)
            case .chunks(let source): next = source
            }
        }

        var wantsMore: Bool { !done && offset == pending.count }

        mutating func refill() async throws {
            guard wantsMore else { return }
            offset = 0
            pending = try await next?() ?? []
            if pending.isEmpty { done = true }
        }
    }

    /// Moves bytes both ways until the command's output ends (true) or more input is needed (false).
    private func step(
        _ channel: Channel, _ pump: inout Pump, _ output: inout SSHOutput, _ limit: Int, _ deadline: Instant
    ) async throws -> Bool {
        let (again, moreInput) = (Int(LIBSSH2_ERROR_EAGAIN), 1)
        let result = try await drive("the command", until: deadline) { core in
            while true {
                var moved = 0
                if !pump.done && pump.offset < pump.pending.count {
                    let count = pump.pending.withUnsafeBytes {
                        channel.write(UnsafeRawBufferPointer(rebasing: $0[pump.offset...]), core.socket)
                    }
                    if count < 0 && count != again { return count }
                    if count > 0 { (pump.offset, moved) = (pump.offset + count, count) }
                }
                if pump.done, !channel.sentEOF {
                    let result = channel.sendEOF()
                    if result != 0 && result != again { return result }
                }
                let count = channel.readStdout { bytes in
                    let room = max(0, limit - output.stdout.count)
                    output.stdout += bytes.prefix(room)
                    if bytes.count > room { output.stdoutTruncated = true }
                }
                // The end of stdout is the end only if nobody still reads our input.
                if count == 0 && (pump.done || channel.closedByPeer) { return 0 }
                if count < 0 && count != again { return count }
                if pump.wantsMore { return moreInput }
                if moved == 0 && count <= 0 { return again }
                if core.socket.failure != nil { return again }
            }
        }
        if result < 0 { throw failed(.sshDisconnected, "the command's channel broke") }
        return result == 0
    }

    private func finish(_ channel: Channel, _ output: inout SSHOutput, _ deadline: Instant) async throws {
        guard let handle = channel.handle else { throw failed(.sshDisconnected, "the channel was closed") }
        let result = try await drive("the command's end", until: deadline) { _ in
            Int(libssh2_channel_wait_closed(handle))
        }
        if result < 0 { throw failed(.sshDisconnected, "the command's channel broke") }
        channel.stderr.trim()
        output.stderr = channel.stderr.bytes
        output.exitSignal = exitSignal(handle)
        if output.exitSignal == nil { output.exitStatus = Int(libssh2_channel_get_exit_status(handle)) }
    }

    private func exitSignal(_ handle: OpaquePointer) -> String? {
        guard let core else { return nil }
        var text: UnsafeMutablePointer<CChar>?
        var length = 0
        let status = libssh2_channel_get_exit_signal(handle, &text, &length, nil, nil, nil, nil)
        guard status == 0, let text else { return nil }
        defer { libssh2_free(core.session, text) }
        return UnsafeRawBufferPointer(start: text, count: length).withMemoryRebound(to: UInt8.self) {
            SSHFailure.harmless($0)
        }
    }

    // MARK: channels

    func channel(_ id: Int) throws -> Channel {
        guard let channel = channels[id] else {
            throw SSHFailure.disconnected("the stream is closed").placed(at: place)
        }
        return channel
    }

    /// Opens a channel and starts the command: two round trips, which libssh2 does not let overlap.
    func openChannel(_ command: String, window: UInt32, until deadline: Instant) async throws -> Int {
        guard !command.utf8.contains(0) else { throw BasculeError(.invalidInput, "a command with a NUL byte in it") }
        let handle = try await openHandle(window, until: deadline)
        lastChannel += 1
        let (id, channel) = (lastChannel, Channel(handle: handle, loop: loop))
        channels[id] = channel
        do {
            let result = try await drive("the command's start", until: deadline) { _ in
                guard let handle = channel.handle else { return Int(LIBSSH2_ERROR_CHANNEL_CLOSED) }
                return Int(libssh2_channel_process_startup(handle, "exec", 4, command, UInt32(command.utf8.count)))
            }
            if result < 0 {
                throw failed(
                    .sshExecRefused, "the server refuses to run the command",
                    hint: "check the user's shell: a forced command needs a real one, not nologin")
            }
        } catch {
            release(id)
            throw error
        }
        return id
    }

    private func openHandle(_ window: UInt32, until deadline: Instant) async throws -> OpaquePointer {
        try await opening.enter(until: deadline, on: self)
        do {
            let handle = try await driveOpening(window, until: deadline)
            opening.leave()
            return handle
        } catch let error as BasculeError where [.sshTimedOut, .cancelled].contains(error.code) {
            // libssh2 cannot take an open back, and would hand a late answer to the next one: see it through.
            Task {
                defer { opening.leave() }
                do {
                    free(try await driveOpening(window, until: .now + .seconds(15)))
                } catch let error as BasculeError where error.code == .sshTimedOut {
                    // As good as gone, and its answer must reach nobody.
                    drop()
                }
            }
            throw error
        } catch {
            opening.leave()
            throw error
        }
    }

    private func driveOpening(_ window: UInt32, until deadline: Instant) async throws -> OpaquePointer {
        var opened: OpaquePointer?
        let result = try await drive("a channel", until: deadline) { core in
            opened = libssh2_channel_open_ex(core.session, "session", 7, window, 32768, nil, 0)
            return opened != nil ? 0 : Int(libssh2_session_last_errno(core.session))
        }
        if result < 0 {
            throw failed(
                .sshChannelRefused, "the server refuses another channel",
                hint: "close others first: sshd allows MaxSessions (10 by default) a connection")
        }
        guard let opened else { throw BasculeError(.defect, "a channel without a handle", at: place) }
        return opened
    }

    /// Closes and frees a channel, in the background where the server has to answer first.
    func release(_ id: Int) {
        guard let channel = channels.removeValue(forKey: id), let handle = channel.handle else { return }
        channel.handle = nil
        free(handle)
    }

    private func free(_ handle: OpaquePointer) {
        guard let core else { return }
        core.socket.beginTurn()
        let status = libssh2_channel_free(handle)
        core.socket.flush()
        core.source.waiters.wakeAll()
        guard status == LIBSSH2_ERROR_EAGAIN else { return }
        Task {
            // Unanswered, the handle goes with the session.
            _ = try? await drive("a channel's end", until: .now + .seconds(10)) { _ in Int(libssh2_channel_free(handle))
            }
        }
    }
}
