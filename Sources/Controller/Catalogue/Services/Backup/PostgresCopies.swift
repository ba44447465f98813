import BasculeFleet
import BasculeModel
import Foundation

/// Copies of PostgreSQL's backups on other nodes: pushed by the node, sealed where they arrive.
extension Compilation {
    /// Who adds to other nodes' copies: a login that can neither delete nor change what has arrived.
    static var copyUser: String { "bascule-vault" }
    private static var copyHome: String { "/var/lib/bascule-vault" }
    static var copyLoginFile: String { "\(backupFolder)/postgresql-login" }
    static var copyHostsFile: String { "\(backupFolder)/postgresql-known-hosts" }
    /// Seconds between two looks for something new.
    private static var copySeconds: Int { 20 }

    /// The targets that pgBackRest itself writes to. Where all are other nodes, a folder of this one comes first.
    func postgresRepositories(_ service: Backup, on node: NodeName) -> [(name: String, target: BackupTarget)] {
        let targets = service.targets(of: service.postgresql.targets)
        let own = targets.filter { if case .node = $0.target { false } else { true } }
        let hasFolder = own.contains { if case .folder = $0.target { true } else { false } }
        guard !hasFolder, let first = postgresCopies(service, on: node).first else { return own }
        var folder = BackupFolder()
        folder.path = "\(Self.backupState)/postgresql/repository"
        return [("\(first.name)-here", .folder(folder))] + own
    }

    /// The other nodes that keep a copy.
    func postgresCopies(_ service: Backup, on node: NodeName) -> [(name: String, target: BackupNode)] {
        service.targets(of: service.postgresql.targets).compactMap { name, target in
            if case .node(let other) = target, other.node != node { (name, other) } else { nil }
        }
    }

    /// Where another node keeps the copies of all.
    static func copyFolder(_ vault: BackupNode) -> String { "\(vault.path)/postgresql" }

    func copySetting(_ name: String, _ vault: BackupNode) -> PostgresBackupSettings.Copy {
        let (host, port) = reach(vault.node)
        return PostgresBackupSettings.Copy(
            name: name, place: "\(vault.node):\(Self.copyFolder(vault))", host: host, port: port, user: Self.copyUser)
    }

    /// The login and the unit that brings what is new; resources that the job needs.
    mutating func placeCopying(_ service: Backup, _ needed: [ResourceID], on node: NodeName) throws {
        let copies = postgresCopies(service, on: node)
        guard !copies.isEmpty else { return }
        let (origin, unit) = (Self.backupOrigin, "bascule-backup-postgresql-copy")
        let login = Self.borgLogin(node)
        try note(login, .generatedSSH)
        try packages(["rsync", "openssh-client"], on: node, origin: origin)
        let files = [
            FileSpec(
                Self.copyLoginFile, .parts([.secret(login)]),
                permissions: Permissions(owner: "postgres", group: "postgres", mode: 0o600)),
            FileSpec(Self.copyHostsFile, Content(Set(copies.map { hostLine($0.target.node) }).sorted().joined())),
        ]
        var all = needed
        let server = ResourceID(
            node: node, kind: "package",
            name: "postgresql-\(fleet.services.postgresql.map { postgresVersion($0, on: node) } ?? 0)")
        for file in files {
            try add(.file(file), on: node, requires: [server], origin: origin)
            all.append(Resource.file(file).id(on: node))
        }
        let job = Resource.unit(
            UnitSpec(
                "\(unit).service",
                content: try render(
                    "backup-postgresql-copy.service",
                    [
                        "program": .text(Self.backupProgram("postgresql")),
                        "state": .text("\(Self.backupState)/postgresql"),
                    ]), state: nil, enabled: nil))
        let timer = Resource.unit(
            UnitSpec(
                "\(unit).timer",
                content: try render("backup-postgresql-copy.timer", ["seconds": .integer(Self.copySeconds)])))
        try add(job, on: node, requires: all, origin: origin)
        try add(
            timer, on: node,
            requires: [job.id(on: node)]
                + copies.map {
                    ResourceID(node: $0.target.node, kind: "file", name: "\(Self.copyHome)/.ssh/authorized_keys")
                },
            origin: origin)
    }

    /// Nodes that keep copies of others' databases.
    var copyVaults: Set<NodeName> {
        guard let service = fleet.services.backup, let node = archivedNode else { return [] }
        return Set(postgresCopies(service, on: node).map(\.target.node))
    }

    /// The nodes that keep the copies: an account that can add, and the unit that seals.
    mutating func placeCopyVaults(_ service: Backup) throws {
        guard let client = archivedNode else { return }
        for (name, vault) in postgresCopies(service, on: client) {
            try requirePlaced(vault, of: name)
            try placeCopyVault(vault, of: client)
        }
    }

    private mutating func placeCopyVault(_ vault: BackupNode, of client: NodeName) throws {
        let (origin, node, user) = (Self.backupOrigin, vault.node, Self.copyUser)
        let (path, program) = (Self.copyFolder(vault), Self.backupProgram("vault"))
        let login = Self.borgLogin(client)
        try note(login, .generatedSSH)
        try note(login.publicHalf, .publicSSH(of: login))
        // It reads a repository before anything of it is removed.
        try packages(["pgbackrest", "rsync", "python3"], on: node, origin: origin)
        let account = Resource.user(UserSpec(user, home: Self.copyHome, shell: "/bin/sh", system: true))
        try add(account, on: node, origin: origin)
        let folders: [(String, Permissions)] = [
            (Self.copyHome, Permissions(mode: 0o755)), ("\(Self.copyHome)/.ssh", Permissions(mode: 0o755)),
            (path, Permissions(mode: 0o755)),
            // Sticky: what has become root's can be renamed or deleted by root alone.
            ("\(path)/\(client)", Permissions(owner: "root", group: user, mode: 0o1770)),
        ]
        for (folder, permissions) in folders {
            try add(
                .directory(DirectorySpec(folder, permissions: permissions)), on: node,
                requires: [account.id(on: node)], origin: origin)
        }
        // What the login sends as a command counts only as rsync's wish, in this folder and without deletions.
        let keys: Content = .parts([
            .text("restrict,command=\"/usr/bin/rrsync -no-del -no-lock \(path)/\(client)\" "),
            .secret(login.publicHalf), .text("\n"),
        ])
        let authorized = FileSpec(
            "\(Self.copyHome)/.ssh/authorized_keys", keys, permissions: Permissions(mode: 0o644))
        try add(.file(authorized), on: node, requires: [account.id(on: node)], origin: origin)
        let file = FileSpec(
            program, try render("backup-vault", ["path": .text(path), "user": .text(user)]),
            permissions: Permissions(mode: 0o755))
        try add(.file(file), on: node, origin: origin)
        let unit = "bascule-vault-seal"
        let service = Resource.unit(
            UnitSpec(
                "\(unit).service",
                content: try render(
                    "backup-vault-seal.service", ["program": .text(program), "path": .text(path)]),
                state: nil, enabled: nil))
        let arrival = Resource.unit(
            UnitSpec(
                "\(unit).path",
                content: try render(
                    "backup-vault-seal.path",
                    ["path": .text(path), "clients": .list([.map(["client": .text(client.rawValue)])])])))
        try add(
            service, on: node, requires: [Resource.file(file).id(on: node), account.id(on: node)], origin: origin)
        try add(
            arrival, on: node,
            requires: [
                service.id(on: node), ResourceID(node: node, kind: "directory", name: "\(path)/\(client)"),
            ], origin: origin)
    }
}
