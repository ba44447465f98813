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
        let host = (try? address(vault.node, neededBy: "services.backup")) ?? "address-of.\(vault.node)"
        return PostgresBackupSettings.Copy(
            name: name, place: "\(vault.node):\(Self.copyFolder(vault))",
            host: host.contains(":") ? "[\(host)]" : host, port: sshPort(vault.node), user: Self.copyUser)
    }

    /// The login and the unit that brings what is new; resources that the job needs.
    mutating func placeCopying(_ service: Backup, _ needed: [ResourceID], on node: NodeName) throws {
        let copies = postgresCopies(service, on: node)
        guard !copies.isEmpty else { return }
        let (origin, unit) = (Self.backupOrigin, "bascule-backup-postgresql-copy")
        let login = Self.borgLogin(node)
        try note(login, .generatedSSH)
        try packages(["rsync", "openssh-client"], on: node, origin: origin)
        let hosts = copies.map { _, vault in
            let host = (try? address(vault.node, neededBy: "services.backup")) ?? "address-of.\(vault.node)"
            let port = sshPort(vault.node)
            let key = context.hostKeys[vault.node]?.split(separator: " ").prefix(2).joined(separator: " ")
            return "\(port == 22 ? host : "[\(host)]:\(port)") \(key ?? "not-known-yet")\n"
        }
        let files = [
            FileSpec(
                Self.copyLoginFile, .parts([.secret(login)]),
                permissions: Permissions(owner: "postgres", group: "postgres", mode: 0o600)),
            FileSpec(Self.copyHostsFile, Content(Set(hosts).sorted().joined())),
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
        try packages(["rsync", "python3"], on: node, origin: origin)
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

extension Catalogue {
    /// What a throwaway node needs to bring a database back from another node's copy: settings, key, login, program.
    /// - Parameters:
    ///   - version: PostgreSQL's major version there.
    ///   - copy: as the throwaway node reaches it; `hostKey` is its SSH key, type and base64.
    package static func postgresDrill(
        _ fleet: Fleet, version: Int, lost: NodeName, copy: PostgresBackupSettings.Copy, hostKey: String,
        digest: @escaping @Sendable ([UInt8]) -> Digest
    ) throws -> [Resource] {
        let compilation = Compilation(CompileContext(fleet: fleet, digest: digest))
        guard let service = fleet.services.backup, let postgres = fleet.services.postgresql else { return [] }
        let state = "\(Compilation.backupState)/postgresql"
        let repository = "\(state)/repository"
        let owned = Permissions(owner: "postgres", group: "postgres", mode: 0o750)
        let settings = PostgresBackupSettings(
            version: version, port: postgres.port, stanza: Compilation.postgresStanza,
            config: Compilation.pgbackrestConfig, state: state, unit: "bascule-backup-none", fullSeconds: 0,
            verifySeconds: 0,
            targets: [.init(name: copy.name, kind: "folder", place: repository, expires: false)],
            copies: [copy], copySeconds: 0, repository: repository, login: Compilation.copyLoginFile,
            knownHosts: Compilation.copyHostsFile)
        let host = copy.host.filter { $0 != "[" && $0 != "]" }
        let config = try compilation.render(
            "backup-pgbackrest.conf",
            [
                "repositories": .list([
                    .map([
                        "number": .integer(1), "name": .text(copy.name), "s3": false,
                        "folder": .map(["path": .text(repository)]),
                    ])
                ]), "days": .integer(9999), "state": .text(state),
                "key": .content(.parts([.secret(service.key)])), "port": .integer(postgres.port),
                "processes": .integer(service.postgresql.processes), "version": .integer(version),
                "stanza": .text(Compilation.postgresStanza),
            ])
        let folders = [Compilation.backupFolder, Compilation.backupState].map {
            Resource.directory(DirectorySpec($0, permissions: Permissions(mode: 0o755)))
        }
        let own = ["", "/lock", "/spool", "/restore", "/restores"].map {
            Resource.directory(DirectorySpec("\(state)\($0)", permissions: owned))
        }
        let files = [
            FileSpec(
                Compilation.pgbackrestConfig, config,
                permissions: Permissions(owner: "root", group: "postgres", mode: 0o640)),
            FileSpec("\(Compilation.backupFolder)/postgresql.json", Content(try settings.text)),
            FileSpec(
                Compilation.backupProgram("postgresql"), try compilation.render("backup-postgresql", [:]),
                permissions: Permissions(mode: 0o755)),
            FileSpec(
                Compilation.copyLoginFile, .parts([.secret(Compilation.borgLogin(lost))]),
                permissions: Permissions(owner: "postgres", group: "postgres", mode: 0o600)),
            FileSpec(
                Compilation.copyHostsFile,
                Content("\(copy.port == 22 ? host : "[\(host)]:\(copy.port)") \(hostKey)\n")),
        ]
        return ["pgbackrest", "rsync"].map { .package(PackageSpec($0)) } + folders + own + files.map { .file($0) }
    }

    /// The account that keeps other nodes' copies, and where.
    package static var copyUser: String { Compilation.copyUser }
    package static func copyFolder(_ vault: BackupNode) -> String { Compilation.copyFolder(vault) }
}
