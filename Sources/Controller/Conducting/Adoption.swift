import BasculeCrypto
import BasculeExecution
import BasculeFleet
import BasculeModel
import BasculeProtocol
import BasculeSSH
import BasculeStore
import Foundation

extension ErrorCode {
    /// A fleet could not be taken over; nothing was changed.
    package static let adoptFailed: ErrorCode = "adopt-failed"
    /// A store is there already.
    package static let storeExists: ErrorCode = "store-exists"
}

/// Takes a fleet over, with root's login on its nodes: a higher epoch and new keys, in the store first and then on every
/// node that answers. From then on the controller that had the fleet before is refused.
package struct Adoption: Sendable {
    /// What became of it.
    package struct Report: Sendable {
        package var epoch: Int
        package var taken: [NodeName]
        /// Those that obey the former controller until root's login reaches them.
        package var left: [NodeName: BasculeError]
    }

    /// How root logs in on a node.
    struct Door: Sendable {
        var node: NodeName
        var endpoint: SSHEndpoint
        var login: SSHLogin
    }

    /// What a node answered over root's login.
    struct Visit: Sendable {
        var door: Door
        var result: Result<NodeStanding, BasculeError>
    }

    let contact: FirstContact
    let say: @Sendable (String) -> Void

    package init(contact: FirstContact, say: @escaping @Sendable (String) -> Void) {
        (self.contact, self.say) = (contact, say)
    }

    /// Makes a store the newest: a higher epoch than any node that answers knows, new keys, counting as the nodes count.
    /// Throws, and changes nothing, where no node answers.
    func renew(_ store: Store, fleet: String, _ visits: [Visit]) async throws -> Int {
        let standings = visits.compactMap { visit in (try? visit.result.get()).map { (visit.door.node, $0) } }
        guard !standings.isEmpty else {
            let first = visits.compactMap { if case .failure(let error) = $0.result { error } else { nil } }.first
            throw BasculeError(
                .adoptFailed, "no node could be asked over root's login; nothing was changed",
                cause: first?.description, hint: "check address and key: --key FILE, or ssh-agent; then adopt again")
        }
        for (node, standing) in standings {
            if let known = try store.node(node).machine, known != standing.machine {
                throw BasculeError(
                    .otherMachine, "another machine answers at the node's address: its identity is not the pinned one",
                    at: .node(name: node.rawValue, subject: nil),
                    hint: "was the machine replaced? Take its address out of the fleet file, then adopt again")
            }
        }
        let known = try store.setting("epoch").flatMap { Int($0) } ?? 1
        let epoch = max(known, standings.map(\.1.epoch).max() ?? 0) + 1
        let (fleetKey, signingKey) = (try await FleetSession.freshFleetKey(fleet), try SigningKeyPair())
        for (node, standing) in standings { try store.raiseSerial(of: node, to: standing.serial) }
        Failpoint.hit("controller.adopt.before")
        try store.adopt(epoch: epoch, fleetKey: fleetKey, signingKey: signingKey)
        Failpoint.hit("controller.adopt.renewed")
        return epoch
    }

    /// Gives the nodes the store's keys and epoch over root's login. One that does not answer is named.
    package func take(_ session: FleetSession) async throws -> Report {
        let nodes = try session.fleet.nodeNames.filter { try session.isBootstrapped($0) }
        let taken = await withTaskGroup(of: Taken.self) { group in
            for node in nodes { group.addTask { await takeOver(node, session) } }
            var all: [Taken] = []
            for await result in group { all.append(result) }
            return all
        }
        return Report(
            epoch: session.epoch, taken: taken.filter { $0.error == nil }.map(\.node).sorted(),
            left: Dictionary(taken.compactMap { entry in entry.error.map { (entry.node, $0) } }) { $1 })
    }

    private struct Taken: Sendable {
        var node: NodeName
        var error: BasculeError?
    }

    private func takeOver(_ node: NodeName, _ session: FleetSession) async -> Taken {
        do {
            try await Bootstrap(session: session, contact: contact) { [say] in say("\(node)  \($0)") }.run(node)
            Failpoint.hit("controller.adopt.node")
            return Taken(node: node)
        } catch { return Taken(node: node, error: BasculeError.wrapping(error, "the node was not taken over")) }
    }

    // MARK: - An existing copy of the store

    /// Takes the fleet over with a copy of the store, however old.
    package func run(with session: FleetSession) async throws -> Int {
        var doors: [Door] = []
        for node in session.fleet.nodeNames where try session.isBootstrapped(node) {
            guard let endpoint = try await session.endpoint(node) else { continue }
            let login = try await Bootstrap(session: session, contact: contact, say: say).login(node)
            doors.append(Door(node: node, endpoint: endpoint, login: login))
        }
        return try await renew(session.store, fleet: session.fleet.name, await visit(doors))
    }

    /// Asks all nodes at once what they know of controllers.
    func visit(_ doors: [Door]) async -> [Visit] {
        await withTaskGroup(of: Visit.self) { group in
            for door in doors { group.addTask { await ask(door) } }
            var all: [Visit] = []
            for await visit in group { all.append(visit) }
            return all.sorted { $0.door.node < $1.door.node }
        }
    }

    private func ask(_ door: Door) async -> Visit {
        do {
            let output = try await Adoption.agent(["identity"], door)
            let standing = try Wire.decode(NodeStanding.self, from: output)
            return Visit(door: door, result: .success(standing))
        } catch {
            say("\(door.node)  \(BasculeError.wrapping(error, "no answer").message)")
            return Visit(door: door, result: .failure(BasculeError.wrapping(error, "no answer")))
        }
    }

    /// What the agent's program prints on a node, run as root. The words are constants and numbers of ours.
    static func agent(_ words: [String], _ door: Door, limit: Int = 1 << 20) async throws -> [UInt8] {
        let ssh = try await SSHSession.connect(to: door.endpoint, login: door.login)
        do {
            let sudo = door.login.user == "root" ? "" : "sudo -n "
            let output = try await ssh.exec(
                "\(sudo)/usr/local/lib/bascule/bascule-agent \(words.joined(separator: " "))", stdoutLimit: limit,
                window: 16 << 20, deadline: .seconds(600))
            await ssh.close()
            guard output.exitStatus == 0, !output.stdoutTruncated else {
                throw BasculeError(
                    .adoptFailed, "the node's agent did not answer root",
                    cause: String(output.stderrText.suffix(500)),
                    hint: "is it a node of this fleet? Its agent is /usr/local/lib/bascule/bascule-agent")
            }
            return output.stdout
        } catch {
            await ssh.close()
            throw BasculeError.wrapping(error, "the node's agent could not be asked").placed(
                at: .node(name: door.node.rawValue, subject: nil))
        }
    }
}
