import BasculeFleet
import BasculeModel
import Foundation

/// PostgreSQL's WAL archive and base backups, by pgBackRest. Why that: docs/services/backup.md.
extension Compilation {
    /// The one stanza: a fleet has one PostgreSQL, and another node that takes it over goes on with its backups.
    static var postgresStanza: String { "main" }
    static var pgbackrestConfig: String { "\(backupFolder)/pgbackrest.conf" }
    static var postgresBackupState: String { "\(backupState)/postgresql" }
    private static var postgresBackupUnit: String { "bascule-backup-postgresql" }

    /// The program on the node: one file there, a part for each of its duties here.
    func postgresProgram() throws -> Content {
        let parts = ["", "-base", "-copies", "-state", "-choice", "-restore"].map { "backup-postgresql\($0)" }
        return try Renderer.render(TemplateSource(builtIn: parts, folder: fleet.folder), [:])
    }

    /// The node whose PostgreSQL is backed up; nil where none is.
    var archivedNode: NodeName? {
        guard fleet.services.backup != nil, fleet.services.postgresql != nil, let node = single(.database),
            topology.nodes(with: .backup).contains(node)
        else { return nil }
        return node
    }

    /// Seconds that a segment of WAL may wait.
    var archiveDelay: Int { fleet.services.backup.map { Self.wholeSeconds($0.postgresql.rpo) } ?? 300 }

    mutating func placePostgresBackup(_ service: Backup) throws {
        guard let postgres = fleet.services.postgresql, let node = single(.database) else { return }
        guard topology.nodes(with: .backup).contains(node) else {
            output.warnings.append(
                BasculeError(
                    .catalogueUnplaced, "PostgreSQL on \(node) is not backed up: the node has not the role backup",
                    at: place("services.backup"), hint: "add backup to \(node) under topologies.\(fleet.activeTopology)"
                ))
            return
        }
        let origin = Self.backupOrigin
        let version = postgresVersion(postgres, on: node)
        try packages(["pgbackrest", "python3"], on: node, origin: origin)
        // Both sides of a repository want one version; and a new one is to be tried by a drill, not at night.
        try keepFromUnattendedUpgrades("pgbackrest", "pgbackrest", on: node, origin: origin)
        var needed: [ResourceID] = []
        let owned = Permissions(owner: "postgres", group: "postgres", mode: 0o750)
        var folders = ["", "/lock", "/spool", "/restore"].map { "\(Self.postgresBackupState)\($0)" }
        let targets = postgresRepositories(service, on: node)
        folders += targets.compactMap {
            if case .folder(let folder) = $0.target { Self.repositoryPath(folder) } else { nil }
        }
        let package = ResourceID(node: node, kind: "package", name: "postgresql-\(version)")
        for path in folders {
            let folder = Resource.directory(DirectorySpec(path, permissions: owned))
            try add(folder, on: node, requires: [package], origin: origin)
            needed.append(folder.id(on: node))
        }
        needed += try placePgBackRest(service, postgres, version, targets, on: node)
        try placeCopying(service, needed, on: node)
        try placeCopyVaults(service)
        try placeArchiving(service, version, folders: folders, needed, on: node)
        try placeBaseBackups(service, version, folders: folders, needed, on: node)
        // A process holds a buffer of 1 MiB on either side and zstd's window; TLS and the manifest are the rest. Measured.
        let processes = service.postgresql.processes
        reserve(
            (processes + 1) * 32 << 20, for: "backup-postgresql", on: node,
            why: "pgBackRest: (\(processes) processes + 1) × 32 MiB")
    }

    /// The tool's settings and the program around it.
    private mutating func placePgBackRest(
        _ service: Backup, _ postgres: PostgreSQL, _ version: Int, _ targets: [(name: String, target: BackupTarget)],
        on node: NodeName
    ) throws -> [ResourceID] {
        let origin = Self.backupOrigin
        let repositories = try targets.enumerated().map { index, entry in
            try pgbackrestRepository(service, index + 1, entry.name, entry.target, on: node)
        }
        let repository = targets.lazy.compactMap {
            if case .folder(let folder) = $0.target { Self.repositoryPath(folder) } else { nil }
        }.first
        let days = Self.keptDays(service)
        let config = FileSpec(
            Self.pgbackrestConfig, try pgbackrestFile(service, version, repositories, days: days),
            permissions: Permissions(owner: "root", group: "postgres", mode: 0o640))
        let settings = PostgresBackupSettings(
            version: version, port: postgres.port, stanza: Self.postgresStanza, config: Self.pgbackrestConfig,
            state: Self.postgresBackupState, unit: Self.postgresBackupUnit,
            fullSeconds: Self.wholeSeconds(service.postgresql.full),
            verifySeconds: service.postgresql.verify == .daily ? 0 : 6 * 86_400,
            targets: targets.map { name, target in
                var own = PostgresBackupSettings.Target(name: name, kind: "folder", expires: true)
                switch target {
                case .folder(let folder): own.place = folder.path
                case .node: break
                case .s3(let bucket):
                    (own.kind, own.expires) = ("s3", bucket.s3.prune == nil)
                    own.place = "\(bucket.s3.endpoint)/\(bucket.s3.bucket)/\(bucket.s3.prefix ?? fleet.name)"
                }
                return own
            },
            copies: postgresCopies(service, on: node).map { copySetting($0.name, $0.target) },
            copySeconds: archiveDelay, repository: repository ?? "", login: Self.copyLoginFile,
            knownHosts: Self.copyHostsFile)
        let files = [
            config,
            FileSpec("\(Self.backupFolder)/postgresql.json", Content(try settings.text)),
            FileSpec(
                Self.backupProgram("postgresql"), try postgresProgram(),
                permissions: Permissions(mode: 0o755)),
        ]
        let package = ResourceID(node: node, kind: "package", name: "postgresql-\(version)")
        return try files.map { file in
            let resource = Resource.file(file)
            try add(resource, on: node, requires: [package], origin: origin)
            return resource.id(on: node)
        }
    }

    /// - Parameter days: base backups that are older go, where somebody says `expire`.
    func pgbackrestFile(
        _ service: Backup, _ version: Int, _ repositories: [Variable], days: Int, state: String? = nil
    ) throws -> Content {
        try render(
            "backup-pgbackrest.conf",
            [
                "repositories": .list(repositories), "days": .integer(days),
                "state": .text(state ?? Self.postgresBackupState),
                "key": .content(.parts([.secret(service.key)])),
                "port": .integer(fleet.services.postgresql?.port ?? 5432),
                "processes": .integer(service.postgresql.processes), "version": .integer(version),
                "stanza": .text(Self.postgresStanza),
            ])
    }

    /// Days that `keep` is.
    static func keptDays(_ service: Backup) -> Int { max(1, wholeSeconds(service.postgresql.keep) / 86_400) }

    private static func repositoryPath(_ folder: BackupFolder) -> String {
        folder.path.hasPrefix("\(backupState)/") ? folder.path : "\(folder.path)/postgresql"
    }

    /// - Parameter isBare: only the settings, for a node that has the rest.
    mutating func pgbackrestRepository(
        _ service: Backup, _ number: Int, _ name: String, _ target: BackupTarget, on node: NodeName,
        isBare: Bool = false
    ) throws -> Variable {
        var values: [String: Variable] = [
            "number": .integer(number), "name": .text(name), "folder": false, "s3": false,
        ]
        switch target {
        case .folder(let folder):
            values["folder"] = .map(["path": .text(isBare ? folder.path : Self.repositoryPath(folder))])
        case .node: break  // Copied to, not written to: PostgresCopies.
        case .s3(let bucket):
            let s3 = bucket.s3
            if !isBare {
                try note(s3.accessKey, .given)
                try note(s3.secretKey, .given)
            }
            let parts = s3.endpoint.split(separator: ":").map(String.init)
            // A node that has the target has its roots.
            let roots =
                isBare ? s3.caBundle.map { _ in Self.rootsPath(name) } : try placeBackupRoots(s3, name, on: node)
            values["s3"] = .map([
                "path": .text("/\(s3.prefix ?? fleet.name)/postgresql"), "endpoint": .text(parts[0]),
                "port": .text(parts.count > 1 ? parts[1] : "443"), "bucket": .text(s3.bucket),
                "region": .text(s3.region), "pathStyle": .flag(s3.pathStyle),
                "accessKey": .content(.parts([.secret(s3.accessKey)])),
                "secretKey": .content(.parts([.secret(s3.secretKey)])),
                "roots": roots.map { .list([.text($0)]) } ?? false,
            ])
        }
        return .map(values)
    }

    /// Every segment of WAL to every target, from the server's own unit.
    private mutating func placeArchiving(
        _ service: Backup, _ version: Int, folders: [String], _ needed: [ResourceID], on node: NodeName
    ) throws {
        let origin = Self.backupOrigin
        let folder = "/etc/postgresql/\(version)/main/conf.d"
        let owned = Permissions(owner: "postgres", group: "postgres", mode: 0o640)
        let (restart, reload) = ("\(folder)/51-bascule-archive.conf", "\(folder)/61-bascule-archive.conf")
        let variables: [String: Variable] = [
            "config": .text(Self.pgbackrestConfig), "stanza": .text(Self.postgresStanza),
            "timeout": .integer(Self.wholeSeconds(service.postgresql.archiveTimeout)),
        ]
        try add(
            .file(FileSpec(restart, try render("backup-archive-restart.conf", variables), permissions: owned)),
            on: node, origin: origin)
        try add(
            .file(FileSpec(reload, try render("backup-archive-reload.conf", variables), permissions: owned)),
            on: node, origin: origin)
        let paths = folders.filter { !$0.hasSuffix("/lock") && !$0.hasSuffix("/spool") && !$0.hasSuffix("/restore") }
        let dropIn = try render("backup-postgresql-unit.conf", ["paths": .text(paths.joined(separator: " "))])
        let unit = UnitSpec(
            "postgresql@\(version)-main.service", dropIns: ["20-backup.conf": dropIn], enabled: nil,
            reloadOn: [reload], restartOn: [restart])
        try add(.unit(unit), on: node, requires: needed, origin: origin)
    }

    /// The stanza, the job and its timer, the first base backup.
    private mutating func placeBaseBackups(
        _ service: Backup, _ version: Int, folders: [String], _ needed: [ResourceID], on node: NodeName
    ) throws {
        let (origin, unit, program) = (Self.backupOrigin, Self.postgresBackupUnit, Self.backupProgram("postgresql"))
        let server = ResourceID(node: node, kind: "unit", name: "postgresql@\(version)-main.service")
        let stanza = Resource.command(
            CommandSpec(
                "backup-postgresql-stanza", command: [program, "stanza"], unless: [program, "stanza-is-there"],
                timeout: 300))
        try add(stanza, on: node, requires: needed + [server], origin: origin)
        let job = Resource.unit(
            UnitSpec(
                "\(unit).service",
                content: try render(
                    "backup-postgresql.service",
                    [
                        "program": .text(program), "paths": .text(folders.joined(separator: " ")),
                        "server": .text("postgresql@\(version)-main.service"),
                    ]),
                state: nil, enabled: nil))
        let timer = Resource.unit(
            UnitSpec(
                "\(unit).timer",
                content: try render(
                    "backup-timer.timer",
                    [
                        "what": "Base backup of PostgreSQL", "time": .text(service.postgresql.base),
                    ])))
        try add(job, on: node, requires: needed, origin: origin)
        try add(timer, on: node, requires: [job.id(on: node), stanza.id(on: node)], origin: origin)
        // It begins with the apply, and goes on after it however long it takes.
        let first = Resource.command(
            CommandSpec(
                "backup-postgresql-first", command: [program, "begin-base"],
                unless: [program, "base-is-there"]))
        try add(first, on: node, requires: [job.id(on: node), stanza.id(on: node)], origin: origin)
    }
}

/// What the node's program is told: `/etc/bascule-backup/postgresql.json`. No secrets.
package struct PostgresBackupSettings: Encodable {
    /// Another node that keeps a copy, as rsync reaches it; in a drill also a bucket, as rclone does.
    package struct Copy: Encodable, Sendable {
        package var name, place, host: String
        package var port: Int
        package var user: String
        var bucket, configuration, roots: String?
        package init(name: String, place: String, host: String, port: Int, user: String) {
            (self.name, self.place, self.host, self.port, self.user) = (name, place, host, port, user)
        }
    }

    struct Target: Encodable {
        var name: String
        var kind: String
        var place = ""
        /// Whether the node removes what is older than `keep`; else only the workstation can.
        var expires: Bool
    }

    var version: Int
    var port: Int
    var stanza: String
    var config: String
    var state: String
    var unit: String
    var fullSeconds: Int
    /// Time between two readings of everything; 0 is after each base backup.
    var verifySeconds: Int
    var targets: [Target]
    var copies: [Copy]
    /// How old the newest look for something new may be.
    var copySeconds: Int
    /// The folder that is copied.
    var repository: String
    var login: String
    var knownHosts: String

    var text: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
        }
    }
}
