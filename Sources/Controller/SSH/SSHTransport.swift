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

/// At most so many logins under way at one server: sshd's default `MaxStartups` begins to drop at 10.
final class LoginSlots: @unchecked Sendable {
    static let perServer = 8
    private var busy: [SSHEndpoint: (count: Int, list: WaitList)] = [:]

    func enter(
        _ server: SSHEndpoint, _ loop: SSHLoop, until deadline: ContinuousClock.Instant, on actor: isolated any Actor
    )
        async throws
    {
        while let entry = busy[server], entry.count >= LoginSlots.perServer {
            if ContinuousClock.now >= deadline { throw SSHFailure.late("earlier logins at the same server") }
            try await entry.list.wait(until: deadline, on: actor)
        }
        busy[server, default: (0, WaitList(loop: loop))].count += 1
    }

    func leave(_ server: SSHEndpoint) {
        guard var entry = busy[server] else { return }
        entry.count -= 1
        busy[server] = entry.count == 0 && entry.list.isEmpty ? nil : entry
        // All of them: one that has given up meanwhile must not swallow the slot.
        entry.list.wakeAll()
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
