import BasculeModel

/// A thread that carries SSH sessions, hundreds of them. Sessions keep their transport alive; the thread ends with
/// the last one.
package final class SSHTransport: Sendable {
    let loop: SSHLoop

    /// Throws `input-output` when the system has no descriptor or thread left.
    package init() throws(BasculeError) { loop = try SSHLoop() }

    deinit { loop.stop() }

    private static let made = Result { () throws(BasculeError) in try SSHTransport() }

    /// The transport of a process that needs only one.
    package static var shared: SSHTransport {
        get throws(BasculeError) { try made.get() }
    }
}

/// Logins under way: at most 8 at one address, as sshd's default `MaxStartups` begins to drop at 10; and at most 32 in
/// all, as several addresses may be one server, and as more only make each of them slower on this machine.
///
/// A slot is for the work of a login. Who has held one for long waits for a peer that is far away, silent or hostile,
/// and gives it up to those behind.
final class LoginSlots: @unchecked Sendable {
    static let perServer = 8
    static let inAll = 32
    static let patience = Duration.seconds(2)

    /// A place among the logins under way; nothing happens when it is left twice.
    final class Slot {
        fileprivate let server: SSHEndpoint
        fileprivate var timer: UInt64?
        fileprivate var isLeft = false
        fileprivate init(_ server: SSHEndpoint) { self.server = server }
    }

    private var busy: [SSHEndpoint: Int] = [:]
    private var total = 0
    private var list: WaitList?

    /// Waits for its turn, however long that takes: every slot is given up in time.
    func enter(_ server: SSHEndpoint, _ loop: SSHLoop, on actor: isolated any Actor) async throws -> Slot {
        let list = list ?? WaitList(loop: loop)
        self.list = list
        while total >= LoginSlots.inAll || busy[server, default: 0] >= LoginSlots.perServer {
            try await list.wait(until: nil, on: actor)
        }
        busy[server, default: 0] += 1
        total += 1
        let slot = Slot(server)
        slot.timer = loop.after(.now + LoginSlots.patience) { self.leave(slot, loop) }
        return slot
    }

    func leave(_ slot: Slot, _ loop: SSHLoop) {
        guard !slot.isLeft else { return }
        slot.isLeft = true
        if let timer = slot.timer { loop.cancelTimer(timer) }
        total -= 1
        let left = busy[slot.server, default: 1] - 1
        busy[slot.server] = left > 0 ? left : nil
        // All of them: one that has given up meanwhile, or waits for another server, must not swallow the slot.
        list?.wakeAll()
    }
}

/// Where an SSH server is.
package struct SSHEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// A name or a numeric IPv4 or IPv6 address, without brackets.
    package let host: String
    /// The TCP port.
    package let port: UInt16

    /// 22 is SSH's own port.
    package init(host: String, port: UInt16 = 22) {
        self.host = host
        self.port = port
    }

    /// `HOST:PORT`, with brackets around an IPv6 address.
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Something that can prove who we are.
package enum SSHIdentity: Sendable {
    /// A private key file (Ed25519 or ECDSA).
    case keyFile(path: String)
    /// A private key's text; `name` is what errors call it.
    case key(Secret, name: String)
    /// The keys of an ssh-agent; nil: the one that `SSH_AUTH_SOCK` names.
    case agent(socket: String?)
}

/// Asks for the passphrase of the key called `name`. `attempt` counts from 1, and ends with 3; nil gives up.
package typealias SSHPassphrase = @Sendable (_ name: String, _ attempt: Int) async -> Secret?

/// As whom, how, and whom to trust.
package struct SSHLogin: Sendable {
    /// The remote user's name.
    package var user: String
    /// Tried in this order.
    package var identities: [SSHIdentity]
    /// Decided before anything that authenticates is sent.
    package var hostKeys: HostKeyPolicy
    /// Asked only for an encrypted key that the server accepts.
    package var passphrase: SSHPassphrase?
    /// For everything from the name look-up to the login, time spent asking a person excluded.
    package var deadline: Duration

    /// 15 s are enough for a login at the other end of the world with a retry or two.
    package init(
        user: String, identities: [SSHIdentity], hostKeys: HostKeyPolicy, passphrase: SSHPassphrase? = nil,
        deadline: Duration = .seconds(15)
    ) {
        self.user = user
        self.identities = identities
        self.hostKeys = hostKeys
        self.passphrase = passphrase
        self.deadline = deadline
    }
}
