import BasculeFleet
import BasculeModel
import Foundation

/// `services.backup`: what the nodes with the role `backup` hold goes to the declared targets.
extension Compilation {
    static var backupOrigin: String { "service backup" }
    /// Settings of the backups' programs; beside them what only they may read.
    static var backupFolder: String { "/etc/bascule-backup" }
    /// What the programs know: one folder a kind of backup, and what a restore works in.
    static var backupState: String { "/var/lib/bascule-backup" }
    /// `kind` is what `bascule snapshot` calls it; it answers `state` with one JSON object.
    static func backupProgram(_ kind: String) -> String { Catalogue.backupProgram(kind) }

    /// To be called when the data services stand.
    mutating func placeBackup() throws {
        guard let service = fleet.services.backup else { return }
        // One that Bascule makes is of letters and digits, and long enough that nobody guesses it: 256 bits and more.
        try note(service.key, service.encryptionKey == nil ? .generated(length: 48) : .given)
        for node in topology.nodes(with: .backup) {
            for (path, mode) in [(Self.backupFolder, 0o755), (Self.backupState, 0o755)] {
                try add(
                    .directory(DirectorySpec(path, permissions: Permissions(mode: mode))), on: node,
                    origin: Self.backupOrigin)
            }
        }
        try placePostgresBackup(service)
        try placeBorgBackup(service)
    }

    /// What must have succeeded at some time, for the alert that says that it never has.
    var expectedBackups: [(node: NodeName, kind: String, target: String)] {
        guard let service = fleet.services.backup else { return [] }
        var expected: [(node: NodeName, kind: String, target: String)] = []
        if let node = archivedNode {
            expected += postgresRepositories(service, on: node).flatMap {
                [(node, "postgresql", $0.name), (node, "postgresql-verified", $0.name)]
            }
            expected += postgresCopies(service, on: node).map { (node, "postgresql-copy", $0.name) }
        }
        guard let borg = service.borg else { return expected }
        for node in topology.nodes(with: .backup) {
            let targets = service.targets(of: borg.targets).filter {
                if case .node(let other) = $0.target { other.node != node } else { true }
            }
            expected += targets.map { (node, "borg", $0.name) }
            // Where a copy survives the node, somebody is to have restored it.
            if targets.contains(where: { if case .folder = $0.target { false } else { true } }) {
                expected.append((node, "drill", "all"))
            }
        }
        return expected
    }

    /// How old backups are, as text for node_exporter; where monitoring is declared.
    mutating func placeBackupReaders(_ watch: Monitored) throws {
        guard let node = archivedNode else { return }
        let program: [String: Variable] = ["program": .text(Self.backupProgram("postgresql"))]
        try placeReader(
            "backup-postgresql", user: "postgres", variables: program, every: max(watch.service.interval, .seconds(30)),
            on: node)
    }

    /// How a node that keeps the backups of others is reached: its address, in brackets where it is IPv6's, and the port.
    func reach(_ vault: NodeName) -> (host: String, port: Int) {
        let host = (try? address(vault, neededBy: "services.backup")) ?? "address-of.\(vault)"
        return (host.contains(":") ? "[\(host)]" : host, sshPort(vault))
    }

    /// Its line in a file of known hosts.
    func hostLine(_ vault: NodeName) -> String {
        let (host, port) = reach(vault)
        let key = context.hostKeys[vault]?.split(separator: " ").prefix(2).joined(separator: " ")
        return Self.hostLine(host, port, key: key ?? "not-known-yet")
    }

    /// - Parameter host: in brackets where it is an address of IPv6; the file wants them only with another port than 22.
    static func hostLine(_ host: String, _ port: Int, key: String) -> String {
        let bare = host.filter { $0 != "[" && $0 != "]" }
        return "\(port == 22 ? bare : "[\(bare)]:\(port)") \(key)\n"
    }

    /// A bundle of roots as it lies on the node; nil where the system's do.
    mutating func placeBackupRoots(_ bucket: BackupBucket.S3, _ name: String, on node: NodeName) throws -> String? {
        guard let text = try rootsText(bucket, name) else { return nil }
        let path = Self.rootsPath(name)
        try add(.file(FileSpec(path, Content(text))), on: node, origin: Self.backupOrigin)
        return path
    }

    static func rootsPath(_ name: String) -> String { "\(backupFolder)/\(name)-roots.pem" }

    /// The roots of an S3 of one's own; nil where the system's do.
    func rootsText(_ bucket: BackupBucket.S3, _ name: String) throws -> String? {
        guard let bundle = bucket.caBundle else { return nil }
        guard let data = FileManager.default.contents(atPath: "\(fleet.folder)/\(bundle)"), data.count <= 1 << 20,
            let text = String(data: data, encoding: .utf8), text.contains("-----BEGIN CERTIFICATE-----")
        else {
            throw BasculeError(
                .invalidInput, "\(bundle) holds no certificates in PEM form",
                at: place("services.backup.targets.\(name).s3.caBundle"))
        }
        return text
    }
}

extension Catalogue {
    /// The program on a node that makes a kind of backup.
    package static func backupProgram(_ kind: String) -> String { "/usr/local/lib/bascule/backup-\(kind)" }
}
