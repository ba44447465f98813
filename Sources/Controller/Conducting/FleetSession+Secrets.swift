import BasculeCatalogue
import BasculeCrypto
import BasculeModel
import BasculeProtocol
import BasculeStore
import Foundation

extension FleetSession {
    /// Seals the secrets that a node's resources and tasks need to it, if it does not have them as they are now.
    package func giveSecrets(_ names: Set<SecretName>, to node: NodeName, purposes: [SecretName: SecretPurpose])
        async throws
    {
        guard !names.isEmpty else { return }
        let values = try values(of: names, purposes)
        let welcome = try await welcome(node)
        let tag = try tag(of: values, machine: welcome.machine)
        guard welcome.secretsTag != tag else { return }
        guard let key = Hex.decode(welcome.sealingKey) else {
            throw BasculeError(.protocolViolation, "the agent's key is not hexadecimal")
        }
        let sealed = try values.map {
            SealedSecret(name: $0.0, sealed: Hex.encode(try SealingKeyPair.seal($0.1.revealBytes(), to: key)))
        }
        Failpoint.hit("controller.secrets.send.before")
        _ = try await link(node).ask(.putSecrets(sealed, tag: tag))
        Failpoint.hit("controller.secrets.send.after")
        welcomes[node]?.secretsTag = tag
    }

    /// A node was told to forget some of what it holds: it is asked anew before the next time.
    func secretsWereForgotten(on node: NodeName) { welcomes[node]?.secretsTag = nil }

    /// Whether a greeted agent has these secrets as they are now.
    func holdsSecrets(_ names: Set<SecretName>, _ node: NodeName, _ purposes: [SecretName: SecretPurpose]) throws
        -> Bool
    {
        guard !names.isEmpty else { return true }
        guard let welcome = welcomes[node] else { return false }
        return welcome.secretsTag == (try tag(of: try values(of: names, purposes), machine: welcome.machine))
    }

    private func values(of names: Set<SecretName>, _ purposes: [SecretName: SecretPurpose]) throws
        -> [(SecretName, Secret)]
    {
        try names.sorted().map { ($0, try secret($0, purposes[$0] ?? .given)) }
    }

    /// Stands for the secrets and their values on one machine, and tells nothing of them.
    private func tag(of values: [(SecretName, Secret)], machine: String) throws -> String {
        let key = Array(
            try store.generatedSecret("bascule.secrets-tag-key", make: { RandomBytes.password(32) }).revealBytes())
        var message: [UInt8] = Array("\(machine)\n".utf8)
        for (name, value) in values { message += Array("\(name)=".utf8) + value.revealBytes() + [0] }
        return String(Hex.encode(HMAC.sha256(key: key, message)).prefix(32))
    }

    /// A secret's value: set by the administrator, or made now if Bascule makes it. Throws `secret-missing`.
    package nonisolated func secret(_ name: SecretName, _ purpose: SecretPurpose) throws -> Secret {
        if let known = try store.secret(name) { return known }
        switch purpose {
        case .generated(let length): return try store.generatedSecret(name, make: { RandomBytes.password(length) })
        case .generatedRSA(let bits): return try store.generatedSecret(name, make: { try RSAKey.make(bits: bits) })
        case .generatedSSH: return try sshKey(name).secret
        case .publicSSH(let of):
            _ = try sshKey(of)
            return try store.secret(name) ?? sshKey(of).publicLine
        case .given:
            throw BasculeError(.secretMissing, "the secret \(name) is not set", hint: "bascule secret set \(name)")
        }
    }
}

extension FleetSession {
    /// An SSH key, made and kept with its public line (`NAME.public`) where there is none.
    nonisolated func sshKey(_ name: SecretName) throws -> (secret: Secret, publicLine: Secret) {
        let half = SecretName("\(name).public")
        if let secret = try store.secret(name), let line = try store.secret(half) { return (secret, line) }
        let fresh = SSHKeyText(try SigningKeyPair(), comment: "bascule \(fleet.name)")
        let line = Secret(fresh.publicLine)
        try store.setSecret(half, line, origin: "generated")
        try store.setSecret(name, fresh.privateKey, origin: "generated")
        return (fresh.privateKey, line)
    }
}

extension ErrorCode {
    /// A secret that the fleet file names was never set.
    package static let secretMissing: ErrorCode = "secret-missing"
}
