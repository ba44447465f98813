import BasculeFleet
import BasculeModel
import Foundation

/// Archives of files by Borg, on every node with the role `backup`; and the nodes that keep repositories of others.
extension Compilation {
    /// Who owns the repositories that a node keeps for others; a login that can do nothing but append to them.
    static var vaultUser: String { "bascule-borg" }
    private static var vaultHome: String { "/var/lib/bascule-borg" }
    static var borgState: String { "\(backupState)/borg" }
    private static var borgUnit: String { "bascule-backup-borg" }

    mutating func placeBorgBackup(_ service: Backup) throws {
        guard let borg = service.borg else { return }
        let targets = service.targets(of: borg.targets)
        for node in topology.nodes(with: .backup) {
            let others = targets.filter {
                if case .node(let other) = $0.target { other.node != node } else { true }
            }
            try placeBorg(service, borg, others, on: node)
        }
        try placeVaults(targets)
        countCopies(targets)
    }

    /// The login of a node's Borg at the nodes that keep its repositories.
    static func borgLogin(_ node: NodeName) -> SecretName { SecretName("generated.borg.\(node)") }

    /// A node's repository at each target that has one, and what is copied elsewhere.
    func borgRepository(_ target: BackupTarget, of node: NodeName) -> String {
        switch target {
        case .folder(let folder): "\(folder.path)/borg"
        case .s3: "\(Self.borgState)/repository"
        case .node(let other):
            "ssh://\(Self.vaultUser)@\(reach(other.node).host):\(sshPort(other.node))\(other.path)/borg/\(node)"
        }
    }

    private mutating func placeBorg(
        _ service: Backup, _ borg: FileBackups, _ targets: [(name: String, target: BackupTarget)], on node: NodeName
    ) throws {
        let (origin, program) = (Self.backupOrigin, Self.backupProgram("borg"))
        let hasBucket = targets.contains { if case .s3 = $0.target { true } else { false } }
        let vaults = targets.compactMap { if case .node(let other) = $0.target { other.node } else { nil } }
        try packages(
            ["borgbackup", "python3"] + (hasBucket ? ["rclone"] : []) + (vaults.isEmpty ? [] : ["openssh-client"]),
            on: node, origin: origin)
        var files: [FileSpec] = [
            FileSpec(
                "\(Self.backupFolder)/borg.key", .parts([.secret(service.key)]),
                permissions: Permissions(mode: 0o600)),
            FileSpec(program, try render("backup-borg", [:]), permissions: Permissions(mode: 0o755)),
        ]
        // The nearest repository on this node is what buckets get their copy of.
        let local = targets.compactMap {
            if case .folder = $0.target { borgRepository($0.target, of: node) } else { nil }
        }
        .first
        var settings: [BorgSettings.Target] = []
        for (name, target) in targets {
            var own = BorgSettings.Target(name: name, kind: "folder", repository: borgRepository(target, of: node))
            switch target {
            case .folder: break
            case .node: own.kind = "node"
            case .s3(let bucket):
                (own.kind, own.repository) = ("s3", local ?? own.repository)
                own.bucket = "bucket:\(bucket.s3.bucket)/\(Self.bucketFolder(bucket.s3, fleet.name, node))"
                own.configuration = "\(Self.backupFolder)/borg-\(name).conf"
                own.roots = try placeBackupRoots(bucket.s3, name, on: node)
                files.append(try rcloneFile(bucket.s3, own.configuration ?? ""))
            }
            settings.append(own)
        }
        if !vaults.isEmpty {
            try note(Self.borgLogin(node), .generatedSSH)
            files.append(
                FileSpec(
                    "\(Self.backupFolder)/borg-login", .parts([.secret(Self.borgLogin(node))]),
                    permissions: Permissions(mode: 0o600)))
            files.append(
                FileSpec("\(Self.backupFolder)/borg-known-hosts", Content(vaults.sorted().map(hostLine).joined())))
        }
        let all = BorgSettings(
            node: node.rawValue, state: Self.borgState, unit: Self.borgUnit, key: "\(Self.backupFolder)/borg.key",
            login: vaults.isEmpty ? nil : "\(Self.backupFolder)/borg-login",
            knownHosts: vaults.isEmpty ? nil : "\(Self.backupFolder)/borg-known-hosts", metrics: Self.textMetrics,
            targets: settings, paths: borgPaths(borg, on: node), exclude: borg.exclude,
            dumps: single(.database) == node ? borg.dumps.map(\.rawValue) : [])
        files.append(FileSpec("\(Self.backupFolder)/borg.json", Content(try all.text)))
        var needed: [ResourceID] = []
        let folder = Resource.directory(DirectorySpec(Self.borgState, permissions: Permissions(mode: 0o700)))
        try add(folder, on: node, origin: origin)
        needed.append(folder.id(on: node))
        for file in files {
            try add(.file(file), on: node, origin: origin)
            needed.append(Resource.file(file).id(on: node))
        }
        try placeBorgUnits(settings, needed + vaults.map { vaultFile($0) }, on: node)
    }

    /// Where in a bucket the copy of a node's repository is.
    static func bucketFolder(_ bucket: BackupBucket.S3, _ fleet: String, _ node: NodeName) -> String {
        "\(bucket.prefix ?? fleet)/borg/\(node)"
    }

    private mutating func rcloneFile(_ bucket: BackupBucket.S3, _ path: String) throws -> FileSpec {
        try note(bucket.accessKey, .given)
        try note(bucket.secretKey, .given)
        return try rcloneFile(bucket, path, Permissions(mode: 0o600))
    }

    func rcloneFile(_ bucket: BackupBucket.S3, _ path: String, _ permissions: Permissions) throws -> FileSpec {
        let content = try render(
            "backup-rclone.conf",
            [
                "accessKey": .content(.parts([.secret(bucket.accessKey)])),
                "secretKey": .content(.parts([.secret(bucket.secretKey)])),
                "endpoint": .text("https://\(bucket.endpoint)"), "region": .text(bucket.region),
                "pathStyle": .text("\(bucket.pathStyle)"), "storageClass": .text(bucket.storageClass),
            ])
        return FileSpec(path, content, permissions: permissions)
    }

    /// What is kept by itself, and what the fleet file adds.
    func borgPaths(_ borg: FileBackups, on node: NodeName) -> [String] {
        var paths = ["/etc", "/var/lib/bascule", "/srv/bascule/archive"]
        if topology.nodes(with: .app).contains(node) {
            paths += fleet.apps.keys.map { "/srv/\($0)" }
            for case .files(let source) in fleet.migration?.sources.values.map({ $0 }) ?? [] { paths.append(source.to) }
        }
        let sorted = Array(Set(paths + borg.paths)).sorted()
        return sorted.filter { path in !sorted.contains { path != $0 && path.hasPrefix("\($0)/") } }
    }

    private mutating func placeBorgUnits(
        _ targets: [BorgSettings.Target], _ needed: [ResourceID], on node: NodeName
    ) throws {
        let (origin, unit, program) = (Self.backupOrigin, Self.borgUnit, Self.backupProgram("borg"))
        let folders = targets.filter { $0.kind == "folder" }.map {
            String($0.repository.prefix(upTo: $0.repository.lastIndex(of: "/") ?? $0.repository.startIndex))
        }
        let there = Resource.command(
            CommandSpec(
                "backup-borg-repositories", command: [program, "make"], unless: [program, "is-made"], timeout: 300))
        let job = Resource.unit(
            UnitSpec(
                "\(unit).service",
                content: try render(
                    "backup-borg.service",
                    [
                        "program": .text(program),
                        "paths": .text(([Self.borgState] + folders).joined(separator: " ")),
                        "metrics": .text(Self.textMetrics),
                    ]), state: nil, enabled: nil))
        let timer = Resource.unit(
            UnitSpec(
                "\(unit).timer",
                content: try render(
                    "backup-timer.timer",
                    ["what": "Archive of files by Borg", "time": .text(fleet.services.backup?.borg?.time ?? "03:10")])))
        try add(there, on: node, requires: needed, origin: origin)
        try add(job, on: node, requires: needed, origin: origin)
        try add(timer, on: node, requires: [job.id(on: node), there.id(on: node)], origin: origin)
        let first = Resource.command(
            CommandSpec(
                "backup-borg-first", command: [program, "begin"],
                unless: [program, "has-begun"]))
        // What it dumps has to be there first.
        let dumped = (single(.database) == node ? fleet.services.backup?.borg?.dumps ?? [] : []).map {
            ResourceID(node: node, kind: ResourceKind.postgresDatabase.rawValue, name: $0.rawValue)
        }
        try add(first, on: node, requires: [job.id(on: node), there.id(on: node)] + dumped, origin: origin)
        // Borg's index takes about 100 bytes a chunk of 2 MiB, its chunker and Python the rest: measured 70 MiB at 4 GB.
        reserve(128 << 20, for: "backup-borg", on: node, why: "Borg's index at 40 GB, and Python: 128 MiB")
    }
}
