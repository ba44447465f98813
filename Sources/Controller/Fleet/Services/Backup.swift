import BasculeModel

/// `services.backup`: what is kept of a node's data, how often, where and for how long. Every node with the role `backup`
/// has what it holds backed up: PostgreSQL by its WAL and base backups, files by Borg.
package struct Backup: Sendable, Equatable {
    /// The secret that encrypts every backup; without it `generated.backup.key`, which Bascule makes. It stands in the
    /// recovery kit: without it no backup can be read.
    package var encryptionKey: SecretName?
    /// Where backups go, by a name of one's own.
    package var targets: [String: BackupTarget] = [:]
    package var postgresql = DatabaseBackups()
    /// Files; nil where only databases are backed up.
    package var borg: FileBackups?
    package init() {}

    /// The key's name in the vault.
    package var key: SecretName { encryptionKey ?? "generated.backup.key" }
    /// The targets of a kind of backup by name: those that it lists, in that order, or all of them.
    package func targets(of chosen: [String]) -> [(name: String, target: BackupTarget)] {
        let names = chosen.isEmpty ? targets.keys.sorted { rank($0) < rank($1) } : chosen
        return names.compactMap { name in targets[name].map { (name, $0) } }
    }

    /// The nearest first: what is restored from unless told otherwise.
    private func rank(_ name: String) -> (Int, String) {
        switch targets[name] {
        case .folder: (0, name)
        case .node: (1, name)
        default: (2, name)
        }
    }
}

/// A place for backups.
package enum BackupTarget: Sendable, Equatable {
    case folder(BackupFolder)
    case node(BackupNode)
    case s3(BackupBucket)
}

/// A folder of the node that is backed up: the quickest to restore from, and gone with the node.
package struct BackupFolder: Sendable, Equatable {
    package var path = ""
    package init() {}
}

/// A folder of another node of the fleet, over SSH.
package struct BackupNode: Sendable, Equatable {
    package var node: NodeName = ""
    /// Default /srv/bascule-backup.
    package var path = "/srv/bascule-backup"
    package init() {}
}

/// A bucket of any S3, over verified TLS.
package struct BackupBucket: Sendable, Equatable {
    package var s3 = S3()
    package init() {}

    package struct S3: Sendable, Equatable {
        /// `HOST` or `HOST:PORT`.
        package var endpoint = ""
        package var bucket = ""
        package var region = ""
        /// The node's own key: it needs to list, read and write, and should not be able to delete.
        package var accessKey: SecretName = ""
        package var secretKey: SecretName = ""
        /// Where in the bucket; default the fleet's name.
        package var prefix: String?
        /// Default STANDARD. What Borg's archives are stored as; PostgreSQL's stay in the bucket's own class.
        package var storageClass = "STANDARD"
        /// How long the bucket's object lock keeps every version; nil where it has none.
        package var objectLock: Duration?
        /// Whether the bucket stands in the path instead of the host name.
        package var pathStyle = false
        /// A PEM file of the fleet's folder with the roots of an S3 of one's own; the system's if absent.
        package var caBundle: String?
        /// The key that may delete. It stays on the workstation: nodes never see it.
        package var prune: Credentials?
        package init() {}
    }

    package struct Credentials: Sendable, Equatable {
        package var accessKey: SecretName = ""
        package var secretKey: SecretName = ""
        package init() {}
    }
}

/// `services.backup.postgresql`: continuous archiving of WAL and base backups, by pgBackRest.
package struct DatabaseBackups: Sendable, Equatable {
    package enum Verify: String, Sendable, Hashable, CaseIterable { case daily, weekly }

    /// Names of targets; empty is all of them.
    package var targets: [String] = []
    /// When the daily base backup is made, by the node's clock. Default 02:30.
    package var base = "02:30"
    /// Default 7 days: between two full base backups those of the other days hold what changed since the full one.
    package var full: Duration = .seconds(7 * 86_400)
    /// Default 30 days: any moment of them can be restored.
    package var keep: Duration = .seconds(30 * 86_400)
    /// Default 60 s: a segment that somebody wrote to is archived after this time even if it is not full.
    package var archiveTimeout: Duration = .seconds(60)
    /// Default 5 min: an alert fires where a segment waits for longer.
    package var rpo: Duration = .seconds(300)
    /// Default daily: after the base backup, every file of the targets is read again and compared with its checksum.
    package var verify = Verify.daily
    /// Default 2.
    package var processes = 2
    package init() {}
}

extension Backup: Declared {
    static var about: String { "Backups that can be restored, of every node with the role backup" }
    static var fields: [Field<Backup>] {
        [
            .key(
                "encryptionKey", \.encryptionKey, .secret,
                "What every backup is encrypted with, before it leaves the node; made and kept if absent"),
            .key(
                "targets", \.targets, .map(.backupTarget, { $0 }, .backupTarget), required: true,
                "Where backups go, by names of your own"),
            .key("postgresql", \.postgresql, .object, "WAL and base backups of PostgreSQL"),
            .key("borg", \.borg, .object, "Archives of files; without it only databases are backed up"),
        ]
    }
}

extension BackupFolder: Declared {
    static var about: String { "A folder of the node itself" }
    static var fields: [Field<BackupFolder>] {
        [.key("path", \.path, .plainPath, required: true, "The folder; best on a disk of its own")]
    }
}

extension BackupNode: Declared {
    static var about: String { "Another node of the fleet, over SSH" }
    static var fields: [Field<BackupNode>] {
        [
            .key("node", \.node, .name(.node), required: true, "The node that keeps them"),
            .key("path", \.path, .plainPath, "The folder there"),
        ]
    }
}

extension BackupBucket: Declared {
    static var about: String { "A bucket of any S3" }
    static var fields: [Field<BackupBucket>] {
        [.key("s3", \.s3, .object, required: true, "The bucket")]
    }
}

extension BackupBucket.S3: Declared {
    static var about: String { "A bucket of any S3, over TLS" }
    static var fields: [Field<BackupBucket.S3>] {
        [
            .key(
                "endpoint", \.endpoint, .bucketEndpoint, required: true,
                "The S3's host, and its port where it is not 443"),
            .key("bucket", \.bucket, .name(.bucket), required: true, "The bucket, which exists"),
            .key("region", \.region, .name(.bucketRegion), required: true, "Its region"),
            .key(
                "accessKey", \.accessKey, .secret, required: true, "The node's key: may list, read, write; not delete"),
            .key("secretKey", \.secretKey, .secret, required: true, "Its secret"),
            .key("prefix", \.prefix, .name(.bucketPrefix), "Where in the bucket; the fleet's name if absent"),
            .key(
                "storageClass", \.storageClass, .name(.storageClass),
                "What archives of files are stored as; databases stay in the bucket's own class"),
            .key("objectLock", \.objectLock, .duration, "How long the bucket's object lock keeps every version"),
            .key("pathStyle", \.pathStyle, .flag, "The bucket stands in the path, not in the host's name"),
            .key("caBundle", \.caBundle, .fleetPath, "Roots of the S3's certificate, in PEM; the system's if absent"),
            .key("prune", \.prune, .object, "The key that may delete; it stays on the workstation"),
        ]
    }
}

extension BackupBucket.Credentials: Declared {
    static var about: String { "A key that may delete old backups" }
    static var fields: [Field<BackupBucket.Credentials>] {
        [
            .key("accessKey", \.accessKey, .secret, required: true, "The key"),
            .key("secretKey", \.secretKey, .secret, required: true, "Its secret"),
        ]
    }
}

extension DatabaseBackups: Declared {
    static var about: String { "PostgreSQL's backups: every write within minutes, any moment of the days kept" }
    static var fields: [Field<DatabaseBackups>] {
        [
            .key(
                "targets", \.targets, .list(.name(.backupTarget)),
                "Which targets, the first to restore from first; all if absent"),
            .key("base", \.base, .clock, "When the daily base backup is made"),
            .key("full", \.full, .duration, "Time between full base backups; the others hold what changed since"),
            .key("keep", \.keep, .duration, "How far back any moment can be restored"),
            .key(
                "archiveTimeout", \.archiveTimeout, .duration,
                "After this time a begun segment of WAL is archived though it is not full"),
            .key("rpo", \.rpo, .duration, "An alert fires where writes wait for longer to be archived"),
            .key("verify", \.verify, .choice(), "How often every file of the targets is read and compared"),
            .key("processes", \.processes, .integer(1...64), "How many processes compress and copy"),
        ]
    }
}

extension TextRule {
    static let backupTarget = TextRule(what: "a target's name", first: "a-z", rest: "a-z0-9-", limit: 30)
    static let bucket = TextRule(what: "a bucket's name", first: "a-z0-9", rest: "a-z0-9.-", limit: 63)
    static let bucketRegion = TextRule(what: "a region", first: "A-Za-z0-9", rest: "A-Za-z0-9-", limit: 40)
    static let bucketPrefix = TextRule(what: "a prefix", first: "A-Za-z0-9", rest: "A-Za-z0-9._/-", limit: 200)
    static let storageClass = TextRule(what: "a storage class", first: "A-Z", rest: "A-Z0-9_", limit: 40)
}

extension Codec where Value == BackupTarget {
    static var backupTarget: Codec {
        .variant(
            "a mapping with 'path', 'node' or 's3'",
            [
                Variant("path", BackupFolder.self) { .folder($0) },
                Variant("node", BackupNode.self) { .node($0) },
                Variant("s3", BackupBucket.self) { .s3($0) },
            ])
    }
}

extension Codec where Value == String {
    /// A time of day.
    static var clock: Codec {
        .scalar(
            "a time such as 02:30", pattern: "^[0-2][0-9]:[0-5][0-9]$", show: { .text($0) },
            parse: { text in
                let parts = text.split(separator: ":", omittingEmptySubsequences: false)
                guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 }), let hour = Int(parts[0]),
                    let minute = Int(parts[1]), (0...23).contains(hour), (0...59).contains(minute)
                else { return nil }
                return text
            })
    }

    /// `HOST` or `HOST:PORT`, without a scheme: it is always TLS.
    static var bucketEndpoint: Codec {
        .scalar(
            "a host such as s3.fr-par.scw.cloud, or HOST:PORT",
            hint: "without https:// (it is always TLS) and without the bucket",
            parse: { text in
                let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
                guard parts.count <= 2, HostText.isHost(parts[0]) else { return nil }
                guard parts.count == 2 else { return text }
                return UInt16(parts[1]).map { $0 > 0 ? text : nil } ?? nil
            })
    }
}
