import BasculeCrypto
import BasculeModel
import BasculeProtocol
import FoundationEssentials
import Glibc
import Synchronization

/// What an agent is and has been told: keys, epoch, the migration's attempt and T0. Saved at every change.
package final class AgentIdentity: Sendable {
    /// T0 of one attempt of the migration: decided once, here, for everybody.
    struct Attempt: Codable {
        var number: Int
        var t0: T0State
    }

    private struct Saved: Codable {
        var sealingPublic: String
        var sealingSecret: String
        /// Key of the digests over secret content.
        var nodeKey: String
        var epoch: Int
        var serial: Int
        var secretsTag: String?
        var attempt: Attempt?
        /// Of a rotation: the pair that is made and not pinned yet, and the one before until nothing is sealed to it.
        var nextSealing: SavedPair?
        var formerSealing: SavedPair?
    }

    private struct SavedPair: Codable {
        var open: String
        var own: String
        var pair: SealingKeyPair {
            SealingKeyPair(publicKey: Hex.decode(open) ?? [], secretKey: Hex.decode(own) ?? [])
        }
    }

    private let path: String
    private let saved: Mutex<Saved>
    /// SHA-256 of the machine-id, cut: an identity that is not the machine-id itself.
    package let machine: String

    /// Loads the identity or makes a new one.
    package init(path: String) throws {
        self.path = path
        let machineID = try DurableFile.read("/etc/machine-id") ?? []
        machine = String(Digest(of: Array("bascule machine ".utf8) + machineID).rawValue.prefix(32))
        if let known = try DurableFile.load(Saved.self, from: path) {
            saved = Mutex(known)
        } else {
            let pair = try SealingKeyPair()
            let fresh = Saved(
                sealingPublic: Hex.encode(pair.publicKey), sealingSecret: Hex.encode(pair.secretKey),
                nodeKey: Hex.encode(RandomBytes.make(32)), epoch: 0, serial: 0, secretsTag: nil, attempt: nil)
            try DurableFile.save(fresh, to: path)
            saved = Mutex(fresh)
        }
    }

    private func change<T>(_ body: (inout Saved) throws -> T) throws -> T {
        try saved.withLock { current in
            var copy = current
            let result = try body(&copy)
            try DurableFile.save(copy, to: path)
            current = copy
            return result
        }
    }

    package var nodeKey: [UInt8] { saved.withLock { Hex.decode($0.nodeKey) ?? [] } }
    package var sealingPublic: String { saved.withLock { $0.sealingPublic } }
    package var epoch: Int { saved.withLock { $0.epoch } }
    /// The highest serial of a signed request.
    package var serial: Int { saved.withLock { $0.serial } }
    package var secretsTag: String? { saved.withLock { $0.secretsTag } }
    package var attempt: (number: Int, t0: T0State)? { saved.withLock { $0.attempt.map { ($0.number, $0.t0) } } }

    /// The pair that opens secrets sealed to this node.
    package var sealing: SealingKeyPair {
        saved.withLock {
            SealingKeyPair(publicKey: Hex.decode($0.sealingPublic) ?? [], secretKey: Hex.decode($0.sealingSecret) ?? [])
        }
    }

    // MARK: - Rotating the sealing key

    /// Makes the next pair, once, and gives its public half. The current one stays the node's.
    func prepareSealing() throws -> String {
        if let known = saved.withLock({ $0.nextSealing?.open }) { return known }
        let fresh = try SealingKeyPair()
        let key = try change { saved -> String in
            let next =
                saved.nextSealing
                ?? SavedPair(open: Hex.encode(fresh.publicKey), own: Hex.encode(fresh.secretKey))
            saved.nextSealing = next
            return next.open
        }
        Failpoint.hit("agent.rotate.sealing.prepared")
        return key
    }

    /// Makes the next pair the node's. The former one still opens what was sealed to it, until that is sealed anew.
    func adoptSealing(_ key: String) throws {
        if sealingPublic == key { return }
        try change { saved in
            guard let next = saved.nextSealing, next.open == key else {
                throw BasculeError(
                    .nothingToConfirm, "this is not the sealing key that the node made",
                    hint: "run it again: bascule node rotate")
            }
            saved.formerSealing = SavedPair(open: saved.sealingPublic, own: saved.sealingSecret)
            (saved.sealingPublic, saved.sealingSecret) = (next.open, next.own)
            saved.nextSealing = nil
        }
        Failpoint.hit("agent.rotate.sealing.adopted")
    }

    var hasFormerSealing: Bool { saved.withLock { $0.formerSealing != nil } }

    func dropFormerSealing() throws { try change { $0.formerSealing = nil } }

    /// Opens what was sealed to this node. Throws `cannot-decrypt`.
    func unseal(_ bytes: [UInt8]) throws -> [UInt8] {
        do { return try sealing.open(bytes) } catch {
            guard let former = saved.withLock({ $0.formerSealing?.pair }) else { throw error }
            return try former.open(bytes)
        }
    }

    /// Refuses an epoch below the highest one seen; remembers a higher one.
    package func meet(epoch: Int, holder: String) throws {
        if epoch == self.epoch { return }
        try change { saved in
            guard epoch >= saved.epoch else { throw BasculeError.stale(epoch: epoch, known: saved.epoch) }
            saved.epoch = epoch
        }
    }

    /// Remembers the serial of a signed request, for ever.
    func note(serial: Int) throws {
        if serial <= self.serial { return }
        try change { $0.serial = max($0.serial, serial) }
    }

    package func set(secretsTag: String) throws { try change { $0.secretsTag = secretsTag } }

    /// Begins an attempt of the migration. An attempt that was decided stays decided.
    package func begin(attempt number: Int) throws {
        if let known = attempt, known.number >= number { return }
        try change { $0.attempt = Attempt(number: number, t0: .pending) }
    }

    /// The one compare-and-set of T0: gives the state that holds from now on.
    package func decide(attempt number: Int, as state: T0State) throws -> T0State {
        try change { saved in
            guard saved.attempt?.number == number else {
                throw BasculeError(.defect, "attempt \(number) of the migration is not the one that this node conducts")
            }
            if saved.attempt?.t0 == .pending { saved.attempt?.t0 = state }
            return saved.attempt?.t0 ?? .pending
        }
    }
}

extension BasculeError {
    /// What a controller is told whose fleet was taken over.
    static func stale(epoch: Int, known: Int) -> BasculeError {
        BasculeError(
            .staleController,
            "this controller's epoch \(epoch) is older than epoch \(known), which this node has seen",
            hint: "another controller has taken this fleet over; to take it back with root's login: bascule adopt")
    }
}

/// The secrets that this node was given, opened only when they are needed.
package final class AgentSecrets: Sendable {
    private let path: String
    private let identity: AgentIdentity
    private let sealed: Mutex<[SecretName: String]>

    package init(path: String, identity: AgentIdentity) throws {
        (self.path, self.identity) = (path, identity)
        let known = try DurableFile.load([SealedSecret].self, from: path) ?? []
        sealed = Mutex(Dictionary(known.map { ($0.name, $0.sealed) }, uniquingKeysWith: { $1 }))
    }

    /// Adds or replaces secrets; those that are not named stay (a running segment may still need them).
    package func put(_ secrets: [SealedSecret], tag: String) throws {
        for secret in secrets {
            guard let bytes = Hex.decode(secret.sealed) else {
                throw BasculeError(.protocolViolation, "the sealed secret \(secret.name) is not hexadecimal")
            }
            _ = try identity.unseal(bytes)
        }
        try sealed.withLock { known in
            for secret in secrets { known[secret.name] = secret.sealed }
            try DurableFile.save(
                known.map { SealedSecret(name: $0.key, sealed: $0.value) }.sorted { $0.name < $1.name }, to: path)
        }
        try identity.set(secretsTag: tag)
    }

    /// After the sealing key was exchanged: seals all secrets to the new one, then drops the former. Harmless to repeat.
    package func sealAnew() throws {
        guard identity.hasFormerSealing else { return }
        let key = identity.sealing.publicKey
        try sealed.withLock { known in
            var next = known
            for (name, hex) in known {
                // What neither key opens was of no use before either.
                guard let bytes = Hex.decode(hex), let plain = try? identity.unseal(bytes) else { continue }
                next[name] = Hex.encode(try SealingKeyPair.seal(plain, to: key))
            }
            try DurableFile.save(
                next.map { SealedSecret(name: $0.key, sealed: $0.value) }.sorted { $0.name < $1.name }, to: path)
            known = next
        }
        Failpoint.hit("agent.rotate.secrets.sealed")
        try identity.dropFormerSealing()
    }

    /// Forgets secrets, for example the credentials of the sources at *finish*.
    package func forget(_ names: Set<SecretName>) throws {
        try sealed.withLock { known in
            for name in names { known[name] = nil }
            try DurableFile.save(
                known.map { SealedSecret(name: $0.key, sealed: $0.value) }.sorted { $0.name < $1.name }, to: path)
        }
        // What the controller gave is not all here any more: it must give it again.
        try identity.set(secretsTag: "")
    }

    /// Opens one secret. Throws `secret-missing`.
    package func resolve(_ name: SecretName) throws -> Secret {
        guard let hex = sealed.withLock({ $0[name] }), let bytes = Hex.decode(hex) else {
            throw BasculeError(
                .secretMissing, "this node does not have the secret \(name)",
                hint: "set it with: bascule secret set \(name)")
        }
        return Secret(bytes: try identity.unseal(bytes))
    }
}

extension ErrorCode {
    /// A secret that a resource or task needs is not set.
    package static let secretMissing: ErrorCode = "secret-missing"
}
