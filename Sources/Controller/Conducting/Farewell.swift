import BasculeFleet
import BasculeModel
import BasculeProtocol
import BasculeSSH
import BasculeStore
import Foundation

extension ErrorCode {
    /// A node could not be cleaned of the agent.
    package static let notCleaned: ErrorCode = "not-cleaned"
}

/// Takes a node out of the fleet: the agent goes from the node, what the store knows of the node goes from the store.
package struct Farewell: Sendable {
    let session: FleetSession
    let contact: FirstContact
    let say: @Sendable (String) -> Void

    package init(session: FleetSession, contact: FirstContact, say: @escaping @Sendable (String) -> Void) {
        (self.session, self.contact, self.say) = (session, contact, say)
    }

    /// What stays on a node whose agent was not taken off.
    package static let leftovers =
        "the unit bascule-agent.service, /usr/local/lib/bascule, /var/lib/bascule (with its secrets), the user bascule and its keys in /etc/bascule, /etc/ssh/sshd_config.d/50-bascule.conf"

    /// Takes the agent off the node: by a signed request, or by root's login where the agent does not answer. Throws
    /// `not-cleaned` where neither works; nothing was forgotten then.
    package func clean(_ node: NodeName) async throws {
        let place = Place.node(name: node.rawValue, subject: nil)
        var reasons: [String] = []
        do {
            try await ask(node)
            return
        } catch {
            let failure = BasculeError.wrapping(error, "the agent did not answer")
            if failure.code == "segment-runs" { throw failure }
            reasons.append("by its agent: \(failure.message)")
        }
        do {
            say("its agent cannot be asked; logging in as the administrator")
            guard let endpoint = try await session.endpoint(node) else {
                throw BasculeError(.notCleaned, "the node has no address")
            }
            let login = try await Bootstrap(session: session, contact: contact, say: say).login(node)
            let door = Adoption.Door(node: node, endpoint: endpoint, login: login)
            _ = try await Adoption.agent(["uninstall"], door)
        } catch {
            reasons.append("by root's login: \(BasculeError.wrapping(error, "no login").message)")
            throw BasculeError(
                .notCleaned, "the agent could not be taken off the node; nothing was forgotten", at: place,
                cause: reasons.joined(separator: "\n"),
                hint: "if the node is gone for good: bascule node forget \(node) --yes --force")
        }
    }

    /// The agent does it by itself, after its answer: it is done when its user no longer gets in.
    private func ask(_ node: NodeName) async throws {
        _ = try await session.link(node).ask(.leave)
        await session.drop(node)
        for _ in 0..<60 {
            try await Task.sleep(for: .milliseconds(500))
            do {
                // A login of its own: one that is held was let in before.
                try await session.overFreshLogin(node) { _ in }
            } catch let error as BasculeError where error.code == .sshAuthFailed {
                return
            } catch { continue }
        }
        throw BasculeError(.notCleaned, "the agent still answers")
    }

    /// Forgets the node here: its record and its counter, and the secrets that nothing else of the fleet needs.
    /// - Returns: the names of the secrets that went.
    package func forget(_ node: NodeName) async throws -> [SecretName] {
        let gone = (try? await orphans(of: node)) ?? []
        try session.store.forget(node)
        try session.store.removeSecrets(gone)
        return gone.sorted()
    }

    /// Generated secrets that only this node's resources use. What the administrator set stays: it may exist nowhere
    /// else. So does the backups' key: what the node has brought elsewhere outlives it, and nothing else opens it.
    private func orphans(of node: NodeName) async throws -> Set<SecretName> {
        let (compiled, _) = try await PlanMaker(session: session).compile()
        func secrets(_ resources: [DesiredResource]) -> Set<SecretName> {
            resources.reduce(into: []) { $0.formUnion($1.resource.secrets) }
        }
        let others = compiled.resources.filter { $0.key != node }.values.reduce(into: Set<SecretName>()) {
            $0.formUnion(secrets($1))
        }
        let generated = Set(try session.store.secrets().filter { $0.origin == "generated" }.map(\.name))
        let kept = session.fleet.services.backup?.key ?? Backup().key
        return secrets(compiled.resources[node] ?? []).subtracting(others).intersection(generated).filter {
            !$0.rawValue.hasPrefix("bascule.") && $0 != kept
        }
    }
}
