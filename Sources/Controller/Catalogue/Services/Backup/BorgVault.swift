import BasculeFleet
import BasculeModel
import Foundation

/// Nodes that keep the repositories of others: a login each, which can append to its own repository and nothing else.
extension Compilation {
    private static var vaultHome: String { "/var/lib/bascule-borg" }

    func vaultFile(_ vault: NodeName) -> ResourceID {
        ResourceID(node: vault, kind: "file", name: "\(Self.vaultHome)/.ssh/authorized_keys")
    }

    /// Nodes that other nodes' archives go to.
    var vaults: Set<NodeName> {
        guard let backup = fleet.services.backup, let borg = backup.borg else { return [] }
        return Set(
            backup.targets(of: borg.targets).compactMap {
                if case .node(let other) = $0.target { other.node } else { nil }
            })
    }

    mutating func placeVaults(_ targets: [(name: String, target: BackupTarget)]) throws {
        var lines: [NodeName: [Content]] = [:]
        var folders: [NodeName: [String]] = [:]
        for (name, target) in targets {
            guard case .node(let vault) = target else { continue }
            try requirePlaced(vault, of: name)
            for client in topology.nodes(with: .backup) where client != vault.node {
                let login = Self.borgLogin(client)
                try note(login, .generatedSSH)
                try note(login.publicHalf, .publicSSH(of: login))
                // What the login sends as a command counts for nothing: only this is run, on this repository alone.
                let command =
                    "borg serve --append-only --umask=077 --restrict-to-repository \(vault.path)/borg/\(client)"
                lines[vault.node, default: []].append(
                    .parts([.text("restrict,command=\"\(command)\" "), .secret(login.publicHalf), .text("\n")]))
                folders[vault.node, default: []].append("\(vault.path)/borg")
            }
        }
        for (node, keys) in lines { try placeVault(node, keys, folders[node] ?? []) }
    }

    /// A node that keeps others' backups is one that is managed.
    func requirePlaced(_ vault: BackupNode, of target: String) throws {
        guard topology.placements[vault.node] == nil else { return }
        throw BasculeError(
            .catalogueUnplaced,
            "the node \(vault.node) keeps backups, but is not in the topology \(fleet.activeTopology)",
            at: place("services.backup.targets.\(target).node"),
            hint: "add \(vault.node): [] under topologies.\(fleet.activeTopology)")
    }

    private mutating func placeVault(_ node: NodeName, _ keys: [Content], _ folders: [String]) throws {
        let (origin, user) = (Self.backupOrigin, Self.vaultUser)
        try packages(["borgbackup"], on: node, origin: origin)
        // A login shell, as a forced command is run by it.
        let account = Resource.user(UserSpec(user, home: Self.vaultHome, shell: "/bin/sh", system: true))
        try add(account, on: node, origin: origin)
        for (path, mode) in [(Self.vaultHome, 0o755), ("\(Self.vaultHome)/.ssh", 0o755)] {
            try add(
                .directory(DirectorySpec(path, permissions: Permissions(mode: mode))), on: node, origin: origin)
        }
        // root's: whoever has the login cannot give it more.
        let parts = keys.flatMap { content -> [Content.Part] in
            if case .parts(let parts) = content { parts } else { [] }
        }
        try add(
            .file(
                FileSpec(
                    "\(Self.vaultHome)/.ssh/authorized_keys", .parts(parts), permissions: Permissions(mode: 0o644))),
            on: node, requires: [account.id(on: node)], origin: origin)
        for folder in Set(folders).sorted() {
            try add(
                .directory(
                    DirectorySpec(folder, permissions: Permissions(owner: user, group: user, mode: 0o700))), on: node,
                requires: [account.id(on: node)], origin: origin)
        }
        reserve(128 << 20, for: "backup-borg", on: node, why: "borg serve, its index at 40 GB: 128 MiB")
    }

    /// 3-2-1: three copies, the living one among them; two places; one that survives the node.
    mutating func countCopies(_ targets: [(name: String, target: BackupTarget)]) {
        let away = targets.filter { if case .folder = $0.target { false } else { true } }
        let (copies, places) = (1 + targets.count, 1 + away.count)
        guard copies < 3 || away.isEmpty else { return }
        output.warnings.append(
            BasculeError(
                .catalogueFewCopies,
                "\(copies) copies of the files in \(places) places, \(away.count) that survive the node: 3-2-1 wants 3, 2 and 1",
                at: place("services.backup.targets"),
                hint: away.isEmpty
                    ? "add another node or an S3: a folder of the node is gone with it" : "add a second target"))
    }
}

extension Catalogue {
    /// Who owns the repositories that a node keeps for others.
    package static var vaultUser: String { Compilation.vaultUser }
    /// The login of a node's Borg at the nodes that keep its repositories.
    package static func borgLogin(_ node: NodeName) -> SecretName { Compilation.borgLogin(node) }
    /// The program that a drill works with on its throwaway node.
    package static func drillProgram(_ fleet: Fleet, digest: @escaping @Sendable ([UInt8]) -> Digest) throws -> Content
    {
        try Compilation(CompileContext(fleet: fleet, digest: digest)).render("backup-drill", [:])
    }
    /// What a node without a folder for backups copies to buckets.
    package static var borgRepository: String { "\(Compilation.borgState)/repository" }
    /// Where in a bucket the copy of a node's repository is.
    package static func borgFolder(_ bucket: BackupBucket.S3, _ fleet: String, _ node: NodeName) -> String {
        Compilation.bucketFolder(bucket, fleet, node)
    }
}

extension SecretName {
    /// The name under which the public half of an SSH key is kept.
    var publicHalf: SecretName { SecretName("\(self).public") }
}

/// What the node's program is told: `/etc/bascule-backup/borg.json`. No secrets.
struct BorgSettings: Encodable {
    struct Target: Encodable {
        var name: String
        /// `folder`, `node` or `s3`.
        var kind: String
        var repository: String
        /// As rclone names it.
        var bucket: String?
        var configuration: String?
        var roots: String?
    }

    var node: String
    var state: String
    var unit: String
    var key: String
    var login: String?
    var knownHosts: String?
    var metrics: String
    var targets: [Target]
    var paths: [String]
    var exclude: [String]
    var dumps: [String]

    var text: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
        }
    }
}
