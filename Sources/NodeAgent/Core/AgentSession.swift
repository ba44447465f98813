import BasculeCrypto
import BasculeModel
import BasculeProtocol
import BasculeResources
import Glibc
import Synchronization

/// One connection to the agent's socket: reads frames on its own thread, answers each request by its id.
final class AgentSession: Sendable {
    /// An upload that is being received.
    private struct Upload {
        var digest: Digest
        var size: Int
        var descriptor: Int32
        var path: String
        var received = 0
        var hasher = Hasher()
    }

    /// SHA-256 is not copyable; a reference holds it.
    private final class Hasher {
        var state: SHA256? = SHA256()
        func update(_ bytes: [UInt8]) { state?.update(bytes) }
        func finish() -> [UInt8] { state.take()?.finalizing() ?? [] }
    }

    private let descriptor: Int32
    private let services: AgentServices
    private let keeper: SegmentKeeper
    private let writing = Mutex(true)

    init(descriptor: Int32, services: AgentServices, keeper: SegmentKeeper) {
        (self.descriptor, self.services, self.keeper) = (descriptor, services, keeper)
        // A peer that no longer reads, such as a closed laptop, must not hold up a thread for ever.
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Reads until the peer closes or breaks the protocol.
    func serve() {
        defer {
            writing.withLock { $0 = false }
            close(descriptor)
        }
        var decoder = FrameDecoder()
        var buffer = [UInt8](repeating: 0, count: 262_144)
        var uploads: [UInt32: Upload] = [:]
        defer {
            for upload in uploads.values {
                close(upload.descriptor)
                unlink(upload.path)
            }
        }
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
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
        guard let bytes = try? Wire.frame(kind, id: id, value) else { return }
        writing.withLock { isOpen in
            guard isOpen else { return }
            do { try DurableFile.writeAll(bytes, to: descriptor, path: "the connection") } catch { isOpen = false }
        }
    }

    private func reply(_ id: UInt32, _ body: () throws -> Reply) {
        do {
            send(.reply, id, try body())
        } catch {
            send(.reply, id, Reply.refused(BasculeError.wrapping(error, "the request failed")))
        }
    }

    private func handle(_ frame: Frame, _ uploads: inout [UInt32: Upload]) throws {
        switch frame.kind {
        case .request:
            let request: Request
            do {
                request = try Wire.decode(Request.self, from: frame.body)
            } catch {
                // A newer controller may know more: a typed refusal, never the end of the connection.
                let failure = BasculeError.wrapping(error, "unreadable")
                send(
                    .reply, frame.id,
                    Reply.refused(
                        BasculeError(
                            .unknownRequest, "this agent does not understand the request", cause: failure.cause,
                            hint: failure.hint)))
                return
            }
            if case .putBlob(let digest, let size) = request {
                reply(frame.id, nil, begin: { try self.beginUpload(digest, size: size, id: frame.id, &uploads) })
            } else {
                answer(request, frame.id)
            }
        case .chunk: try receive(frame, &uploads)
        case .cancel: break
        case .reply, .event: throw BasculeError(.protocolViolation, "a controller sent an answer")
        }
    }

    /// A refusal ends the request; success answers only when the upload has ended.
    private func reply(_ id: UInt32, _: Void?, begin: () throws -> Void) {
        do { try begin() } catch {
            send(.reply, id, Reply.refused(BasculeError.wrapping(error, "the upload was refused")))
        }
    }

    private func beginUpload(_ digest: Digest, size: Int, id: UInt32, _ uploads: inout [UInt32: Upload]) throws {
        guard Hex.decode(digest.rawValue)?.count == 32, size >= 0, size <= 4 << 30, uploads.count < 8 else {
            throw BasculeError(.invalidInput, "the announced upload is not acceptable")
        }
        let path = "\(services.paths.blobs)/.\(digest.rawValue).\(id).part"
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw DurableFile.failure("create", path) }
        uploads[id] = Upload(digest: digest, size: size, descriptor: file, path: path)
    }

    private func receive(_ frame: Frame, _ uploads: inout [UInt32: Upload]) throws {
        guard var upload = uploads.removeValue(forKey: frame.id) else { return }
        func abandon(_ error: BasculeError) {
            close(upload.descriptor)
            unlink(upload.path)
            send(.reply, frame.id, Reply.refused(error))
        }
        guard !frame.body.isEmpty else {
            let actual = Digest(rawValue: Hex.encode(upload.hasher.finish()))
            guard upload.received == upload.size, actual == upload.digest, fsync(upload.descriptor) == 0 else {
                return abandon(
                    BasculeError(
                        .uploadDamaged, "an upload arrived damaged or cut: \(upload.received) of \(upload.size) bytes",
                        hint: "run the same command again"))
            }
            close(upload.descriptor)
            // setpriv'd children (an app's user unpacking its own release) read it through a descriptor of root's.
            guard rename(upload.path, "\(services.paths.blobs)/\(upload.digest.rawValue)") == 0 else {
                return abandon(DurableFile.failure("rename", upload.path))
            }
            try DurableFile.syncDirectory(of: upload.path)
            return send(.reply, frame.id, Reply.accepted)
        }
        upload.received += frame.body.count
        guard upload.received <= upload.size else {
            return abandon(BasculeError(.uploadDamaged, "an upload is longer than announced"))
        }
        upload.hasher.update(frame.body)
        do {
            try DurableFile.writeAll(frame.body, to: upload.descriptor, path: upload.path)
        } catch {
            return abandon(BasculeError.wrapping(error, "the upload could not be written"))
        }
        uploads[frame.id] = upload
    }

    private func answer(_ request: Request, _ id: UInt32) {
        let (services, keeper) = (services, keeper)
        switch request {
        case .hello(let hello): reply(id) { try self.welcome(hello) }
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
        case .restore(let segment):
            work(id) {
                .restored(try SnapshotKeeper(paths: services.paths).restore(segment, context: services.context()))
            }
        case .publicKey(let purpose):
            work(id) { .publicKey(try ConductorKey.publicLine(purpose, paths: services.paths)) }
        case .upgrade(let digest):
            work(id) {
                try Upgrade.install(digest, paths: services.paths)
                return .accepted
            }
        case .submit(let segment): watch(segment.id, from: 1, id) { try await keeper.accept(segment) }
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
                send(
                    .reply, id,
                    Reply.status(
                        AgentStatus(
                            machine: identity.machine, version: ProtocolVersion.product, epoch: identity.epoch,
                            uptime: WallClock.monotonic() - services.started, activities: await keeper.activities(),
                            migrationAttempt: identity.attempt?.number ?? 0, t0: identity.attempt?.t0,
                            edge: services.edge.mode,
                            lastSequence: services.journal.lastSequence)))
            }
        case .putBlob: break
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

    private func welcome(_ hello: Hello) throws -> Reply {
        guard
            let version = hello.versions.filter({ $0 >= ProtocolVersion.oldest && $0 <= ProtocolVersion.current }).max()
        else {
            throw BasculeError(
                .protocolVersion,
                "the controller speaks versions \(hello.versions) of the protocol, this agent \(ProtocolVersion.oldest) to \(ProtocolVersion.current)",
                hint: "bring the agent to the controller's version: bascule node bootstrap NAME --yes")
        }
        let identity = services.identity
        try identity.meet(epoch: hello.epoch, holder: hello.holder)
        return .welcome(
            Welcome(
                version: version, product: ProtocolVersion.product, machine: identity.machine,
                architecture: Install.architecture,
                sealingKey: identity.sealingPublic, capabilities: ["segments", "blobs", "edge", "data"],
                secretsTag: identity.secretsTag,
                epoch: identity.epoch, migrationAttempt: identity.attempt?.number ?? 0, t0: identity.attempt?.t0))
    }
}

extension SHA256 {
    /// Ends the hash and gives its bytes.
    consuming func finalizing() -> [UInt8] { finalize() }
}

extension ErrorCode {
    /// An upload's size or digest is not what was announced.
    package static let uploadDamaged: ErrorCode = "upload-damaged"
}
