/// A Borg repository, and how a node gets at it.
package struct BorgRepository: Hashable, Codable, Sendable {
    /// An absolute path on the node, or `ssh://USER@HOST:PORT/PATH`.
    package var location: String
    package var passphrase: SecretName
    /// The private key of the login, where the repository is on another node.
    package var login: SecretName?
    /// The other node's host key: type and base64.
    package var hostKey: String?
    /// The account that owns the repository's files where it is not root.
    package var user: String?
    /// A copy in an object storage.
    package var bucket: BorgBucket?

    package init(
        location: String, passphrase: SecretName, login: SecretName? = nil, hostKey: String? = nil,
        user: String? = nil, bucket: BorgBucket? = nil
    ) {
        (self.location, self.passphrase, self.login) = (location, passphrase, login)
        (self.hostKey, self.user, self.bucket) = (hostKey, user, bucket)
    }
}

/// A folder of a bucket of any S3, over TLS.
package struct BorgBucket: Hashable, Codable, Sendable {
    /// `HOST` or `HOST:PORT`.
    package var endpoint: String
    package var region: String
    package var bucket: String
    /// Without slashes at its ends.
    package var prefix: String
    package var accessKey: SecretName
    package var secretKey: SecretName
    /// As S3 calls it: `STANDARD`, `GLACIER_IR`…
    package var storageClass: String
    /// Whether the bucket stands in the path instead of the host name.
    package var pathStyle: Bool
    /// The roots of the endpoint's certificate, in PEM; nil for the system's.
    package var authority: String?

    package init(
        endpoint: String, region: String, bucket: String, prefix: String, accessKey: SecretName,
        secretKey: SecretName, storageClass: String, pathStyle: Bool, authority: String?
    ) {
        (self.endpoint, self.region, self.bucket, self.prefix) = (endpoint, region, bucket, prefix)
        (self.accessKey, self.secretKey, self.storageClass) = (accessKey, secretKey, storageClass)
        (self.pathStyle, self.authority) = (pathStyle, authority)
    }
}

/// How many archives stay.
package struct BorgKeep: Hashable, Codable, Sendable {
    package var daily: Int
    package var weekly: Int
    package var monthly: Int
    package init(daily: Int, weekly: Int, monthly: Int) {
        (self.daily, self.weekly, self.monthly) = (daily, weekly, monthly)
    }
}

/// What to take out of an archive, and where to put it.
package struct BorgRestore: Hashable, Codable, Sendable {
    /// nil for the newest.
    package var archive: String?
    /// Absolute paths as they were on their node; empty for everything.
    package var paths: [String]
    /// The folder below which they appear, with their whole paths.
    package var into: String
    /// Also into a folder that holds something.
    package var overwrites: Bool
    /// Only says what it would be, and how long it would take.
    package var isEstimate: Bool

    package init(archive: String?, paths: [String], into: String, overwrites: Bool, isEstimate: Bool) {
        (self.archive, self.paths, self.into) = (archive, paths, into)
        (self.overwrites, self.isEstimate) = (overwrites, isEstimate)
    }
}

/// What an agent can be asked about a repository.
package enum BorgTask: Hashable, Codable, Sendable {
    /// What is in it.
    case archives(BorgRepository)
    /// On the repository's own side: sees that every archive on record is there, checks them with their data, and only
    /// then deletes what is beyond `keep` and gives the space back.
    case prune(BorgRepository, BorgKeep, record: [String])
    case restore(BorgRepository, BorgRestore)
    /// Damages a copy in `scratch` in every way that a drill has to notice. The repository itself stays as it is.
    case controls(BorgRepository, scratch: String)

    package var repository: BorgRepository {
        switch self {
        case .archives(let place), .prune(let place, _, _), .restore(let place, _), .controls(let place, _): place
        }
    }
}

/// An archive of a repository.
package struct BorgArchive: Hashable, Codable, Sendable {
    package var name: String
    /// Seconds since 1970, by the clock of the node that made it.
    package var time: Double
    package init(name: String, time: Double) { (self.name, self.time) = (name, time) }
}

/// A damage done on purpose, and whether it was noticed.
package struct BackupControl: Hashable, Codable, Sendable {
    /// `flipped byte`, `wrong key`…
    package var damage: String
    /// Whether restoring or checking failed, as it had to.
    package var wasNoticed: Bool
    /// What the tool said.
    package var said: String
    package init(damage: String, wasNoticed: Bool, said: String) {
        (self.damage, self.wasNoticed, self.said) = (damage, wasNoticed, said)
    }
}

/// What came of a task.
package struct BorgReport: Hashable, Codable, Sendable {
    /// Oldest first.
    package var archives: [BorgArchive] = []
    /// The archive that was restored.
    package var archive: String?
    /// Archives on record that the repository no longer has: nothing was deleted then.
    package var missing: [String] = []
    package var pruned: [String] = []
    package var files: Int64 = 0
    package var bytes: Int64 = 0
    /// What a restore would take.
    package var estimate: Double = 0
    package var controls: [BackupControl] = []
    package var seconds: Double = 0
    package init() {}
}
