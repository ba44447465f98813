import BasculeModel
import Foundation
import Glibc

/// A client of an ssh-agent. libssh2's own blocks the thread, and an agent may wait for a person. Lives on the loop.
final class SSHAgent: @unchecked Sendable {
    private static let messageLimit = 256 << 10
    private let source: Source

    private init(_ source: Source) { self.source = source }

    /// Throws `ssh-agent-failed`.
    static func connect(_ path: String?, on session: isolated SSHSession, until deadline: ContinuousClock.Instant)
        async throws -> SSHAgent
    {
        guard let path = path ?? ProcessInfo.processInfo.environment["SSH_AUTH_SOCK"], !path.isEmpty else {
            throw failure("no ssh-agent: SSH_AUTH_SOCK is not set")
        }
        guard let address = address(path) else { throw failure("the ssh-agent's socket path is too long") }
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure("no socket", errorText(errno)) }
        do { try await session.connect(descriptor, to: address, until: deadline) } catch let error as BasculeError {
            Glibc.close(descriptor)
            throw failure("the ssh-agent cannot be reached", error.cause ?? error.message)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        return SSHAgent(Source(descriptor: descriptor, loop: session.loop))
    }

    func close() {
        source.close()
        Glibc.close(source.descriptor)
    }

    /// The public keys that the agent holds, in its order.
    func identities(on session: isolated SSHSession, until deadline: ContinuousClock.Instant) async throws
        -> [(type: String, blob: [UInt8])]
    {
        var reader = WireReader(try await ask([11], on: session, until: deadline))
        guard reader.byte() == 12, let count = reader.number() else { throw SSHAgent.failure("the ssh-agent refuses") }
        var keys: [(type: String, blob: [UInt8])] = []
        for _ in 0..<min(count, 256) {
            guard let blob = reader.string(), reader.string() != nil else { break }
            var key = WireReader(blob)
            if let type = key.text() { keys.append((type, blob)) }
        }
        return keys
    }

    /// The bare signature, as libssh2 wants it; nil when the agent, or its owner, refuses.
    func sign(
        _ data: [UInt8], with blob: [UInt8], on session: isolated SSHSession, until deadline: ContinuousClock.Instant
    )
        async throws -> [UInt8]?
    {
        var request = WireWriter()
        request.byte(13)
        request.string(blob)
        request.string(data)
        request.number(0)
        var reader = WireReader(try await ask(request.bytes, on: session, until: deadline))
        guard reader.byte() == 14, let envelope = reader.string() else { return nil }
        var signature = WireReader(envelope)
        guard signature.string() != nil else { return nil }
        return signature.string()
    }

    private func ask(_ body: [UInt8], on session: isolated SSHSession, until deadline: ContinuousClock.Instant)
        async throws -> [UInt8]
    {
        var request = WireWriter()
        request.string(body)
        var sent = 0
        while sent < request.bytes.count {
            let count = request.bytes[sent...].withUnsafeBytes {
                send(source.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 { sent += count } else { try await pause(.writable, on: session, until: deadline) }
        }
        var reply: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            var reader = WireReader(reply)
            if let length = reader.number() {
                guard length <= SSHAgent.messageLimit else { throw SSHAgent.failure("the ssh-agent talks nonsense") }
                if reply.count >= 4 + Int(length) { return Array(reply[4..<4 + Int(length)]) }
            }
            let count = recv(source.descriptor, &chunk, chunk.count, 0)
            if count == 0 { throw SSHAgent.failure("the ssh-agent closed the connection") }
            if count > 0 { reply += chunk[..<count] } else { try await pause(.readable, on: session, until: deadline) }
        }
    }

    /// After a call that failed: waits if it would have blocked, throws otherwise.
    private func pause(
        _ interest: EPoll.Events, on session: isolated SSHSession, until deadline: ContinuousClock.Instant
    ) async throws {
        let number = errno
        guard number == EAGAIN || number == EINTR else {
            throw SSHAgent.failure("the ssh-agent broke off", errorText(number))
        }
        if ContinuousClock.now >= deadline { throw SSHAgent.failure("the ssh-agent does not answer in time") }
        try await source.wait(interest, until: deadline, on: session)
    }

    private static func address(_ path: String) -> [UInt8]? {
        let bytes = Array(path.utf8)
        guard bytes.count < 108, !bytes.contains(0) else { return nil }
        let family = withUnsafeBytes(of: sa_family_t(AF_UNIX)) { Array($0) }
        return family + bytes + [UInt8](repeating: 0, count: 108 - bytes.count)
    }

    private static func failure(_ message: String, _ cause: String? = nil) -> BasculeError {
        BasculeError(
            .sshAgentFailed, message, at: .thing("ssh-agent"), cause: cause,
            hint: "start one with: eval $(ssh-agent), then ssh-add; or name a key file")
    }
}
