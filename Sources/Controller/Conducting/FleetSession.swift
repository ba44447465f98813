import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeProtocol
import BasculeProviders
import BasculeSSH
import BasculeStore
import Foundation

/// A host key as SSH presents it; the fleet file has a type of the same name for what is written there.
package typealias SSHHostKey = BasculeSSH.HostKey
/// A throwaway node as it is; the fleet file has a type of the same name for what is declared.
package typealias ThrowawayNode = BasculeProviders.LabNode

/// One command's view of a fleet: the parsed file, the store, and the connections to its agents.
package actor FleetSession {
    package nonisolated let fleet: Fleet
    package nonisolated let file: String
    package nonisolated let revision: Digest
    package nonisolated let positions: [String: Place]
    package nonisolated let store: Store
    package nonisolated let lab: Lab?
    /// What greets the agents.
    package nonisolated let holder: String
    let logins = LoginBudget()
    package nonisolated let epoch: Int
    var links: [NodeName: NodeLink] = [:]
    var welcomes: [NodeName: Welcome] = [:]
    var skews: [NodeName: Double] = [:]
    /// Connections that this command made itself, and that another one may want.
    var made: [NodeName: HolderOrder.Entry] = [:]
    /// Nodes whose held connection turned out to be dead.
    var heldInVain: Set<NodeName> = []
    /// Held connections that were begun before anybody asked for them.
    var reaching: [NodeName: Task<NodeLink?, Never>] = [:]
    private var labNodes: [ThrowawayNode]?
    private var keyBeingMade: Task<(secret: Secret, publicLine: String), any Error>?

    /// Opens the store of a fleet file that was parsed.
    package init(_ parsed: ParsedFleet, file: String, storePath: String?) throws {
        fleet = parsed.fleet
        positions = parsed.positions
        self.file = file
        revision = Digest(of: [UInt8]((try? Data(contentsOf: URL(fileURLWithPath: file))) ?? Data()))
        store = try Store(path: storePath ?? Store.defaultPath(fleet: parsed.fleet.name))
        holder = "\(ProcessInfo.processInfo.hostName) pid \(ProcessInfo.processInfo.processIdentifier)"
        epoch = try store.setting("epoch").flatMap { Int($0) } ?? 1
        let hasLab = parsed.fleet.nodes.values.contains { if case .lab = $0 { true } else { false } }
        lab = hasLab ? try Lab(labName: FleetSession.labName(parsed.fleet.name)) : nil
    }

    /// The lab that a fleet's throwaway nodes belong to.
    package static func labName(_ fleet: String) -> String { fleet }

    // MARK: - Where nodes are

    /// Where a node's SSH server listens; nil for a throwaway node that is not up.
    package func endpoint(_ node: NodeName) async throws -> SSHEndpoint? {
        switch fleet.nodes[node] {
        case .existing(let machine)?: return SSHEndpoint(host: machine.address, port: UInt16(machine.port))
        case .lab?:
            guard let record = try await labNode(node), record.health != .stopped else { return nil }
            return SSHEndpoint(host: record.address)
        case nil:
            throw BasculeError(
                .notFound, "the fleet file has no node \(node)",
                hint: "it has: \(fleet.nodeNames.map(\.rawValue).joined(separator: ", "))")
        }
    }

    private func labNode(_ node: NodeName) async throws -> ThrowawayNode? {
        guard let lab else { return nil }
        if labNodes == nil { labNodes = try await lab.list() }
        return labNodes?.first { $0.name == node }
    }

    /// Looks at the lab again: nodes were brought up or taken down.
    package func refreshLab() { labNodes = nil }

    /// Addresses of all nodes that have one, for bindings and migrations.
    package func addresses() async throws -> [NodeName: String] {
        var found: [NodeName: String] = [:]
        for node in fleet.nodeNames { found[node] = try await endpoint(node)?.host }
        return found
    }

    /// Host keys that the fleet file or an earlier contact gave, for a node.
    package func pins(_ node: NodeName) async throws -> [SSHHostKey] {
        if case .existing(let machine)? = fleet.nodes[node], let key = machine.hostKey {
            return [try SSHHostKey(line: key.text)]
        }
        if case .lab? = fleet.nodes[node], let record = try await labNode(node) {
            return try record.hostKeys.map { try SSHHostKey(line: $0) }
        }
        return try store.node(node).hostKeys.map { try SSHHostKey(line: $0) }
    }

    /// Nodes that the active topology uses, and those that the migration's edge needs.
    package nonisolated var usedNodes: [NodeName] {
        var used = Set(fleet.active.placements.keys)
        if case .node(let edge)? = fleet.migration?.edge { used.insert(edge.node) }
        return used.sorted()
    }

    // MARK: - Connections

    /// The fleet's own key, made once, as OpenSSH's private key text and public line.
    package func fleetKey() async throws -> (secret: Secret, publicLine: String) {
        if let secret = try store.secret("bascule.fleet-key"), let line = try store.setting("fleet-key.public") {
            return (secret, line)
        }
        // Two nodes that are brought up at once must not make two keys: whoever comes second waits for the first.
        let making = keyBeingMade ?? Task { try await makeFleetKey() }
        keyBeingMade = making
        defer { keyBeingMade = nil }
        return try await making.value
    }

    private func makeFleetKey() async throws -> (secret: Secret, publicLine: String) {
        let fresh = try await FleetSession.freshFleetKey(fleet.name)
        try store.setSecret("bascule.fleet-key", fresh.secret, origin: "generated")
        try store.set("fleet-key.public", to: fresh.publicLine)
        return fresh
    }

    /// A new SSH key pair for a fleet, kept nowhere yet.
    static func freshFleetKey(_ fleet: String) async throws -> (secret: Secret, publicLine: String) {
        let directory = NSTemporaryDirectory() + "bascule-\(RandomBytes.identifier())"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(atPath: directory) }
        _ = try await Command.run([
            "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bascule \(fleet)", "-f", "\(directory)/key",
        ])
        .requireSuccess("making the fleet's key with ssh-keygen", hint: "apt-get install openssh-client")
        let secret = Secret(try String(contentsOfFile: "\(directory)/key", encoding: .utf8))
        let line = try String(contentsOfFile: "\(directory)/key.pub", encoding: .utf8).trimmingCharacters(
            in: .whitespacesAndNewlines)
        return (secret, line)
    }

    /// What greets a node's agent and signs what is asked of it.
    /// - Parameters:
    ///   - machine: the pinned identity; nil at the first contact.
    ///   - key: the node's pinned sealing key, hexadecimal; nil at the first contact.
    ///   - signing: what signs; nil: the key that the node obeys.
    func greeting(
        _ node: NodeName, machine: String?, key: String?, signing: SigningKeyPair? = nil
    ) throws -> LinkGreeting {
        let pinned = try key.map { [$0] + (try store.nextSealingKey(of: node).map { [$0] } ?? []) } ?? []
        let signer = RequestSigner(
            keys: try signing ?? rotated(node)?.signing ?? signingKey(), epoch: epoch,
            serial: { [store] in try store.nextSerial(of: node, seen: $0) })
        return try LinkGreeting(node: node, holder: holder, machine: machine, sealingKeys: pinned, signer: signer)
    }

    /// The fleet's signing key, made once. Its public half is pinned by the agents at their bootstrap.
    package func signingKey() throws -> SigningKeyPair {
        if let secret = try store.secret("bascule.signing-key"), let line = try store.setting("signing-key.public"),
            let own = Hex.decode(secret.reveal()), let open = Hex.decode(line)
        {
            return SigningKeyPair(publicKey: open, secretKey: own)
        }
        let fresh = try SigningKeyPair()
        try store.setSecret("bascule.signing-key", Secret(Hex.encode(fresh.secretKey)), origin: "generated")
        try store.set("signing-key.public", to: Hex.encode(fresh.publicKey))
        return fresh
    }

    /// Whether the store has seen this node's agent.
    package nonisolated func isBootstrapped(_ node: NodeName) throws -> Bool { try store.node(node).machine != nil }

    /// Throws `stale-serial` where a node that was greeted has seen more than this store ever asked: it is an old copy,
    /// and must not even begin.
    package func requireNewest() throws {
        for (node, welcome) in welcomes {
            try store.requireSerial(of: node, atLeast: welcome.serial)
        }
    }

    /// Whether this command has talked to the node.
    package func isConnected(_ node: NodeName) -> Bool { links[node] != nil }

    /// Forgets a connection that broke, so that the next use makes another.
    package func drop(_ node: NodeName) async {
        if let link = links.removeValue(forKey: node) {
            if link.isHeld { heldInVain.insert(node) }
            await link.close()
        }
        welcomes[node] = nil
    }

    /// What the agent said of itself when it was greeted.
    package func welcome(_ node: NodeName) async throws -> Welcome {
        _ = try await link(node)
        guard let welcome = welcomes[node] else { throw BasculeError(.defect, "a connection without a greeting") }
        return welcome
    }

    /// Seconds by which the clocks of greeted nodes are ahead of this machine's, where that is worth a word. Nothing of
    /// ours depends on it, but certificates, signatures of DNS updates and people who read logs do.
    package var clockSkews: [NodeName: Double] { skews.filter { abs($0.value) > FleetSession.toleratedSkew } }

    /// Seconds by which a greeted node's clock is ahead of this machine's; nil where it did not tell.
    package func skew(of node: NodeName) -> Double? { skews[node] }

    /// Seconds. NTP keeps nodes within milliseconds; what a slow connection adds stays well below.
    package static let toleratedSkew = 5.0

    /// Ends all connections. Those that this command made go on in the connection holder, for the next command.
    package func close() async {
        for link in links.values { await link.close() }
        links = [:]
        for begun in reaching.values { await begun.value?.close() }
        reaching = [:]
        await hold()
    }
}
