import BasculeModel
import BasculeProtocol
import BasculeSSH

/// An agent's channel on a connection that the holder keeps.
struct HeldChannel: AgentChannel {
    let stream: LocalStream

    func read() async throws -> [UInt8]? { try await stream.read() }
    func write(_ bytes: [UInt8]) async throws { try await stream.write(bytes) }
    func complaint() async -> String { "" }
    func close() async { await stream.close() }
}

/// Talks to the connection holder of this user, if one runs.
struct HolderClient: Sendable {
    let socket: String

    /// Longer than any answer of a process on this machine takes; a stopped one must not hold a command up.
    private static let patience = Duration.milliseconds(500)

    /// Borrows a channel to an agent; nil where there is none, or the host's key is not one of the pinned.
    func borrow(_ node: NodeName, _ address: HeldAddress, pins: [SSHHostKey], greeting: LinkGreeting) async
        -> NodeLink?
    {
        guard let (stream, decoder, reply) = await ask(.channel(address)) else { return nil }
        if case .lent(let line) = reply, let key = try? SSHHostKey(line: line), pins.contains(key) {
            return NodeLink(
                node: node, channel: HeldChannel(stream: stream), greeting: greeting, decoder: decoder, isHeld: true)
        }
        await stream.close()
        return nil
    }

    /// Hands over what to hold; false where nobody takes it.
    func hand(_ order: HolderOrder) async -> Bool {
        guard let (stream, _, reply) = await ask(.hold(order)) else { return false }
        await stream.close()
        if case .accepted = reply { return true }
        return false
    }

    /// Ends the holder, if one runs.
    func end() async {
        guard let (stream, _, _) = await ask(.end) else { return }
        await stream.close()
    }

    private func ask(_ request: HolderRequest) async -> (LocalStream, FrameDecoder, HolderReply)? {
        guard let stream = try? await LocalStream.connect(socket) else { return nil }
        do {
            try await stream.write(try Wire.frame(.request, id: 0, request))
            var decoder = FrameDecoder()
            while let bytes = try await stream.read(deadline: HolderClient.patience) {
                decoder.feed(bytes)
                guard let frame = try decoder.next() else { continue }
                return (stream, decoder, try Wire.decode(HolderReply.self, from: frame.body))
            }
        } catch {
            // Whatever is wrong with the holder, the command makes its own connection.
        }
        await stream.close()
        return nil
    }
}
