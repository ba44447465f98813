import BasculeCrypto
import BasculeModel
import BasculeProtocol
import BasculeResources
import Glibc

/// What the parts of the agent share.
package struct AgentServices: Sendable {
    package let paths: AgentPaths
    package let identity: AgentIdentity
    package let secrets: AgentSecrets
    package let journal: AgentJournal
    package let edge: EdgeKeeper
    package let trust: ControllerTrust
    package let healing: Healing
    package let loginGuard: LoginGuard
    package let following: FollowKeeper
    package let started: Double

    /// Opens the agent's state, making what is missing.
    package init(paths: AgentPaths) throws {
        self.paths = paths
        for directory in [
            paths.state, "\(paths.state)/journal", paths.blobs, paths.snapshots, paths.keys, paths.signed,
            paths.backups,
        ] {
            try DurableFile.makeDirectory(directory)
        }
        identity = try AgentIdentity(path: paths.identity)
        trust = try ControllerTrust(paths: paths, identity: identity)
        secrets = try AgentSecrets(path: paths.secrets, identity: identity)
        // A rotation may have been cut off between two of its files.
        try trust.settle()
        try secrets.sealAnew()
        journal = try AgentJournal(path: paths.journal, clock: { WallClock.now() })
        let edge = EdgeKeeper(paths: paths)
        self.edge = edge
        let (identity, secrets) = (identity, secrets)
        healing = try Healing(
            paths: paths, trust: trust, context: { Self.context(paths, identity, secrets) }, edgeMode: { edge.mode })
        let healing = healing
        loginGuard = try LoginGuard(
            path: paths.loginGuard,
            told: { healing.tell([AgentEvent(sequence: 0, time: 0, kind: .undone, text: $0)]) })
        following = try FollowKeeper(
            folder: "\(paths.state)/follow", secrets: secrets,
            told: { healing.tell([AgentEvent(sequence: 0, time: 0, kind: .note, text: $0)]) })
        started = WallClock.monotonic()
    }

    /// Takes a word of a key rotation.
    func rotate(_ word: KeyRotation, _ signed: SignedRequest?, peer: pid_t?) throws -> Reply {
        switch word {
        case .announce(let keys): try trust.announce(keys, signed: signed)
        case .confirm(let keys): try trust.confirm(keys, signed: signed, peer: peer)
        case .prepareSealing: return .publicKey(try identity.prepareSealing())
        case .adoptSealing(let key):
            try identity.adoptSealing(key)
            try secrets.sealAnew()
        }
        return .accepted
    }

    /// What the keepers of resources need.
    func context(
        progress: @escaping @Sendable (String) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) -> NodeContext {
        Self.context(paths, identity, secrets, progress, isCancelled)
    }

    private static func context(
        _ paths: AgentPaths, _ identity: AgentIdentity, _ secrets: AgentSecrets,
        _ progress: @escaping @Sendable (String) -> Void = { _ in },
        _ isCancelled: @escaping @Sendable () -> Bool = { false }
    ) -> NodeContext {
        let blobs = paths.blobs
        return NodeContext(
            stateDirectory: paths.state, resolve: { try secrets.resolve($0) }, nodeKey: identity.nodeKey,
            blobPath: { "\(blobs)/\($0.rawValue)" }, progress: progress, isCancelled: isCancelled)
    }

    /// One line for the node's own journal.
    func log(_ line: String) { StandardError.write(line: "\(line)") }
}
