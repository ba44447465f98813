import BasculeFleet
import BasculeModel
import Foundation

/// What survives a node of its PostgreSQL, as a throwaway node reaches it.
package enum PostgresSurvivor: Sendable {
    /// Another node's copy; `hostKey` is its SSH key, type and base64.
    case node(PostgresBackupSettings.Copy, hostKey: String)
    case bucket(String, BackupBucket.S3)
}

extension Catalogue {
    /// What a throwaway node needs to bring a database back: settings, keys, login, program.
    /// - Parameter version: PostgreSQL's major version there.
    package static func postgresDrill(
        _ fleet: Fleet, version: Int, lost: NodeName, from survivor: PostgresSurvivor,
        digest: @escaping @Sendable ([UInt8]) -> Digest
    ) throws -> [Resource] {
        var compilation = Compilation(CompileContext(fleet: fleet, digest: digest))
        guard let service = fleet.services.backup, let postgres = fleet.services.postgresql else { return [] }
        let state = Compilation.postgresBackupState
        let repository = "\(state)/repository"
        let owned = Permissions(owner: "postgres", group: "postgres", mode: 0o750)
        let secret = Permissions(owner: "postgres", group: "postgres", mode: 0o600)
        let copy: PostgresBackupSettings.Copy
        var files: [FileSpec] = []
        switch survivor {
        case .node(let other, let hostKey):
            copy = other
            files = [
                FileSpec(
                    Compilation.copyLoginFile, .parts([.secret(Compilation.borgLogin(lost))]), permissions: secret),
                FileSpec(
                    Compilation.copyHostsFile,
                    Content(Compilation.hostLine(other.host, other.port, key: hostKey))),
            ]
        case .bucket(let name, let s3):
            var bucket = PostgresBackupSettings.Copy(
                name: name, place: "\(s3.endpoint)/\(s3.bucket)", host: "", port: 443, user: "")
            bucket.bucket = "bucket:\(s3.bucket)/\(s3.prefix ?? fleet.name)/postgresql"
            bucket.configuration = "\(Compilation.backupFolder)/postgresql-bucket.conf"
            bucket.roots = try compilation.rootsText(s3, name).map { text in
                let path = Compilation.rootsPath(name)
                files.append(FileSpec(path, Content(text)))
                return path
            }
            files.append(try compilation.rcloneFile(s3, bucket.configuration ?? "", secret))
            copy = bucket
        }
        let settings = PostgresBackupSettings(
            version: version, port: postgres.port, stanza: Compilation.postgresStanza,
            config: Compilation.pgbackrestConfig, state: state, unit: "bascule-backup-none", fullSeconds: 0,
            verifySeconds: 0,
            targets: [.init(name: copy.name, kind: "folder", place: repository, expires: false)],
            copies: [copy], copySeconds: 0, repository: repository, login: Compilation.copyLoginFile,
            knownHosts: Compilation.copyHostsFile)
        var folder = BackupFolder()
        folder.path = repository
        let config = try compilation.pgbackrestFile(
            service, version,
            [try compilation.pgbackrestRepository(service, 1, copy.name, .folder(folder), on: lost)], days: 9999)
        let folders = [Compilation.backupFolder, Compilation.backupState].map {
            Resource.directory(DirectorySpec($0, permissions: Permissions(mode: 0o755)))
        }
        let own = ["", "/lock", "/spool", "/restore", "/restores"].map {
            Resource.directory(DirectorySpec("\(state)\($0)", permissions: owned))
        }
        files += [
            FileSpec(
                Compilation.pgbackrestConfig, config,
                permissions: Permissions(owner: "root", group: "postgres", mode: 0o640)),
            FileSpec("\(Compilation.backupFolder)/postgresql.json", Content(try settings.text)),
            FileSpec(
                Compilation.backupProgram("postgresql"), try compilation.postgresProgram(),
                permissions: Permissions(mode: 0o755)),
        ]
        return ["pgbackrest", "rsync"].map { .package(PackageSpec($0)) } + folders + own + files.map { .file($0) }
    }

    /// A file with the keys that a prune needs, on the node where it works; the program there removes it.
    /// - Parameter path: of the folder that is read; nil for the bucket itself, with the key that may delete.
    package static func postgresPruning(
        _ fleet: Fleet, version: Int, target: (name: String, target: BackupTarget), path: String?,
        digest: @escaping @Sendable ([UInt8]) -> Digest
    ) throws -> FileSpec? {
        var compilation = Compilation(CompileContext(fleet: fleet, digest: digest))
        guard let service = fleet.services.backup, fleet.services.postgresql != nil else { return nil }
        var repository: BackupTarget
        var permissions = Permissions(mode: 0o600)
        if let path {
            var folder = BackupFolder()
            folder.path = path
            repository = .folder(folder)
        } else {
            guard case .s3(var bucket) = target.target, let prune = bucket.s3.prune else { return nil }
            (bucket.s3.accessKey, bucket.s3.secretKey) = (prune.accessKey, prune.secretKey)
            repository = .s3(bucket)
            permissions = Permissions(owner: "postgres", group: "postgres", mode: 0o600)
        }
        let values = try compilation.pgbackrestRepository(
            service, 1, target.name, repository, on: "prune", isBare: true)
        return FileSpec(
            Compilation.pruneFile,
            try compilation.pgbackrestFile(
                service, version, [values], days: Compilation.keptDays(service),
                state: path == nil ? nil : "/run/bascule-prune"),
            permissions: permissions)
    }

    /// Days that base backups are kept.
    package static func keptDays(_ service: Backup) -> Int { Compilation.keptDays(service) }
    /// The keys of a prune, in memory only.
    package static var pruneFile: String { Compilation.pruneFile }
    /// Where what is to stay is read before the rest goes.
    package static func pruneFolder(_ vault: BackupNode, of client: NodeName) -> String {
        "\(Compilation.copyFolder(vault))/.prune-\(client)"
    }
    /// The account that keeps other nodes' copies, and where.
    package static var copyUser: String { Compilation.copyUser }
    package static func copyFolder(_ vault: BackupNode) -> String { Compilation.copyFolder(vault) }
}

extension Compilation {
    static var pruneFile: String { "/run/bascule-prune.conf" }
}
