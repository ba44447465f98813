import BasculeModel
import BasculeProviders
import Foundation

extension Scene {
    /// The administrator's own key, which root on the node knows; its path.
    func administratorKey(on nodes: NodeName...) async throws -> String {
        let path = "\(folder)/admin"
        if access(path, F_OK) != 0 {
            let made = try await Command.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
            guard made.status == 0 else { throw BasculeError(.commandFailed, "ssh-keygen", cause: made.errorText) }
        }
        let line = try read("admin.pub").trimmingCharacters(in: .whitespacesAndNewlines)
        for node in nodes { try await shell(node, "echo '\(line)' >> /root/.ssh/authorized_keys") }
        return path
    }

    /// A copy of a workstation's store as it is now, as another workstation.
    func copyStore(to workstation: String) throws {
        try FileManager.default.copyItem(atPath: "\(folder)/state", toPath: "\(folder)/\(workstation)")
    }

    /// What a node's agent tells root of its standing with controllers.
    func standing(_ node: NodeName) async throws -> (epoch: Int, serial: Int) {
        struct Standing: Decodable {
            var epoch: Int
            var serial: Int
        }
        let text = try await shell(node, "/usr/local/lib/bascule/bascule-agent identity")
        let standing = try JSONDecoder().decode(Standing.self, from: Data(text.utf8))
        return (standing.epoch, standing.serial)
    }
}
