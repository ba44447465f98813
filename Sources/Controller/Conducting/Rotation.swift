import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeProtocol
import BasculeSSH
import BasculeStore
import Foundation

/// Exchanges the fleet's login key, the controller's signing key, and each node's sealing key, over the agents' own
/// connections. It may be cut off anywhere: the store and the nodes know how far it came, and the next one goes on.
package struct Rotation: Sendable {
    /// What became of it.
    package struct Report: Sendable {
        /// Nodes that obey the new keys and no others.
        package var done: [NodeName]
        /// Those that go on with the keys that they had, or did not come to the end.
        package var left: [NodeName: BasculeError]
        /// Nodes that were not asked and have not come to the end.
        package var waiting: [NodeName]
        /// Whether the new keys are the fleet's: every node obeys them.
        package var isComplete: Bool
    }

    let session: FleetSession
    let say: @Sendable (NodeName, String) -> Void

    /// `say` is told what happens, by node.
    package init(session: FleetSession, say: @escaping @Sendable (NodeName, String) -> Void) {
        (self.session, self.say) = (session, say)
    }

    /// Rotates for the named nodes, or for all that have an agent.
    package func run(_ named: [NodeName]) async throws -> Report {
        let store = session.store
        let all = try session.fleet.nodeNames.filter { try session.isBootstrapped($0) }
        if let stranger = named.first(where: { !all.contains($0) }) {
            throw BasculeError(
                .notBootstrapped, "the node has no agent yet", at: .node(name: stranger.rawValue, subject: nil),
                hint: "bascule node bootstrap \(stranger)")
        }
        // What is held was let in by the former key.
        await session.letGo()
        if try store.pendingKeys() == nil {
            let fresh = try await FleetSession.freshFleetKey(session.fleet.name)
            try store.beginRotation(
                FleetKeys(secret: fresh.secret, publicLine: fresh.publicLine, signing: try SigningKeyPair()))
        }
        guard let keys = try store.pendingKeys() else { throw BasculeError(.defect, "a rotation without keys") }
        let turns = await withTaskGroup(of: Turn.self) { group in
            for node in named.isEmpty ? all : named { group.addTask { await turn(node, keys) } }
            var turns: [Turn] = []
            for await turn in group { turns.append(turn) }
            return turns
        }
        let waiting = try all.filter { try store.rotationState(of: $0) != .done }
        if waiting.isEmpty {
            Failpoint.hit("controller.rotate.promote.before")
            try store.promote()
        }
        let left = Dictionary(turns.compactMap { turn in turn.error.map { (turn.node, $0) } }) { $1 }
        return Report(
            done: turns.filter { $0.error == nil }.map(\.node).sorted(), left: left,
            waiting: waiting.filter { left[$0] == nil }, isComplete: waiting.isEmpty)
    }

    private struct Turn: Sendable {
        var node: NodeName
        var error: BasculeError?
    }

    private func turn(_ node: NodeName, _ keys: FleetKeys) async -> Turn {
        do {
            try await exchange(node, keys)
            try await renewSealing(node)
            return Turn(node: node)
        } catch { return Turn(node: node, error: BasculeError.wrapping(error, "the keys were not exchanged")) }
    }

    /// The fleet's keys on one node: announced under the former ones, confirmed under the new ones.
    private func exchange(_ node: NodeName, _ keys: FleetKeys) async throws {
        let store = session.store
        let state = try store.rotationState(of: node)
        if state == .confirmed || state == .done { return }
        // An earlier rotation may have been cut off on either side of the node's confirmation.
        var isProved = false
        if state != nil { isProved = try await confirm(node, keys, isFirstTry: true) }
        if !isProved {
            try store.note(.announced, of: node)
            say(node, "announcing the new keys")
            _ = try await session.link(node).ask(.rotate(.announce(keys.announced)))
            Failpoint.hit("controller.rotate.announced")
            await session.drop(node)
            _ = try await confirm(node, keys, isFirstTry: false)
        }
        try store.note(.confirmed, of: node)
        await session.drop(node)
        say(node, "obeys the new keys; the former ones are refused")
    }

    /// Proves the new keys to a node: with a login and a signature of theirs.
    /// - Returns: false where the node does not know them yet, which is no error at the first try.
    private func confirm(_ node: NodeName, _ keys: FleetKeys, isFirstTry: Bool) async throws -> Bool {
        do {
            try await session.overFreshLogin(node, with: keys) { link in
                _ = try await link.ask(.rotate(.confirm(keys.announced)))
            }
            Failpoint.hit("controller.rotate.confirmed")
            return true
        } catch let error as BasculeError where isFirstTry && Rotation.unknown.contains(error.code) { return false }
    }

    /// How a node refuses keys that were not announced to it.
    private static let unknown: Set<ErrorCode> = [.sshAuthFailed, .badSignature, "nothing-to-confirm"]

    /// The node's own key: made by the node, told under the binding of the former, pinned, then taken.
    private func renewSealing(_ node: NodeName) async throws {
        let store = session.store
        if try store.rotationState(of: node) == .done { return }
        let link = try await session.link(node)
        let key: String
        if let known = try store.nextSealingKey(of: node) {
            key = known
        } else {
            guard case .publicKey(let made) = try await link.ask(.rotate(.prepareSealing)),
                Hex.decode(made)?.count == 32
            else { throw BasculeError(.protocolViolation, "the agent answered something else than its next key") }
            try store.pin(nextSealingKey: made, of: node)
            key = made
        }
        _ = try await link.ask(.rotate(.adoptSealing(key)))
        Failpoint.hit("controller.rotate.sealed")
        try store.finishSealing(key, of: node)
        await session.drop(node)
        say(node, "has a new sealing key; its secrets are sealed to it")
    }
}

extension FleetKeys {
    /// What a node is told of them. Only the key itself, without the comment.
    var announced: RotationKeys {
        RotationKeys(
            fleetKey: publicLine.split(separator: " ").prefix(2).joined(separator: " "),
            controllerKey: Hex.encode(signing.publicKey))
    }
}

extension FleetSession {
    /// The keys that a node obeys: during a rotation the new ones, once the node has confirmed them.
    func keys(of node: NodeName) async throws -> FleetKeys {
        if let pending = try rotated(node) { return pending }
        let fleet = try await fleetKey()
        return FleetKeys(secret: fleet.secret, publicLine: fleet.publicLine, signing: try signingKey())
    }

    /// The new keys, where a rotation is under way and the node has confirmed them.
    nonisolated func rotated(_ node: NodeName) throws -> FleetKeys? {
        switch try store.rotationState(of: node) {
        case .confirmed?, .done?: try store.pendingKeys()
        case .announced?, nil: nil
        }
    }
}
