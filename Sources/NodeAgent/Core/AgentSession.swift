import BasculeCrypto
import BasculeModel
import BasculeProtocol
import BasculeResources
import Glibc
import Synchronization

/// One connection to the agent's socket: reads frames on its own thread, answers each request by its id.
final class AgentSession: Sendable {
    private let descriptor: Int32
    private let services: AgentServices
    private let keeper: SegmentKeeper
    private let trust: ConnectionTrust
    /// Told of every frame that comes or goes.
    private let worked: @Sendable () -> Void
    private let writing = Mutex(Writing())

    /// The way out: frames leave one after the other, each with the next tag once the connection is bound.
    private struct Writing {
        var isOpen = true
        var binding: LinkBinding?
    }

    init(
        descriptor: Int32, services: AgentServices, keeper: SegmentKeeper, door: ConnectionTrust.Door,
        worked: @escaping @Sendable () -> Void = {}
    ) {
        (self.descriptor, self.services, self.keeper, self.worked) = (descriptor, services, keeper, worked)
        trust = ConnectionTrust(door: door, trust: services.trust)
        // A peer that no longer reads, such as a closed laptop, must not hold up a thread for ever.
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Reads until the peer closes or breaks the protocol.
    func serve() {
        defer {
            writing.withLock { $0.isOpen = false }
            close(descriptor)
        }
        var decoder = FrameDecoder()
        var buffer = [UInt8](repeating: 0, count: 262_144)
        var uploads = AgentUploads(folder: services.paths.blobs)
        defer { uploads.abandonAll() }
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            worked()
            do {
                decoder.feed(buffer[..<count])
                while let frame = try decoder.next() { try handle(frame, &uploads) }
            } catch {
                services.log("a connection broke the protocol: \(error)")
                return
            }
        }
    }

    private func send(_ kind: FrameKind, _ id: UInt32, _ value: some Encodable) {
        guard let body = try? Wire.encode(value) else { return }
        writing.withLock { write(Frame(kind, id: id, body: body), &$0) }
    }

    private func write(_ frame: Frame, _ writing: inout Writing) {
        guard writing.isOpen else { return }
        worked()
        var frame = frame
        if let tag = writing.binding?.nextTag(head: frame.head, body: frame.body[...]) { frame.body += tag }
        do {
            try DurableFile.writeAll(try frame.encoded(), to: descriptor, path: "the connection")
        } catch { writing.isOpen = false }
    }

    private func reply(_ id: UInt32, _ body: () throws -> Reply) {
        do {
            send(.reply, id, try body())
        } catch {
            send(.reply, id, Reply.refused(BasculeError.wrapping(error, "the request failed")))
        }
    }

    private func handle(_ frame: Frame, _ uploads: inout AgentUploads) throws {
        switch frame.kind {
        case .request, .signed:
            do {
                let signed = frame.kind == .signed ? try SignedRequest(parsing: frame.body) : nil
                let request: Request
                if let signed {
                    request = try trust.admit(signed)
                } else {
                    request = try Wire.decode(Request.self, from: frame.body)
                    try trust.admit(request)
                }
                if case .putBlob(let digest, let size) = request {
                    // Answered when the upload has ended.
                    try uploads.begin(digest, size: size, id: frame.id)
                } else {
                    answer(request, signed, frame.id)
                }
            } catch let error as BasculeError where error.code == .protocolViolation {
                // A newer controller may know more: a typed refusal, never the end of the connection.
                send(
                    .reply, frame.id,
                    Reply.refused(
                        BasculeError(
                            .unknownRequest, "this agent does not understand the request",
                            cause: error.cause ?? error.message, hint: error.hint)))
            } catch {
                send(.reply, frame.id, Reply.refused(BasculeError.wrapping(error, "the request was refused")))
            }
        case .chunk:
            if let answer = uploads.receive(frame) { send(.reply, frame.id, answer) }
        case .cancel: break
        case .reply, .event: throw BasculeError(.protocolViolation, "a controller sent an answer")
        }
    }

    private func answer(_ request: Request, _ signed: SignedRequest?, _ id: UInt32) {
        let (services, keeper) = (services, keeper)
        switch request {
        case .hello(let hello): greet(hello, id)
        case .observe(let resources):
            reply(id) { .observations(ResourceKeeper.observe(resources, services.context())) }
        case .missingBlobs(let digests):
            reply(id) { .digests(digests.filter { access("\(services.paths.blobs)/\($0.rawValue)", F_OK) != 0 }) }
        case .putSecrets(let secrets, let tag):
            reply(id) {
                try services.secrets.put(secrets, tag: tag)
                return .accepted
            }
        case .journal(let first, let limit):
            reply(id) { .journal(try services.journal.records(from: first, limit: min(limit, 5000))) }
        case .snapshots: reply(id) { .snapshots(try SnapshotKeeper(paths: services.paths).list()) }
        case .edge(let mode, let lease):
            work(id) {
                try services.edge.set(mode, lease: lease)
                return .accepted
            }
        case .facts: work(id) { .facts(Facts.gather()) }
        case .measure(let gauges): work(id) { .measured(Measuring.read(gauges, services.context())) }
        case .comparePooling(let trial):
            work(id) {
                let run = try PoolComparison(trial) { line, fraction in
                    self.send(.event, id, Event.progress(StepProgress(step: "pooling", line: line, fraction: fraction)))
                }
                return .pooling(try run.figures())
            }
        case .restore(let segment):
            work(id) {
                let snapshots = SnapshotKeeper(paths: services.paths)
                let results = try services.healing.restore(segment, try snapshots.resources(of: segment)) {
                    try snapshots.restore(segment, context: services.context())
                }
                return .restored(results)
            }
        case .publicKey(let purpose):
            work(id) { .publicKey(try ConductorKey.publicLine(purpose, paths: services.paths)) }
        case .upgrade(let digest, let trial):
            Task {
                do {
                    try await keeper.refuseWhileConducting()
                    try await Blocking.run { try Upgrade.begin(digest, seconds: trial, paths: services.paths) }
                    send(.reply, id, Reply.accepted)
                    // systemd starts the new program as soon as this one has answered and ended.
                    try await Task.sleep(for: .milliseconds(200))
                    exit(0)
                } catch { send(.reply, id, Reply.refused(BasculeError.wrapping(error, "the upgrade failed"))) }
            }
        case .program: work(id) { .digests([try Upgrade.program()]) }
        case .keepProgram(let digest):
            work(id) {
                try Upgrade.keep(digest, paths: services.paths)
                return .accepted
            }
        case .submit(let segment): watch(segment.id, from: 1, id) { try await keeper.accept(segment, signed: signed) }
        case .attach(let segment, let first): watch(segment, from: first, id) {}
        case .command(let segment, let command):
            Task {
                do {
                    try await keeper.command(segment, command)
                    send(.reply, id, Reply.accepted)
                } catch { send(.reply, id, Reply.refused(BasculeError.wrapping(error, "the command failed"))) }
            }
        case .status:
            Task {
                let identity = services.identity
                let serving = try? await Blocking.run { [services] in services.healing.services() }
                send(
                    .reply, id,
                    Reply.status(
                        AgentStatus(
                            machine: identity.machine, version: ProtocolVersion.product, epoch: identity.epoch,
                            uptime: WallClock.monotonic() - services.started, activities: await keeper.activities(),
                            migrationAttempt: identity.attempt?.number ?? 0, t0: identity.attempt?.t0,
                            edge: services.edge.mode,
                            lastSequence: services.journal.lastSequence, healing: services.healing.status(),
                            services: serving)))
            }
        case .keepBackup(let digest, let number):
            work(id) {
                try BackupKeeper(paths: services.paths).keep(digest, number: number, now: WallClock.now())
                return .accepted
            }
        case .admitToken(let name, let app, let key):
            work(id) {
                try TokenKeeper(services.paths).admit(name, app: app, key: key)
                return .accepted
            }
        case .revokeToken(let name):
            work(id) {
                try TokenKeeper(services.paths).revoke(name)
                return .accepted
            }
        case .backups: reply(id) { .backups(try BackupKeeper(paths: services.paths).list()) }
        case .leave:
            Task {
                let runs = await keeper.activities().contains { $0.ended == nil }
                work(id) {
                    guard !runs else {
                        throw BasculeError(
                            .segmentRuns, "this node is working on a segment", hint: "bascule now shows what runs")
                    }
                    try Uninstall.begin(paths: services.paths)
                    return .accepted
                }
            }
        case .confirm(let segment, let step):
            let peer = UnixSocket.peer(of: descriptor)
            work(id) {
                try services.loginGuard.confirm(segment, step, peer: peer)
                return .accepted
            }
        case .putBlob: break
        case .rotate(let word):
            let peer = UnixSocket.peer(of: descriptor)
            work(id) { try services.rotate(word, signed, peer: peer) }
        case .manifest(let resources):
            work(id) {
                try services.healing.accept(resources, signed: signed)
                return .accepted
            }
        case .hold(let resource, let seconds, let reason):
            work(id) {
                try services.healing.hold(resource, seconds: seconds, reason: reason)
                return .accepted
            }
        case .release(let resource):
            work(id) {
                try services.healing.release(resource)
                return .accepted
            }
        case .askBackup(let kind, let words): work(id) { .text(try BackupQuestion.ask(kind, words)) }
        case .errors(let app, let since):
            work(id) { .errors(try ErrorBook.groups(services.paths, app: app, since: since)) }
        case .testAlert(let channels, let seconds):
            work(id) {
                _ = try AlertTest(channels: channels, kept: services.paths.testAlert).run(seconds: min(seconds, 600))
                return .accepted
            }
        case .outbox(let first, let limit):
            work(id) { .outbox(try services.healing.outbox.events(from: first, limit: max(0, min(limit, 5000)))) }
        }
    }

    /// Answers from a thread of its own, so that slow work holds up nothing else on this connection.
    private func work(_ id: UInt32, _ body: @escaping @Sendable () throws -> Reply) {
        Thread.detach { self.reply(id, body) }
    }

    private func watch(
        _ segment: SegmentID, from first: Int, _ id: UInt32, _ begin: @escaping @Sendable () async throws -> Void
    ) {
        Task {
            do {
                try await begin()
                let alive = Task {
                    while !Task.isCancelled {
                        try await Task.sleep(for: .seconds(5))
                        send(.event, id, Event.alive)
                    }
                }
                defer { alive.cancel() }
                let outcome = try await keeper.watch(segment, from: first) { self.send(.event, id, $0) }
                send(.reply, id, Reply.ended(outcome))
            } catch { send(.reply, id, Reply.refused(BasculeError.wrapping(error, "the segment failed"))) }
        }
    }

    /// Answers the greeting; from then on every answer of this connection is bound to it.
    private func greet(_ hello: Hello, _ id: UInt32) {
        do {
            let (welcome, binding) = try AgentGreeting(services: services, trust: trust).answer(hello)
            let body = try Wire.encode(Reply.welcome(welcome))
            try writing.withLock { writing in
                guard writing.binding == nil else {
                    throw BasculeError(.protocolViolation, "a bound connection was greeted again")
                }
                write(Frame(.reply, id: id, body: body), &writing)
                writing.binding = binding
            }
        } catch {
            let failure = BasculeError.wrapping(error, "the greeting failed")
            trust.refused(failure)
            send(.reply, id, Reply.refused(failure))
        }
    }
}
