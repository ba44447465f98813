import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeProtocol
import BasculeSSH
import BasculeStore
import Foundation

extension ErrorCode {
    /// No agent was built for a node's architecture, or the file is missing.
    package static let agentMissing: ErrorCode = "agent-missing"
    /// The bootstrap did not come to its end; nothing else was changed.
    package static let bootstrapFailed: ErrorCode = "bootstrap-failed"
}

/// How a first contact is answered.
package struct FirstContact: Sendable {
    /// `SHA256:…` from the command line.
    package var fingerprint: String?
    /// Asks a person; nil refuses an unknown key.
    package var ask: (@Sendable (SSHHostKey) async -> Bool)?
    package var passphrase: SSHPassphrase?
    /// The administrator's private key file, instead of what the fleet file names.
    package var key: String?

    package init(
        fingerprint: String? = nil, ask: (@Sendable (SSHHostKey) async -> Bool)? = nil,
        passphrase: SSHPassphrase? = nil, key: String? = nil
    ) {
        (self.fingerprint, self.ask, self.passphrase, self.key) = (fingerprint, ask, passphrase, key)
    }

    /// The key file that was named, with its `~/` expanded.
    var identities: [SSHIdentity]? {
        let home = ProcessInfo.processInfo.environment["HOME"] ?? "/root"
        return key.map { [.keyFile(path: $0.hasPrefix("~/") ? home + $0.dropFirst(1) : $0)] }
    }
}

/// Puts the agent on a node: the one moment that needs the administrator's own login.
package struct Bootstrap: Sendable {
    package let session: FleetSession
    package let contact: FirstContact
    package let say: @Sendable (String) -> Void

    package init(session: FleetSession, contact: FirstContact, say: @escaping @Sendable (String) -> Void) {
        (self.session, self.contact, self.say) = (session, contact, say)
    }

    /// Where the agents' programs lie: beside our own program, `agents/ARCH/bascule-agent`; or `BASCULE_AGENTS`.
    package static func program(for architecture: String) throws -> [UInt8] {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
        let folders = [
            ProcessInfo.processInfo.environment["BASCULE_AGENTS"], "\(own)/agents", "\(own)/../lib/bascule/agents",
        ].compactMap { $0 }
        for folder in folders {
            if let data = FileManager.default.contents(atPath: "\(folder)/\(architecture)/bascule-agent") {
                return [UInt8](data)
            }
        }
        throw BasculeError(
            .agentMissing, "there is no agent for the architecture \(architecture)",
            cause: "looked in \(folders.joined(separator: ", "))",
            hint: "build it on such a machine with make build, and put it into agents/\(architecture)/")
    }

    /// Logs in as the administrator, checks, uploads, installs, and records the machine.
    package func run(_ node: NodeName) async throws {
        let place = Place.node(name: node.rawValue, subject: nil)
        guard let endpoint = try await session.endpoint(node) else {
            throw BasculeError(
                .notBootstrapped, "the throwaway node is not up", at: place, hint: "bascule lab up \(node)")
        }
        let admin = try await login(node)
        say("connecting to \(admin.user)@\(endpoint)")
        let ssh = try await SSHSession.connect(to: endpoint, login: admin)
        let outcome: PinOutcome
        do {
            outcome = try await install(node, over: ssh, sudo: admin.user == "root" ? "" : "sudo -n ")
        } catch {
            await ssh.close()
            throw BasculeError.wrapping(error, code: .bootstrapFailed, "the bootstrap failed").placed(at: place)
        }
        let presented = await ssh.hostKey
        await ssh.close()
        try await record(node, endpoint, presented, outcome)
    }

    /// The administrator's own login on a node.
    func login(_ node: NodeName) async throws -> SSHLogin {
        let known = try await session.pins(node)
        let policy: HostKeyPolicy =
            if !known.isEmpty {
                .pinned(known)
            } else if let fingerprint = contact.fingerprint {
                .accept(fingerprint)
            } else if let ask = contact.ask {
                .firstContact(ask: ask)
            } else {
                .pinned([])
            }
        switch session.fleet.nodes[node] {
        case .existing(let machine)?:
            var named = contact
            named.key = contact.key ?? machine.key
            let identities = named.identities ?? [.agent(socket: nil)]
            return SSHLogin(
                user: machine.user, identities: identities, hostKeys: policy, passphrase: contact.passphrase)
        default:
            // A throwaway node knows root by the key that the fleet had when it was made.
            let fleet = [try await session.fleetKey().secret] + (try session.store.formerFleetKeys())
            let keys = fleet + (try session.store.pendingKeys().map { [$0.secret] } ?? [])
            return SSHLogin(
                user: "root", identities: contact.identities ?? keys.map { .key($0, name: "the fleet's key") },
                hostKeys: policy)
        }
    }

    private func install(_ node: NodeName, over ssh: SSHSession, sudo: String) async throws -> PinOutcome {
        let architecture = try await ssh.exec("uname -m").stdoutText.trimmingCharacters(in: .whitespacesAndNewlines)
        guard ["x86_64", "aarch64"].contains(architecture) else {
            throw BasculeError(
                .agentMissing, "the node's architecture is not supported", cause: String(architecture.prefix(40)))
        }
        let program = try Bootstrap.program(for: architecture)
        let digest = Digest(of: program)
        let path = "/usr/local/lib/bascule/bascule-agent"
        let present = try await ssh.exec("\(sudo)sha256sum \(path) 2>/dev/null").stdoutText
        if !present.hasPrefix(digest.rawValue) {
            say("uploading the agent (\(program.count.bytesText), \(architecture))")
            let upload = try await ssh.exec(
                "\(sudo)mkdir -p /usr/local/lib/bascule && \(sudo)tee \(path).upload >/dev/null && \(sudo)sha256sum \(path).upload",
                input: .bytes(program), deadline: .seconds(600))
            guard upload.stdoutText.hasPrefix(digest.rawValue) else {
                throw BasculeError(
                    .bootstrapFailed, "the agent did not arrive whole: its hash on the node is another one",
                    cause: String(upload.stderrText.suffix(500)),
                    hint: "is the node's disk full? Run the same command again")
            }
            Failpoint.hit("controller.bootstrap.uploaded")
            let move = try await ssh.exec(
                // Flushed before and after: an agent of zero bytes would be what a power cut leaves.
                "\(sudo)chmod 755 \(path).upload && \(sudo)sync \(path).upload && \(sudo)mv \(path).upload \(path)"
                    + " && \(sudo)sync /usr/local/lib/bascule && echo moved")
            guard move.stdoutText.hasPrefix("moved") else {
                throw BasculeError(
                    .bootstrapFailed, "the agent could not be put in place", cause: String(move.stderrText.suffix(500)))
            }
        }
        Failpoint.hit("controller.bootstrap.install.before")
        say("installing the agent")
        // The public line is two words of base64 alphabet: nothing in it means anything to a shell.
        let keys = try await session.keys(of: node)
        let words = keys.publicLine.split(separator: " ").prefix(2).joined(separator: " ")
        let key = Hex.encode(keys.signing.publicKey)
        if case .lab? = session.fleet.nodes[node] {
            // A throwaway node has no administrator but the fleet: root knows its key, also a new one.
            let line = "/root/.ssh/authorized_keys"
            _ = try await ssh.exec("grep -qsF '\(words)' \(line) || echo '\(words)' >> \(line)")
        }
        let installed = try await ssh.exec(
            "\(sudo)\(path) install --fleet-key '\(words)' --controller-key \(key) --epoch \(session.epoch) && echo installed"
        )
        let said = installed.stdoutText.split(separator: "\n").suffix(2).map(String.init)
        guard said.last == "installed", let outcome = said.first.flatMap({ PinOutcome(rawValue: $0) }) else {
            throw BasculeError(
                .bootstrapFailed, "the agent could not be installed", cause: String(installed.stderrText.suffix(1500)),
                hint: "look at the cause, then run the same command again; what was done is not done twice")
        }
        return outcome
    }

    /// Greets the new agent and pins what it is.
    private func record(
        _ node: NodeName, _ endpoint: SSHEndpoint, _ hostKey: SSHHostKey?, _ outcome: PinOutcome
    ) async throws {
        var record = try session.store.node(node)
        if record.hostKeys.isEmpty, let hostKey { record.hostKeys = [hostKey.line] }
        record.address = endpoint.host
        record.port = Int(endpoint.port)
        let fresh = try await session.greet(node, endpoint, pins: try record.hostKeys.map { try SSHHostKey(line: $0) })
        if let known = record.machine, known != fresh.machine {
            throw BasculeError(
                .otherMachine, "another machine answers at \(endpoint): its identity is not the pinned one",
                at: .node(name: node.rawValue, subject: nil),
                hint: "if it was replaced on purpose: bascule node forget \(node), then bootstrap again")
        }
        Failpoint.hit("controller.bootstrap.greeted")
        // Root's login just made the node this controller's: its counting is taken up. A node that was its own already
        // must not be ahead of the store.
        if record.machine == nil || outcome != .kept { try session.store.raiseSerial(of: node, to: fresh.serial) }
        record.machine = fresh.machine
        record.sealingKey = fresh.sealingKey
        record.architecture = fresh.architecture
        record.agent = fresh.product
        try session.store.save(record)
        say("agent \(fresh.product) runs, machine \(fresh.machine.prefix(12))")
    }
}

extension FleetSession {
    /// A first greeting, before the machine is recorded.
    func greet(_ node: NodeName, _ endpoint: SSHEndpoint, pins: [SSHHostKey]) async throws -> Welcome {
        let login = SSHLogin(
            user: "bascule", identities: [.key(try await keys(of: node).secret, name: "the fleet's key")],
            hostKeys: .pinned(pins))
        let link = try await NodeLink.open(
            node, endpoint, login: login, greeting: try greeting(node, machine: nil, key: nil))
        defer { Task { await link.close() } }
        _ = try await link.send()
        return try await link.welcome()
    }
}
