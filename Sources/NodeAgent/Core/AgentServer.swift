import BasculeModel
import BasculeProtocol
import BasculeResources
import Dispatch
import Glibc
import Synchronization

/// The agent's daemon: listens on its socket, serves each connection on a thread, runs what was accepted.
package final class AgentServer: Sendable {
    private let services: AgentServices
    private let keeper: SegmentKeeper
    private let memory = IdleMemory()

    package init(paths: AgentPaths) throws {
        services = try AgentServices(paths: paths)
        keeper = SegmentKeeper(services: services)
    }

    /// Serves for ever. Throws where the socket cannot be opened or the journal is damaged.
    package func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        Leftovers.remove(below: services.paths.state)
        do { try ResourceKeeper.repair(services.context()) } catch { services.log("repairs failed: \(error)") }
        if let failed = Upgrade.takeFailure(services.paths) {
            let text = "the program \(failed.program.rawValue.prefix(12)) was tried and left again: \(failed.reason)"
            services.healing.tell([AgentEvent(sequence: 0, time: 0, kind: .note, text: text)])
        }
        services.loginGuard.recover(services.context(progress: services.log))
        // Before the segments, whose tasks want a follower to rest.
        services.following.resume()
        try await keeper.resume()
        ReleaseRun(services).recover(await keeper.cutReleases)
        do { try services.edge.restore() } catch { services.log("the edge could not be restored: \(error)") }
        try DurableFile.makeDirectory(services.paths.runtime, mode: 0o755)
        let listener = try UnixSocket.listen(services.paths.socket, group: Accounts.group(of: AgentPaths.user))
        greet(listener) { UnixSocket.isRoot($0) ? .root : .controller }
        let edge = try UnixSocket.listen(services.paths.edgeSocket, group: Accounts.group(of: AgentPaths.user))
        greet(edge) { _ in .edge }
        let release = try UnixSocket.listen(services.paths.releaseSocket, group: Accounts.group(of: AgentPaths.user))
        let door = ReleaseDoor(services)
        serve(release) { door.serve($0) }
        HealLoop.begin(services.healing, memory)
        services.log("bascule-agent \(ProtocolVersion.product) listens at \(services.paths.socket)")
        while true {
            try? await Task.sleep(for: .seconds(1))
            let edge = services.edge
            if edge.mode == .maintenance { try? await Blocking.run { edge.tick() } }
            if services.loginGuard.isPending {
                try? await Blocking.run { [services] in
                    services.loginGuard.revertOverdue(services.context(progress: services.log))
                }
            }
            memory.tick()
        }
    }

    /// Serves sessions; `door` says by a connection's descriptor where it came in.
    private func greet(_ listener: Int32, _ door: @escaping @Sendable (Int32) -> ConnectionTrust.Door) {
        serve(listener) { [services, keeper, memory] connection in
            AgentSession(
                descriptor: connection, services: services, keeper: keeper, door: door(connection),
                worked: { memory.worked() }
            ).serve()
        }
    }

    /// Accepts connections on a thread of its own, and gives each to a thread with `body`.
    private func serve(_ listener: Int32, _ body: @escaping @Sendable (Int32) -> Void) {
        Thread.detach { [self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else {
                    if errno == EINTR || errno == ECONNABORTED { continue }
                    services.log("could not accept a connection: \(String(cString: strerror(errno)))")
                    sleep(1)
                    continue
                }
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                Thread.detach { [memory] in
                    memory.worked()
                    body(connection)
                    memory.worked()
                }
            }
        }
    }
}

/// A thread with a small stack.
enum Thread {
    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs `body` on a thread of its own.
    static func detach(_ body: @escaping @Sendable () -> Void) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 512 << 10)
        defer { pthread_attr_destroy(&attributes) }
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(body))
        let status = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        if status != 0 {
            box.release()
            StandardError.write(line: "could not start a thread: \(String(cString: strerror(status)))")
        }
    }
}

/// Account look-ups that the daemon itself needs.
enum Accounts {
    /// The primary group of a user, nil where there is no such user.
    static func group(of user: String) -> gid_t? { getpwnam(user).map { $0.pointee.pw_gid } }
}
