import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeStore
import Foundation

/// What a new workstation needs besides root's login on a node: a page of text, to be printed or kept offline.
package struct RecoveryKit: Sendable, Equatable {
    /// A node as the kit names it.
    package struct Node: Sendable, Equatable {
        package var name: NodeName
        package var host: String
        package var port: Int
        /// Whom the administrator logs in as.
        package var user: String
        /// `type base64`, pinned.
        package var hostKeys: [String]

        package init(name: NodeName, host: String, port: Int, user: String, hostKeys: [String]) {
            (self.name, self.host, self.port, self.user, self.hostKeys) = (name, host, port, user, hostKeys)
        }
    }

    package var fleet: String
    package var recoveryKey: Secret
    /// What the backups of databases and files are encrypted with; nil where none are declared.
    package var backupKey: Secret?
    package var nodes: [Node]

    package init(fleet: String, recoveryKey: Secret, nodes: [Node], backupKey: Secret? = nil) {
        (self.fleet, self.recoveryKey, self.nodes, self.backupKey) = (fleet, recoveryKey, nodes, backupKey)
    }

    /// The kit of a fleet as the store and the fleet file know it.
    package init(of session: FleetSession) async throws {
        fleet = session.fleet.name
        recoveryKey = try session.store.recoveryKey()
        if let backup = session.fleet.services.backup {
            let purpose: SecretPurpose = backup.encryptionKey == nil ? .generated(length: 48) : .given
            backupKey = try session.secret(backup.key, purpose)
        }
        nodes = []
        for name in session.fleet.nodeNames where try session.isBootstrapped(name) {
            guard let endpoint = try await session.endpoint(name) else { continue }
            var user = "root"
            if case .existing(let machine)? = session.fleet.nodes[name] { user = machine.user }
            nodes.append(
                Node(
                    name: name, host: endpoint.host, port: Int(endpoint.port), user: user,
                    hostKeys: try await session.pins(name).map {
                        $0.line.split(separator: " ").prefix(2).joined(separator: " ")
                    }))
        }
    }

    private static let title = "Bascule recovery kit"

    /// The page. It holds the recovery key in the clear: that is what it is for.
    package func text(date: String) -> String {
        var lines = [
            "\(RecoveryKit.title), version 1", "made: \(date)", "fleet: \(fleet)",
            "recovery-key: \(recoveryKey.reveal())",
        ]
        if let backupKey { lines.append("backup-key: \(backupKey.reveal())") }
        for node in nodes {
            lines.append("node: \(node.name) \(node.host) \(node.port) \(node.user)")
            for key in node.hostKeys { lines.append("host-key: \(node.name) \(key)") }
        }
        lines += [
            "",
            "Keep this page away from the workstation and from the nodes. The recovery key opens the",
            "store's backups on the nodes, and with them every secret of the fleet; to get at them one",
            "has to log in as root on a node, too.",
            "",
            "If the workstation is lost, on a new one with bascule, the fleet file and your own SSH key:",
            "",
            "    bascule adopt --kit THIS-FILE --key ~/.ssh/id_ed25519",
            "",
            "It fetches the newest backup, makes new keys for the fleet, gives them to every node that",
            "answers, and from then on the lost workstation is refused. Then set the secrets anew that",
            "others may have read: docs/security.md says which.",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    /// Reads what `text` wrote; what it does not know it skips. Throws `invalid-input`.
    package init(parsing text: String) throws {
        var values: [String: String] = [:]
        var found: [Node] = []
        guard text.contains(RecoveryKit.title) else {
            throw BasculeError(.invalidInput, "this is not a recovery kit", hint: "bascule recovery-kit writes one")
        }
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.count == 2 else { continue }
            let words = parts[1].split(separator: " ").map(String.init)
            switch parts[0] {
            case "node":
                guard words.count == 4, let port = Int(words[2]), (1...65_535).contains(port) else {
                    throw BasculeError(.invalidInput, "the recovery kit's line cannot be read: \(line)")
                }
                found.append(
                    Node(name: NodeName(words[0]), host: words[1], port: port, user: words[3], hostKeys: []))
            case "host-key":
                guard words.count == 3, let index = found.firstIndex(where: { $0.name.rawValue == words[0] }) else {
                    throw BasculeError(.invalidInput, "the recovery kit's line cannot be read: \(line)")
                }
                found[index].hostKeys.append(words[1...].joined(separator: " "))
            default: values[parts[0]] = parts[1]
            }
        }
        guard let fleet = values["fleet"], !fleet.isEmpty, let key = values["recovery-key"],
            Hex.decode(key)?.count == SecretStream.keySize
        else { throw BasculeError(.invalidInput, "the recovery kit names no fleet, or its key is not whole") }
        guard !found.isEmpty else { throw BasculeError(.invalidInput, "the recovery kit names no node") }
        (self.fleet, recoveryKey, nodes) = (fleet, Secret(key), found)
        backupKey = values["backup-key"].map { Secret($0) }
    }
}
