import BasculeModel
import BasculeProtocol
import Glibc
import Synchronization

/// The door for tokens: one archive in, one release, nothing else. What the peer says is bounded; which token it is,
/// the forced command said before it could say anything.
final class ReleaseDoor: Sendable {
    private let services: AgentServices
    private let guests = Mutex(0)
    /// Connections at a time.
    private static let places = 4
    /// Seconds in which a peer that uploads must say something.
    private static let patience = 60

    init(_ services: AgentServices) { self.services = services }

    /// Serves one connection to its end.
    func serve(_ descriptor: Int32) {
        let way = Way(descriptor)
        defer { way.close() }
        let isFree = guests.withLock { count in
            guard count < Self.places else { return false }
            count += 1
            return true
        }
        guard isFree else {
            return way.refuse(0, BasculeError(.segmentRuns, "this node serves other releases", hint: "try again"))
        }
        defer { guests.withLock { $0 -= 1 } }
        var limit = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var visit = Visit(uploads: AgentUploads(folder: services.paths.blobs))
        defer { visit.uploads.abandonAll() }
        var decoder = FrameDecoder()
        var buffer = [UInt8](repeating: 0, count: 262_144)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            do {
                decoder.feed(buffer[..<count])
                while let frame = try decoder.next() {
                    do { try take(frame, &visit, way) } catch {
                        way.refuse(frame.id, BasculeError.wrapping(error, "the release was refused"))
                        return Self.drain(descriptor, &buffer)
                    }
                }
            } catch {
                return way.refuse(0, BasculeError(.protocolViolation, "this is not understood here"))
            }
        }
    }

    /// What a refused peer still sends is thrown away: were it left unread, the bridge would end before it has passed
    /// the refusal on.
    private static func drain(_ descriptor: Int32, _ buffer: inout [UInt8]) {
        shutdown(descriptor, Int32(SHUT_WR))
        let end = WallClock.monotonic() + 10
        while WallClock.monotonic() < end, read(descriptor, &buffer, buffer.count) > 0 {}
    }

    private struct Visit {
        var uploads: AgentUploads
        /// What the forced command said.
        var entered: (app: String, token: String)?
        var scope: ReleaseScope?
        var archive: Digest?
        /// Whether the archive was on this node before.
        var wasThere = false
    }

    private func take(_ frame: Frame, _ visit: inout Visit, _ way: Way) throws {
        if frame.kind == .chunk, visit.scope != nil {
            guard let answer = visit.uploads.receive(frame) else { return }
            if case .refused(let error) = answer { throw error }
            return try release(frame.id, &visit, way)
        }
        guard frame.kind == .request, frame.body.count <= 4096,
            let request = try? Wire.decode(DoorRequest.self, from: frame.body)
        else {
            throw BasculeError(
                .tokenRefused, "a token may release its app and nothing else",
                hint: "bascule token release FILE --source DIR")
        }
        switch request {
        case .enter(let app, let token):
            guard visit.entered == nil else { throw BasculeError(.tokenRefused, "the door was entered already") }
            visit.entered = (app, token)
        case .release(let app, let archive, let size):
            guard let entered = visit.entered, visit.scope == nil else {
                throw BasculeError(.tokenRefused, "one release a connection")
            }
            guard app == entered.app else {
                throw BasculeError(
                    .tokenRefused, "this token may not release \(app.prefix(40).asciiPrintable)",
                    hint: "it is for the app \(entered.app)")
            }
            visit.scope = try ReleaseRun(services).prepare(
                app: app, token: entered.token, archive: archive, size: size)
            visit.archive = archive
            visit.wasThere = access("\(services.paths.blobs)/\(archive.rawValue)", F_OK) == 0
            try visit.uploads.begin(archive, size: size, id: frame.id)
        }
    }

    private func release(_ id: UInt32, _ visit: inout Visit, _ way: Way) throws {
        guard let scope = visit.scope, let entered = visit.entered, let archive = visit.archive else { return }
        let wasThere = visit.wasThere
        // Built or not, nothing needs it any more; else a token could fill the disk.
        defer { if !wasThere { unlink("\(services.paths.blobs)/\(archive.rawValue)") } }
        // It may have been revoked while the archive was on its way.
        try TokenKeeper(services.paths).check(entered.token, app: entered.app)
        try services.healing.permitRelease(of: scope.ids)
        let pulse = Pulse { way.send(.event, id, Event.alive) }
        defer { pulse.stop() }
        let step = StepID("\(scope.node)/token-release:\(entered.app)")
        let text = try ReleaseRun(services).run(scope, token: entered.token) {
            way.send(.event, id, Event.progress(StepProgress(step: step, line: $0)))
        }
        way.send(.event, id, Event.progress(StepProgress(step: step, line: text, fraction: 1)))
        way.send(.reply, id, Reply.accepted)
        visit.scope = nil
        visit.entered = nil
    }
}

/// The way out of a connection: several threads speak on it, one frame after the other.
private final class Way: Sendable {
    private let state: Mutex<Int32>

    init(_ descriptor: Int32) {
        // A peer that no longer reads must not hold up a release.
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        state = Mutex(descriptor)
    }

    func send(_ kind: FrameKind, _ id: UInt32, _ value: some Encodable) {
        guard let bytes = try? Wire.frame(kind, id: id, value) else { return }
        state.withLock { descriptor in
            guard descriptor >= 0 else { return }
            do { try DurableFile.writeAll(bytes, to: descriptor, path: "the connection") } catch {
                // The release goes on unwatched.
                shutdown(descriptor, Int32(SHUT_WR))
            }
        }
    }

    func refuse(_ id: UInt32, _ error: BasculeError) { send(.reply, id, Reply.refused(error)) }

    func close() {
        state.withLock { descriptor in
            if descriptor >= 0 { Glibc.close(descriptor) }
            descriptor = -1
        }
    }
}

/// Says every five seconds that a release goes on.
private final class Pulse: Sendable {
    private let task: Task<Void, Never>

    init(_ beat: @escaping @Sendable () -> Void) {
        task = Task {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(5))
                if !Task.isCancelled { beat() }
            }
        }
    }

    func stop() { task.cancel() }
}
