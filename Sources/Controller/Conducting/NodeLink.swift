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

/// What carries frames to an agent and back: an SSH channel, or one that the connection holder lends.
protocol AgentChannel: Sendable {
    /// The next bytes; nil at the end.
    func read() async throws -> [UInt8]?
    /// Returns once all of them are on their way: this is what holds a fast sender back.
    func write(_ bytes: [UInt8]) async throws
    /// The last that the far end said beside the protocol.
    func complaint() async -> String
    func close() async
}

/// One connection to one agent: framed requests and answers over one channel, many at once.
package actor NodeLink {
    /// Events of a request, in order, on the link's own executor.
    package typealias EventHandler = @Sendable (Event) -> Void

    /// A request that was sent, whose answer is fetched with `answer(to:)`, once.
    package struct Ticket: Sendable { fileprivate let id: UInt32 }

    private struct Waiting {
        var continuation: CheckedContinuation<Reply, any Error>?
        var onEvent: EventHandler?
        /// Came before anybody fetched it.
        var early: Result<Reply, any Error>?
        /// When the agent was last heard of in this matter, or something of it was sent.
        var heard = ContinuousClock.now
        let patience: Duration
        var isUnwanted = false
    }

    /// A stranger's events are kept: more than this of one request, in bytes, ends the connection.
    private static let eventBudget = 64 << 20

    package nonisolated let node: NodeName
    /// Whether the connection holder lends it.
    package nonisolated let isHeld: Bool
    private let channel: any AgentChannel
    private var decoder: FrameDecoder
    private var waiting: [UInt32: Waiting] = [:]
    private var eventBytes = 0
    private var nextID: UInt32 = 1
    private var failure: BasculeError?
    private var watchdog: Task<Void, Never>?
    private var greeting: LinkGreeting
    private var isGreetingSent = false
    /// Those who wait for the welcome.
    private var greeted: [CheckedContinuation<Welcome, any Error>] = []

    /// Frames are read from `channel` from here on; `decoder` may hold the first of them. The greeting is sent with the
    /// first request.
    init(
        node: NodeName, channel: any AgentChannel, greeting: LinkGreeting, decoder: FrameDecoder = FrameDecoder(),
        isHeld: Bool = false
    ) {
        (self.node, self.channel, self.decoder, self.isHeld) = (node, channel, decoder, isHeld)
        self.greeting = greeting
        Task { await self.read() }
    }

    /// Logs in with the fleet's key, whose forced command is the agent's bridge, and starts reading.
    package static func open(
        _ node: NodeName, _ endpoint: SSHEndpoint, login: SSHLogin, greeting: LinkGreeting
    ) async throws -> NodeLink {
        do {
            let session = try await SSHSession.connect(to: endpoint, login: login)
            // The forced command decides what runs; the word is only for the server's log.
            // Where many log in to one machine at once, its PAM and logind take longer for a session than sshd for a login.
            let stream = try await session.openStream("connect", window: 4 << 20, deadline: .seconds(45))
            return NodeLink(
                node: node, channel: SSHAgentChannel(session: session, stream: stream), greeting: greeting)
        } catch {
            throw BasculeError.wrapping(error, "could not reach the node").placed(
                at: .node(name: node.rawValue, subject: nil))
        }
    }

    private func read() async {
        do {
            while let bytes = try await channel.read() {
                decoder.feed(bytes)
                while let frame = try decoder.next() { try take(frame) }
            }
            let said = await channel.complaint()
            fail(
                BasculeError(
                    .linkLost, "the agent ended the connection", cause: said.isEmpty ? nil : said,
                    hint: "on the node: systemctl status bascule-agent"))
        } catch {
            fail(BasculeError.wrapping(error, code: .linkLost, "the connection broke"))
            await channel.close()
        }
    }

    private func take(_ frame: Frame) throws {
        var frame = frame
        guard greeting.isBound else { return try meet(frame) }
        frame.body = try greeting.open(frame)
        switch frame.kind {
        case .reply:
            guard let entry = waiting[frame.id], entry.early == nil else {
                throw BasculeError(.protocolViolation, "an agent answered what was not asked")
            }
            let reply = try Reply.decoded(from: frame.body)
            let result: Result<Reply, any Error> =
                if case .refused(let error) = reply {
                    .failure(error.placed(at: .node(name: node.rawValue, subject: nil)))
                } else {
                    .success(reply)
                }
            guard let continuation = entry.continuation else {
                if entry.isUnwanted { waiting[frame.id] = nil } else { waiting[frame.id]?.early = result }
                return
            }
            waiting[frame.id] = nil
            continuation.resume(with: result)
        case .event:
            eventBytes += frame.body.count
            guard eventBytes <= NodeLink.eventBudget, frame.id < nextID else {
                throw BasculeError(.protocolViolation, "an agent tells more than anybody wants to know")
            }
            // Progress may still be on its way when the answer has come.
            guard waiting[frame.id] != nil else { return }
            waiting[frame.id]?.heard = .now
            waiting[frame.id]?.onEvent?(try Wire.decode(Event.self, from: frame.body))
        case .request, .signed, .chunk, .cancel:
            throw BasculeError(.protocolViolation, "an agent sent a request")
        }
    }

    /// The first answer is the one to the greeting; whatever comes before it, or instead of it, ends the connection.
    private func meet(_ frame: Frame) throws {
        let welcome = try greeting.meet(frame)
        waiting[0] = nil
        let waiters = greeted
        greeted = []
        for waiter in waiters { waiter.resume(returning: welcome) }
    }

    /// What the agent said when it was greeted, once it has shown who it is; throws its refusal.
    package func welcome() async throws -> Welcome {
        if let welcome = greeting.welcome { return welcome }
        return try await withCheckedThrowingContinuation { continuation in
            if let failure { continuation.resume(throwing: failure) } else { greeted.append(continuation) }
        }
    }

    private func fail(_ error: BasculeError) {
        let placed = error.placed(at: .node(name: node.rawValue, subject: nil))
        failure = failure ?? placed
        watchdog?.cancel()
        for (id, entry) in waiting {
            guard let continuation = entry.continuation else {
                if entry.early == nil { waiting[id]?.early = .failure(placed) }
                continue
            }
            waiting[id] = nil
            continuation.resume(throwing: placed)
        }
        let waiters = greeted
        greeted = []
        for waiter in waiters { waiter.resume(throwing: placed) }
    }

    /// One for all requests: an agent that is silent for longer than any of them bears loses the connection.
    private func watch() {
        guard watchdog == nil else { return }
        watchdog = Task { [weak self] in
            while await self?.nobodyIsLate() == true { try? await Task.sleep(for: .milliseconds(500)) }
        }
    }

    private func nobodyIsLate() async -> Bool {
        if failure != nil || waiting.isEmpty {
            watchdog = nil
            return false
        }
        guard let late = waiting.values.first(where: { $0.early == nil && .now - $0.heard > $0.patience }) else {
            return true
        }
        fail(
            BasculeError(
                .linkLost, "the agent was silent for \(late.patience.components.seconds) s",
                hint: "on the node: systemctl status bascule-agent"))
        await channel.close()
        return false
    }

    /// Registers a request and gives its frame. One that changes something is signed: the welcome must be there.
    private func enter(_ request: Request, _ onEvent: EventHandler?) throws -> (Ticket, [UInt8]) {
        if let failure { throw failure }
        let id = nextID
        nextID &+= 1
        let bytes =
            request.isMutating
            ? try Frame(.signed, id: id, body: try greeting.sign(request).encoded).encoded()
            : try request.frame(id: id)
        let first = try greetingFrame()
        waiting[id] = Waiting(onEvent: onEvent, patience: request.patience)
        watch()
        return (Ticket(id: id), first + bytes)
    }

    /// The greeting, before everything else that is sent; empty once it is on its way.
    private func greetingFrame(patience: Duration? = nil) throws -> [UInt8] {
        if isGreetingSent { return [] }
        isGreetingSent = true
        let hello = Request.hello(greeting.hello)
        waiting[0] = Waiting(onEvent: nil, patience: patience ?? hello.patience)
        watch()
        return try hello.frame(id: 0)
    }

    /// Sends the greeting and requests that change nothing in one flight, without waiting for any answer. `patience` is
    /// for the greeting.
    package func send(_ requests: [Request] = [], patience: Duration? = nil) throws -> [Ticket] {
        if let failure { throw failure }
        var (tickets, bytes): ([Ticket], [UInt8]) = ([], try greetingFrame(patience: patience))
        for request in requests {
            let (ticket, frame) = try enter(request, nil)
            tickets.append(ticket)
            bytes += frame
        }
        Task { [bytes] in await self.write(bytes) }
        return tickets
    }

    /// Waits for the agent's challenge, without which nothing can be signed.
    private func ready(for request: Request) async throws {
        guard request.isMutating, greeting.welcome == nil else { return }
        if !isGreetingSent { _ = try send() }
        _ = try await welcome()
    }

    /// The answer to a request that was sent; a refusal is thrown.
    package func answer(to ticket: Ticket) async throws -> Reply {
        if let early = waiting[ticket.id]?.early {
            waiting[ticket.id] = nil
            return try early.get()
        }
        return try await withCheckedThrowingContinuation { continuation in
            guard waiting[ticket.id] != nil else {
                return continuation.resume(throwing: failure ?? BasculeError(.defect, "an answer fetched twice"))
            }
            waiting[ticket.id]?.continuation = continuation
        }
    }

    /// Nobody will fetch the answer.
    package func forget(_ ticket: Ticket) {
        if waiting[ticket.id]?.early == nil { waiting[ticket.id]?.isUnwanted = true } else { waiting[ticket.id] = nil }
    }

    /// Sends a request and waits for its answer; a refusal is thrown.
    package func ask(_ request: Request, onEvent: EventHandler? = nil) async throws -> Reply {
        try await ready(for: request)
        let (ticket, bytes) = try enter(request, onEvent)
        Task { await self.write(bytes) }
        return try await answer(to: ticket)
    }

    private func write(_ bytes: [UInt8]) async {
        do { try await channel.write(bytes) } catch {
            fail(BasculeError.wrapping(error, code: .linkLost, "the connection broke"))
        }
    }

    /// Uploads content piece by piece, as fast as the node takes it; the agent checks its size and digest.
    package func upload(_ content: Blob, as digest: Digest) async throws {
        var reader = try content.reader()
        let request = Request.putBlob(digest, size: reader.size)
        try await ready(for: request)
        let (ticket, first) = try enter(request, nil)
        let id = ticket.id
        await write(first)
        // An agent that refuses answers before the end: what is left need not travel.
        while failure == nil, waiting[id]?.early == nil, let piece = try reader.next() {
            await write(try Frame(.chunk, id: id, body: piece).encoded())
            waiting[id]?.heard = .now
        }
        await write(try Frame(.chunk, id: id, body: []).encoded())
        guard case .accepted = try await answer(to: ticket) else {
            throw BasculeError(.protocolViolation, "the agent answered an upload with something else")
        }
    }

    /// Ends the connection.
    package func close() async {
        watchdog?.cancel()
        await channel.close()
    }
}

extension Request {
    /// How long an agent may say nothing while it works on this. Those that follow a segment hear it every 5 s.
    var patience: Duration {
        switch self {
        case .hello, .status, .missingBlobs: .seconds(15)
        case .observe, .restore, .upgrade, .edge, .askBackup: .seconds(300)
        default: .seconds(60)
        }
    }
}

/// An SSH channel of this process's own.
struct SSHAgentChannel: AgentChannel {
    let session: SSHSession
    let stream: SSHStream

    func read() async throws -> [UInt8]? { try await stream.read() }
    func write(_ bytes: [UInt8]) async throws { try await stream.write(bytes) }
    func complaint() async -> String {
        String(decoding: await stream.stderr().suffix(500), as: UTF8.self).trimmingCharacters(
            in: .whitespacesAndNewlines)
    }
    func close() async {
        await stream.close()
        await session.close()
    }
}
