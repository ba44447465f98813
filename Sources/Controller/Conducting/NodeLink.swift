import BasculeModel
import BasculeProtocol
import BasculeSSH
import Foundation

extension ErrorCode {
    /// The connection to an agent ended before it answered: what it did is not known; ask again by id.
    package static let linkLost: ErrorCode = "link-lost"
    /// The node has no agent yet.
    package static let notBootstrapped: ErrorCode = "not-bootstrapped"
    /// Another machine answers at the node's address.
    package static let otherMachine: ErrorCode = "other-machine"
}

/// One connection to one agent: framed requests and answers over one SSH channel, many at once.
package actor NodeLink {
    /// Events of a request, in order, on the link's own executor.
    package typealias EventHandler = @Sendable (Event) -> Void

    private struct Waiting {
        var continuation: CheckedContinuation<Reply, any Error>
        var onEvent: EventHandler?
    }

    package nonisolated let node: NodeName
    private let session: SSHSession
    private let stream: SSHStream
    private var waiting: [UInt32: Waiting] = [:]
    private var nextID: UInt32 = 1
    private var failure: BasculeError?

    private init(node: NodeName, session: SSHSession, stream: SSHStream) {
        (self.node, self.session, self.stream) = (node, session, stream)
    }

    /// Logs in with the fleet's key, whose forced command is the agent's bridge, and starts reading.
    package static func open(_ node: NodeName, _ endpoint: SSHEndpoint, login: SSHLogin) async throws -> NodeLink {
        do {
            let session = try await SSHSession.connect(to: endpoint, login: login)
            // The forced command decides what runs; the word is only for the server's log.
            let stream = try await session.openStream("connect", window: 4 << 20)
            let link = NodeLink(node: node, session: session, stream: stream)
            Task { await link.read() }
            return link
        } catch {
            throw BasculeError.wrapping(error, "could not reach the node").placed(
                at: .node(name: node.rawValue, subject: nil))
        }
    }

    private func read() async {
        var decoder = FrameDecoder()
        do {
            while let bytes = try await stream.read() {
                decoder.feed(bytes)
                while let frame = try decoder.next() { try take(frame) }
            }
            let said = String(decoding: await stream.stderr().suffix(500), as: UTF8.self).trimmingCharacters(
                in: .whitespacesAndNewlines)
            fail(
                BasculeError(
                    .linkLost, "the agent ended the connection", cause: said.isEmpty ? nil : said,
                    hint: "on the node: systemctl status bascule-agent"))
        } catch {
            fail(BasculeError.wrapping(error, code: .linkLost, "the connection broke"))
        }
    }

    private func take(_ frame: Frame) throws {
        switch frame.kind {
        case .reply:
            guard let entry = waiting.removeValue(forKey: frame.id) else { return }
            let reply = try Wire.decode(Reply.self, from: frame.body)
            if case .refused(let error) = reply {
                entry.continuation.resume(throwing: error.placed(at: .node(name: node.rawValue, subject: nil)))
            } else {
                entry.continuation.resume(returning: reply)
            }
        case .event: waiting[frame.id]?.onEvent?(try Wire.decode(Event.self, from: frame.body))
        case .request, .chunk, .cancel: throw BasculeError(.protocolViolation, "an agent sent a request")
        }
    }

    private func fail(_ error: BasculeError) {
        let placed = error.placed(at: .node(name: node.rawValue, subject: nil))
        failure = failure ?? placed
        let lost = waiting
        waiting = [:]
        for entry in lost.values { entry.continuation.resume(throwing: placed) }
    }

    private func identifier() -> UInt32 {
        defer { nextID &+= 1 }
        return nextID
    }

    /// Sends a request and waits for its answer; a refusal is thrown.
    package func ask(_ request: Request, onEvent: EventHandler? = nil) async throws -> Reply {
        let id = identifier()
        let bytes = try Wire.frame(.request, id: id, request)
        return try await withCheckedThrowingContinuation { continuation in
            if let failure { return continuation.resume(throwing: failure) }
            waiting[id] = Waiting(continuation: continuation, onEvent: onEvent)
            Task { await self.send(bytes) }
        }
    }

    private func send(_ bytes: [UInt8]) async {
        do { try await stream.write(bytes) } catch {
            fail(BasculeError.wrapping(error, code: .linkLost, "the connection broke"))
        }
    }

    /// Uploads content; the agent checks its size and digest.
    package func upload(_ content: [UInt8], as digest: Digest) async throws {
        let id = identifier()
        let first = try Wire.frame(.request, id: id, Request.putBlob(digest, size: content.count))
        let reply: Reply = try await withCheckedThrowingContinuation { continuation in
            if let failure { return continuation.resume(throwing: failure) }
            waiting[id] = Waiting(continuation: continuation, onEvent: nil)
            Task {
                await self.send(first)
                var start = 0
                while start < content.count {
                    let end = min(content.count, start + 1 << 18)
                    guard let chunk = try? Frame(.chunk, id: id, body: Array(content[start..<end])).encoded() else {
                        break
                    }
                    await self.send(chunk)
                    start = end
                }
                if let last = try? Frame(.chunk, id: id, body: []).encoded() { await self.send(last) }
            }
        }
        guard case .accepted = reply else {
            throw BasculeError(.protocolViolation, "the agent answered an upload with something else")
        }
    }

    /// Ends the connection.
    package func close() async {
        await stream.close()
        await session.close()
    }
}
