import BasculeModel
import BasculeNet

/// A connection to systemd itself, for reading: no process is started, all questions go out at once.
final class SystemdBus {
    let stream: TCPStream
    /// To systemd's own socket, where every signal arrives unasked.
    let isPrivate: Bool
    var buffer: [UInt8] = []
    private var serial = 0
    private let deadline: Deadline

    /// Connects to systemd's private socket (root only), or through the system bus where that is missing or
    /// `filtering` is asked for: only the system bus lets a listener say what it wants to hear.
    init(filtering: Bool = false, deadline: Deadline = .seconds(10)) throws {
        self.deadline = deadline
        let direct = "/run/systemd/private"
        let shared = "/run/dbus/system_bus_socket"
        isPrivate = FileIdentity(path: direct) != nil && (!filtering || FileIdentity(path: shared) == nil)
        let path = isPrivate ? direct : shared
        guard FileIdentity(path: "/run/systemd/system") != nil else {
            throw BasculeError(.unsupported, "systemd does not run on this node")
        }
        stream = try TCPStream.connect(to: .unix(path: path), deadline: deadline)
        // EXTERNAL with the user id 0 in hexadecimal digits of its text. All in one piece, and the first message only
        // after the answer: systemd leaves a message that arrives together with BEGIN unread until more comes.
        let login = "AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"
        try stream.write([0] + Array(login.utf8), deadline: deadline)
        var answer: [UInt8] = []
        while answer.count(where: { $0 == 10 }) < 2, answer.count < 512 {
            answer += try stream.read(exactly: 1, deadline: deadline)
            guard answer.starts(with: Array("OK ".utf8).prefix(answer.count)) else {
                throw BasculeError(.unsupported, "systemd refused the login on its bus", at: .thing(path))
            }
        }
        if !isPrivate {
            _ = try ask([Call("/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", [])])
        }
    }

    deinit { stream.close() }

    /// One method call with string arguments.
    struct Call {
        var path: String
        var interface: String
        var member: String
        var arguments: [String]

        init(_ path: String, _ interface: String, _ member: String, _ arguments: [String]) {
            (self.path, self.interface, self.member, self.arguments) = (path, interface, member, arguments)
        }
    }

    /// Sends all calls, then collects their replies in the calls' order.
    func ask(_ calls: [Call]) throws -> [DBusReply] {
        let first = serial + 1
        var bytes: [UInt8] = []
        for call in calls {
            serial += 1
            bytes += DBusWriter.call(
                serial: serial, path: call.path, interface: call.interface, member: call.member,
                arguments: call.arguments)
        }
        try stream.write(bytes, deadline: deadline)
        var replies: [Int: DBusReply] = [:]
        while replies.count < calls.count {
            let reply: DBusReply?
            do { reply = try next() } catch is DBusReader.Malformed {
                throw BasculeError(.inputOutput, "systemd's answer could not be read")
            }
            if let reply, reply.serial >= first { replies[reply.serial] = reply }
        }
        return (first...serial).compactMap { replies[$0] }
    }

    /// The next message; nil where it is no reply.
    private func next() throws -> DBusReply? {
        try fill(16)
        let (header, body) = try sizes()
        try fill(header + body)
        defer { buffer.removeFirst(header + body) }
        return try DBusReply(buffer[..<(header + body)], header: header)
    }

    /// Bytes of the header and of the body of the message at the buffer's start, of which 16 bytes are there.
    func sizes() throws -> (header: Int, body: Int) {
        var reader = DBusReader(buffer[...])
        _ = try reader.take(4)
        let body = Int(try reader.integer(4))
        _ = try reader.integer(4)
        let header = (16 + Int(try reader.integer(4)) + 7) / 8 * 8
        guard header + body <= 1 << 20, buffer[0] == UInt8(ascii: "l") else { throw DBusReader.Malformed() }
        return (header, body)
    }

    private func fill(_ count: Int) throws {
        while buffer.count < count {
            let more = try stream.read(max: 65536, deadline: deadline)
            guard !more.isEmpty else { throw BasculeError(.inputOutput, "systemd closed its bus") }
            buffer += more
        }
    }
}
