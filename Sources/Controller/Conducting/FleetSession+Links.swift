import BasculeCatalogue
import BasculeModel
import BasculeProtocol
import BasculeSSH
import BasculeStore
import Foundation

extension FleetSession {
    /// A connection to a node's agent, greeted; made once and kept for this command.
    package func link(_ node: NodeName) async throws -> NodeLink {
        if let known = links[node] { return known }
        return try await open(node, asking: nil).link
    }

    /// Looks at resources. Where there is no connection yet the question travels with the greeting; its answer counts
    /// only once the greeting's does.
    package func observe(
        _ resources: [DesiredResource], on node: NodeName, purposes: [SecretName: SecretPurpose]
    ) async throws -> [Observation] {
        let names = resources.reduce(into: Set<SecretName>()) { $0.formUnion($1.resource.secrets) }
        var reply: Reply?
        if links[node] == nil {
            let (link, ticket) = try await open(node, asking: .observe(resources))
            // The agent looked with the secrets that it had: if those are other ones, it looks again.
            if let ticket {
                if try holdsSecrets(names, node, purposes) {
                    reply = try await link.answer(to: ticket)
                } else {
                    await link.forget(ticket)
                }
            }
        }
        if reply == nil {
            try await giveSecrets(names, to: node, purposes: purposes)
            reply = try await link(node).ask(.observe(resources))
        }
        guard case .observations(let seen)? = reply else {
            throw BasculeError(.protocolViolation, "the agent answered something else than observations")
        }
        return seen
    }

    /// Connects, greets, and sends one more request in the same flight; the connection is kept for this command.
    private func open(_ node: NodeName, asking: Request?) async throws -> (link: NodeLink, ticket: NodeLink.Ticket?) {
        let greeted = try await connect(node, asking: asking)
        // Another task of this command may have been faster: one connection is enough.
        if let other = links[node] {
            Task { await greeted.link.close() }
            return (other, nil)
        }
        links[node] = greeted.link
        welcomes[node] = greeted.welcome
        skews[node] = greeted.welcome.clock.map { $0 - Date().timeIntervalSince1970 }
        return (greeted.link, greeted.ticket)
    }

    /// Runs `body` over a connection with a login of its own, which is then closed: what is held proves nothing.
    /// - Parameter keys: what logs in and signs; nil: the keys that the node obeys.
    package func overFreshLogin(
        _ node: NodeName, with keys: FleetKeys? = nil, _ body: @Sendable (NodeLink) async throws -> Void
    ) async throws {
        let link = try await connect(node, asking: nil, fresh: true, with: keys).link
        do { try await body(link) } catch {
            await link.close()
            throw error
        }
        await link.close()
    }

    /// A connection to a node's agent, greeted, with the machine's identity checked: on a held one if there is, unless
    /// it must be a login of its own.
    private func connect(
        _ node: NodeName, asking: Request?, fresh: Bool = false, with given: FleetKeys? = nil
    ) async throws -> Greeted {
        do { return try await dial(node, asking: asking, fresh: fresh, with: given) } catch {
            // A rotation was killed between the node's confirmation and the store's note of it: the node says so.
            guard given == nil, (error as? BasculeError)?.code == .staleController,
                try store.rotationState(of: node) == .announced, let pending = try store.pendingKeys()
            else { throw error }
            return try await dial(node, asking: asking, fresh: true, with: pending)
        }
    }

    private func dial(
        _ node: NodeName, asking: Request?, fresh: Bool, with given: FleetKeys?
    ) async throws -> Greeted {
        let record = try store.node(node)
        let place = Place.node(name: node.rawValue, subject: nil)
        guard record.machine != nil, let endpoint = try await endpoint(node) else {
            throw BasculeError(
                .notBootstrapped, "the node has no agent yet", at: place,
                hint: "bascule node bootstrap \(node) --yes, or let bascule apply do it")
        }
        let (pins, rotated) = (try await pins(node), try rotated(node))
        let keys = if let given { given } else { try await keys(of: node) }
        let address = HeldAddress(host: endpoint.host, port: endpoint.port, user: "bascule")
        let asked = asking.map { [$0] } ?? []
        var greeted: Greeted?
        // The holder's connections are made with the fleet's key: a node that obeys the next one already is not held.
        if !fresh, rotated == nil, let link = try await reached(node, address, pins, record) {
            do {
                greeted = try await greet(link, asked, patience: .seconds(3))
            } catch let error as BasculeError where error.code == .linkLost {
                heldInVain.insert(node)
            }
        }
        if greeted == nil {
            let login = SSHLogin(
                user: address.user, identities: [.key(keys.secret, name: "the fleet's key")],
                hostKeys: .pinned(pins))
            try await logins.enter(node)
            let link = try await NodeLink.open(
                node, endpoint, login: login,
                greeting: try greeting(
                    node, machine: record.machine, key: record.sealingKey, signing: keys.signing))
            greeted = try await greet(link, asked, patience: nil)
            if given == nil, rotated == nil {
                made[node] = HolderOrder.Entry(address: address, hostKeys: pins.map(\.line))
            }
        }
        guard let greeted else { throw BasculeError(.defect, "a connection without a greeting", at: place) }
        return greeted
    }

    /// A held connection: the one that was begun ahead, or one that is borrowed now; nil where none is to be had.
    private func reached(
        _ node: NodeName, _ address: HeldAddress, _ pins: [SSHHostKey], _ record: NodeRecord
    ) async throws -> NodeLink? {
        if let begun = reaching.removeValue(forKey: node) { return await begun.value }
        return try await borrow(node, address, pins, record)
    }

    private func borrow(
        _ node: NodeName, _ address: HeldAddress, _ pins: [SSHHostKey], _ record: NodeRecord
    ) async throws -> NodeLink? {
        guard !heldInVain.contains(node), let holding = try holding() else { return nil }
        return await holding.client.borrow(
            node, address, pins: pins, greeting: try greeting(node, machine: record.machine, key: record.sealingKey))
    }

    /// Begins to borrow and greet what is held of these nodes, for whoever asks them something later: agents answer
    /// while the fleet is compiled. What goes wrong is met again, and said, by who asks.
    package func reach(_ nodes: [NodeName]) {
        for node in nodes where links[node] == nil && reaching[node] == nil {
            guard let record = try? store.node(node), record.machine != nil, (try? rotated(node)) == nil else {
                continue
            }
            reaching[node] = Task {
                guard let endpoint = try? await endpoint(node), let pins = try? await pins(node) else { return nil }
                let address = HeldAddress(host: endpoint.host, port: endpoint.port, user: "bascule")
                let link = try? await borrow(node, address, pins, record)
                _ = try? await link?.send(patience: .seconds(3))
                return link
            }
        }
    }

    /// A connection whose agent said who it is, and the ticket of what was asked with the greeting.
    private struct Greeted {
        var link: NodeLink
        var welcome: Welcome
        var ticket: NodeLink.Ticket?
    }

    /// The first flight on a connection, whoever carries it: the identity is checked by every command.
    private func greet(_ link: NodeLink, _ asked: [Request], patience: Duration?) async throws -> Greeted {
        do {
            let tickets = try await link.send(asked, patience: patience)
            return Greeted(link: link, welcome: try await link.welcome(), ticket: tickets.first)
        } catch {
            await link.close()
            throw error
        }
    }

    /// What the agents of these nodes are and do, all asked at once: a silent one holds up nobody else.
    package func statuses(of nodes: [NodeName]) async -> [NodeName: Result<AgentStatus, BasculeError>] {
        await withTaskGroup(of: Answered.self) { group in
            for node in nodes { group.addTask { await self.status(of: node) } }
            var found: [NodeName: Result<AgentStatus, BasculeError>] = [:]
            for await answered in group { found[answered.node] = answered.result }
            return found
        }
    }

    /// A type of its own: an optimized build (Swift 6.3) damages a tuple with a `Result` on its way out of a task group.
    private struct Answered: Sendable {
        var node: NodeName
        var result: Result<AgentStatus, BasculeError>
    }

    private func status(of node: NodeName) async -> Answered {
        do {
            guard case .status(let status) = try await link(node).ask(.status) else {
                throw BasculeError(.protocolViolation, "the agent answered something else than its status")
            }
            return Answered(node: node, result: .success(status))
        } catch {
            return Answered(node: node, result: .failure(BasculeError.wrapping(error, "no answer")))
        }
    }

    // MARK: - Connections that outlive a command

    /// The connection holder of this fleet, if connections are held at all and there is something to log in with.
    private func holding() throws -> Holding? {
        try store.setting("fleet-key.public").flatMap { Holding(store: store.path, fleetKey: $0) }
    }

    func hold() async {
        // The holder logs in with the fleet's key, which a node that obeys a rotation's next one would refuse.
        let entries = made.filter { (try? rotated($0.key)) == nil }.values.sorted {
            ($0.address.host, $0.address.port) < ($1.address.host, $1.address.port)
        }
        made = [:]
        guard !entries.isEmpty, let holding = try? holding(), let key = try? await fleetKey() else { return }
        await holding.keep(HolderOrder(entries: entries, key: key.secret.reveal()))
    }

    /// Ends the connections that are held, for example because their key is no longer to be used.
    package func letGo() async { await (try? holding())?.client.end() }
}
