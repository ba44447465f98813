import BasculeCrypto
import BasculeModel
import BasculeProtocol
import BasculeStore
import Foundation

/// Brings encrypted backups of the store to the nodes, so that losing the workstation does not lose the fleet.
package struct BackupPush: Sendable {
    /// What became of one backup.
    package struct Outcome: Sendable {
        package var kept: [NodeName]
        package var missed: [NodeName: BasculeError]
    }

    let session: FleetSession
    /// Without a reason to hurry, not more often than this, in seconds.
    static let interval = 3600.0

    package init(session: FleetSession) { self.session = session }

    /// Whether the nodes' newest backup is behind: at once after a run that changed something, else once an hour.
    package func isDue(changed: Bool) throws -> Bool {
        let store = session.store
        let last = try store.setting("backup/time").flatMap { Double($0) } ?? 0
        let age = Date().timeIntervalSince1970 - last
        // A clock that was set back must not stop backups.
        guard changed || age > BackupPush.interval || age < 0 else { return false }
        return try store.setting("backup/fingerprint") != store.fingerprint().rawValue
    }

    /// After an apply: a backup to the nodes that it talked to, if one is due.
    package func afterApply(changed: Bool) async throws -> Outcome? {
        guard try isDue(changed: changed) else { return nil }
        var nodes: [NodeName] = []
        for node in session.fleet.nodeNames where await session.isConnected(node) { nodes.append(node) }
        return nodes.isEmpty ? nil : try await run(to: nodes)
    }

    /// Makes a backup and hands it to every node with an agent. One that does not answer is named, and fails nothing.
    package func run() async throws -> Outcome {
        try await run(to: try session.fleet.nodeNames.filter { try session.isBootstrapped($0) })
    }

    private func run(to nodes: [NodeName]) async throws -> Outcome {
        let store = session.store
        let fingerprint = try store.fingerprint()
        let number = session.epoch << 32 + (try store.next("backup/number"))
        let file = "\(store.path).backup-\(ProcessInfo.processInfo.processIdentifier)"
        defer { try? FileManager.default.removeItem(atPath: file) }
        try store.backUp(to: file)
        let digest = try BackupPush.digest(of: file)
        let results = await withTaskGroup(of: Pushed.self) { group in
            for node in nodes { group.addTask { await push(file, digest, number, to: node) } }
            var all: [Pushed] = []
            for await result in group { all.append(result) }
            return all
        }
        let outcome = Outcome(
            kept: results.filter { $0.error == nil }.map(\.node).sorted(),
            missed: Dictionary(results.compactMap { entry in entry.error.map { (entry.node, $0) } }) { $1 })
        if !outcome.kept.isEmpty {
            try store.set("backup/fingerprint", to: fingerprint.rawValue)
            try store.set("backup/time", to: "\(Date().timeIntervalSince1970)")
        }
        return outcome
    }

    private struct Pushed: Sendable {
        var node: NodeName
        var error: BasculeError?
    }

    private func push(_ file: String, _ digest: Digest, _ number: Int, to node: NodeName) async -> Pushed {
        do {
            let link = try await session.link(node)
            try await link.upload(.file(path: file), as: digest)
            _ = try await link.ask(.keepBackup(digest, number: number))
            return Pushed(node: node)
        } catch { return Pushed(node: node, error: BasculeError.wrapping(error, "the backup did not arrive")) }
    }

    private static func digest(of file: String) throws -> Digest {
        var reader = try Blob.file(path: file).reader()
        var hash = SHA256()
        while let piece = try reader.next() { hash.update(piece) }
        return Digest(rawValue: Hex.encode(hash.finalize()))
    }
}
