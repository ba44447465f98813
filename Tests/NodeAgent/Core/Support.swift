import BasculeModel
import BasculeProtocol
import Glibc
import Synchronization

@testable import BasculeAgentCore

/// A directory of a test's own, removed when it goes.
final class Folder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/bascule-core-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BasculeError(.inputOutput, "no temporary directory") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Folder.remove(path) }

    private static func remove(_ path: String) {
        if unlink(path) == 0 { return }
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != ".", name != ".." { remove("\(path)/\(name)") }
            }
            closedir(directory)
        }
        rmdir(path)
    }

    func exists(_ name: String) -> Bool { access("\(path)/\(name)", F_OK) == 0 }
}

/// An agent's daemon on a socket in a directory of its own: the real session, keeper, journal and identity.
final class House: Sendable {
    let folder: Folder
    let paths: AgentPaths
    let services: AgentServices
    let keeper: SegmentKeeper
    private let listener: Int32

    /// - Parameters:
    ///   - folder: an earlier house's, to live on with its state.
    ///   - door: where its connections come in.
    init(_ folder: Folder? = nil, door: ConnectionTrust.Door = .root) throws {
        signal(SIGPIPE, SIG_IGN)
        let folder = try folder ?? Folder()
        self.folder = folder
        paths = AgentPaths(state: "\(folder.path)/state", runtime: "\(folder.path)/run")
        services = try AgentServices(paths: paths)
        keeper = SegmentKeeper(services: services)
        try DurableFile.makeDirectory(paths.runtime)
        let (listener, services, keeper) = (try UnixSocket.listen(paths.socket, group: nil), services, keeper)
        self.listener = listener
        Thread.detach {
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                let session = AgentSession(descriptor: connection, services: services, keeper: keeper, door: door)
                Thread.detach { session.serve() }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    /// A file of the node, as a step that creates it.
    func file(_ name: String, _ text: String = "x", requires: [StepID] = [], id: StepID? = nil, undo: Bool = false)
        -> Step
    {
        let item = ConvergeItem(desired: desired(name, text), before: nil, change: nil)
        let absent = ConvergeItem(desired: desired("undone-\(name)", text), before: nil, change: nil)
        return Step(
            id: id ?? StepID("file/\(name)"), phase: .install, node: "n", title: "file \(name)",
            action: .converge([item]), requires: requires,
            reversal: .reversible(seconds: 1), estimate: 0.1, compensation: undo ? .converge([absent]) : nil)
    }

    func desired(_ name: String, _ text: String = "x") -> DesiredResource {
        DesiredResource(.file(FileSpec("\(folder.path)/\(name)", Content(text))), on: "n", origin: "test")
    }

    /// A step that no agent can do.
    func impossible(_ id: StepID, requires: [StepID] = []) -> Step {
        Step(
            id: id, phase: .install, node: "n", title: "impossible", action: .provision("x"), requires: requires,
            reversal: .reversible(seconds: 0), estimate: 0)
    }

    func segment(
        _ id: SegmentID, _ steps: [Step], epoch: Int = 1, _ onFailure: Segment.OnFailure = .skipDependents,
        attempt: Int? = nil
    ) -> Segment {
        Segment(
            id: id, plan: "p", run: "r", node: "n", epoch: epoch, serial: 1, steps: steps, onFailure: onFailure,
            lease: attempt.map { MigrationLease(seconds: 60, ifAlone: .rollback, attempt: $0) })
    }
}

/// A controller's end of a connection.
final class Peer {
    let descriptor: Int32
    private var decoder = FrameDecoder()
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    private let seconds: Double

    init(_ house: House, seconds: Double = 20) throws {
        descriptor = try UnixSocket.connect(house.paths.socket)
        self.seconds = seconds
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) throws { try DurableFile.writeAll(bytes, to: descriptor, path: "the agent") }
    func send(_ request: Request, id: UInt32 = 1) throws { try send(try Wire.frame(.request, id: id, request)) }
    func chunk(_ bytes: [UInt8], id: UInt32) throws { try send(try Frame(.chunk, id: id, body: bytes).encoded()) }

    /// The next frame; nil where the agent closed the connection. Never blocks a thread: the agent needs them too.
    func frame() async throws -> Frame? {
        let end = WallClock.monotonic() + seconds
        while true {
            if let frame = try decoder.next() { return frame }
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count > 0 {
                decoder.feed(buffer[..<count])
                continue
            }
            if count == 0 || errno == ECONNRESET { return nil }
            guard WallClock.monotonic() < end else { throw BasculeError(.timedOut, "no answer") }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    /// The reply of a request, and the events before it.
    func answer(to id: UInt32 = 1) async throws -> (events: [Event], reply: Reply) {
        var events: [Event] = []
        while let frame = try await frame() {
            guard frame.id == id else { continue }
            if frame.kind == .event { events.append(try Wire.decode(Event.self, from: frame.body)) }
            if frame.kind == .reply { return (events, try Wire.decode(Reply.self, from: frame.body)) }
        }
        throw BasculeError(.protocolViolation, "the agent closed the connection")
    }

    func ask(_ request: Request, id: UInt32 = 1) async throws -> Reply {
        try send(request, id: id)
        return try await answer(to: id).reply
    }
}

extension Reply {
    var refusal: ErrorCode? { if case .refused(let error) = self { error.code } else { nil } }
    var outcome: SegmentOutcome? { if case .ended(let outcome) = self { outcome } else { nil } }
}

extension Event {
    var record: JournalRecord? { if case .journal(let record) = self { record } else { nil } }
}

/// The code of what a body throws; nil where it throws nothing.
func code(_ body: () throws -> some Any) -> ErrorCode? {
    do {
        _ = try body()
        return nil
    } catch { return (error as? BasculeError)?.code ?? "another error" }
}

/// Waits, at most 20 seconds, until something holds.
func eventually(_ condition: () throws -> Bool) async throws -> Bool {
    let end = WallClock.monotonic() + 20
    while WallClock.monotonic() < end {
        if try condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}
