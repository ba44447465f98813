import BasculeModel
import BasculeProtocol
import Glibc

/// One request to the agent of this very node, for its console and its forced commands.
enum LocalClient {
    /// - Parameter socket: another of the agent's doors than its own.
    static func ask(_ request: Request, paths: AgentPaths, at socket: String? = nil) throws -> Reply {
        let descriptor = try UnixSocket.connect(socket ?? paths.socket)
        defer { close(descriptor) }
        try DurableFile.writeAll(try Wire.frame(.request, id: 1, request), to: descriptor, path: "the agent")
        var decoder = FrameDecoder()
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            if let frame = try decoder.next() {
                guard frame.kind == .reply else { continue }
                let reply = try Wire.decode(Reply.self, from: frame.body)
                if case .refused(let error) = reply { throw error }
                return reply
            }
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw BasculeError(.agentDown, "the agent closed the connection") }
            decoder.feed(buffer[..<count])
        }
    }
}

/// What the conductor's key may say to the old edge.
enum EdgeWord {
    /// `old`, `new`, or `maintenance SECONDS`; anything else is refused.
    static func say(_ line: String, paths: AgentPaths) throws {
        let words = line.split(separator: " ")
        guard let mode = words.first.flatMap({ EdgeMode(rawValue: String($0)) }), words.count <= 2 else {
            throw BasculeError(.invalidInput, "the edge knows the words old, maintenance and new")
        }
        let lease = words.count == 2 ? Int(words[1]) : nil
        guard words.count == 1 || (lease.map { $0 > 0 && $0 <= 86_400 } ?? false) else {
            throw BasculeError(.invalidInput, "a lease is 1 to 86400 seconds")
        }
        _ = try LocalClient.ask(.edge(mode, lease: lease), paths: paths, at: paths.edgeSocket)
        print("ok \(mode.rawValue)")
    }
}

extension Console {
    /// What an adopting workstation has to know before it takes the node over; also where the agent does not run.
    static func identity(paths: AgentPaths) throws {
        let identity = try AgentIdentity(path: paths.identity)
        let pin = try ControllerPin.load(paths)
        let told = NodeStanding(
            machine: identity.machine, epoch: max(identity.epoch, pin?.epoch ?? 0), serial: identity.serial)
        print(String(decoding: try Wire.encode(told), as: UTF8.self))
    }
}
