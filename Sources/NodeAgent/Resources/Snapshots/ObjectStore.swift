import BasculeCrypto
import BasculeModel
import Synchronization

/// The bytes of captured files, named by their keyed digest: equal content is kept once, and a name tells nothing.
///
/// They are encrypted under the node's key: a file that held a secret before a change leaves no second copy in the clear.
struct ObjectStore {
    let context: NodeContext

    /// Steps that run side by side may keep the same content under the same name.
    private static let writing = Mutex(())

    func put(_ bytes: [UInt8]) throws -> Digest {
        let digest = Digest(of: bytes, key: context.nodeKey)
        try ObjectStore.writing.withLock { _ in
            guard FileIdentity(path: path(digest)) == nil else { return }
            try AtomicFile.write(path(digest), try box().seal(bytes), Permissions(mode: 0o600), kind: "object")
        }
        return digest
    }

    func get(_ digest: Digest) throws -> [UInt8] {
        guard let sealed = try AtomicFile.read(path(digest)), let bytes = try? box().open(sealed),
            Digest(of: bytes, key: context.nodeKey) == digest
        else {
            throw BasculeError(
                .inputOutput, "The snapshot's object \(digest.rawValue.prefix(12)) is missing or damaged",
                hint: "take an older snapshot")
        }
        return bytes
    }

    private func box() throws -> SecretBox {
        try SecretBox(key: HMAC.sha256(key: context.nodeKey, Array("bascule snapshots".utf8)))
    }

    /// What stands at a path; with `keep`, a file's bytes are stored.
    func snapshot(_ path: String, keep: Bool = true) throws -> PathSnapshot {
        guard let parent = try ParentDirectory.find(path), let status = try parent.status() else {
            return PathSnapshot(type: .nothing)
        }
        let type = PathType(status)
        var snapshot = PathSnapshot(type: type, permissions: try Permissions(status))
        switch type {
        case .file:
            snapshot.object = try AtomicFile.read(path).map {
                keep ? try put($0) : Digest(of: $0, key: context.nodeKey)
            }
        case .symlink: snapshot.target = try parent.linkTarget()
        default: break
        }
        return snapshot
    }

    func snapshots(_ paths: [String]) throws -> [String: PathSnapshot] {
        try Dictionary(uniqueKeysWithValues: Set(paths).map { ($0, try snapshot($0)) })
    }

    /// Puts back what stood at a path. A directory that was made since is removed only where it is empty.
    func restore(_ path: String, _ snapshot: PathSnapshot) throws {
        let now = try self.snapshot(path, keep: false)
        guard now != snapshot else { return }
        switch snapshot.type {
        case .nothing:
            guard now.type != .directory else {
                return try DirectoryKeeper.apply(DirectorySpec(path, state: .absent))
            }
            try ParentDirectory.find(path)?.remove()
        case .file:
            guard let object = snapshot.object, let permissions = snapshot.permissions else { return }
            try AtomicFile.write(path, try get(object), permissions)
        case .directory:
            guard let permissions = snapshot.permissions else { return }
            try DirectoryKeeper.apply(DirectorySpec(path, permissions: permissions))
        case .symlink:
            guard let target = snapshot.target else { return }
            try AtomicFile.link(path, to: target)
        case .other: break
        }
    }

    private func path(_ digest: Digest) -> String {
        "\(context.stateDirectory)/snapshots/objects/\(digest.rawValue.prefix(2))/\(digest.rawValue)"
    }
}
