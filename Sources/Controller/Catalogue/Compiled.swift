import BasculeFleet
import BasculeModel

/// What a fleet file means: resources a node, and what the migration and the controller need to know about them.
package struct Compiled: Sendable {
    /// Sorted by id on each node. Every node that gets anything is a key.
    package var resources: [NodeName: [DesiredResource]] = [:]
    /// Every secret that some resource or migration step needs.
    package var secrets: [SecretName: SecretPurpose] = [:]
    /// Local files to upload before resources that hold them as blobs, by their SHA-256; absolute paths.
    package var uploads: [Digest: String] = [:]
    /// Sorted by app, then node.
    package var sites: [Site] = []
    package var databases: [DatabaseName: DatabaseEndpoint] = [:]
    package var redis: [RedisPurpose: RedisEndpoint] = [:]
    package var mail: MailEndpoint?
    /// What each service may use of its node's memory, in the order in which they were placed.
    package var memory: [MemoryShare] = []
    /// The same as one budget a node, with what the machine itself takes; sorted by node.
    package var budgets: [MemoryBudget] = []
    /// Acceptable, but the operator should know.
    package var warnings: [BasculeError] = []
    /// Names are proved over HTTP while they still point to the old system.
    package var challengesComeByTheOldEdge = false
    package init() {}
}

/// Where a secret's value comes from.
package enum SecretPurpose: Sendable, Hashable {
    /// The user sets it with `bascule secret set`.
    case given
    /// Bascule makes it once, of `[A-Za-z0-9]`, so that it needs no escaping in any file; `length` characters.
    case generated(length: Int)
    /// Bascule makes an RSA key once: PKCS #8 in PEM.
    case generatedRSA(bits: Int)
    /// Bascule makes an SSH key once: Ed25519, as OpenSSH keeps private keys.
    case generatedSSH
    /// The public line of such a key.
    case publicSSH(of: SecretName)
}

/// An app's domains as one web node serves them.
package struct Site: Sendable, Hashable {
    package var app: AppName
    package var domains: [String]
    package var node: NodeName
    /// Serves the app, for the Host header of each domain, also while customers see the maintenance page.
    package var innerURL: String
    /// JSON, one object a line.
    package var accessLog: String
    /// Where customers log in; nil where the app does not say.
    package var loginPath: String?
    /// While such a file exists its domain is closed, from the next request on; in the order of `domains`.
    package var maintenanceFlags: [String]
}

/// A declared database, as its own node reaches it.
package struct DatabaseEndpoint: Sendable, Hashable {
    package var node: NodeName
    /// The role that owns it.
    package var owner: String
    /// The server's own port, past PgBouncer.
    package var port: Int
    /// nil where the owner is the superuser, who has none.
    package var password: SecretName?
}

/// A declared Redis instance, as its own node reaches it.
package struct RedisEndpoint: Sendable, Hashable {
    package var node: NodeName
    package var host: String
    package var port: Int
    /// The apps' login: data only.
    package var user: String
    package var password: SecretName
    /// Bascule's own login: everything.
    package var admin: String
    package var adminPassword: SecretName
}

/// The mail server, as its own node reaches it.
package struct MailEndpoint: Sendable, Hashable {
    package var node: NodeName
    package var host: String
    package var port: Int
    /// The private key that signs: RSA in PEM.
    package var key: SecretName
}

/// What a service may use of its node's memory at its declared settings.
package struct MemoryShare: Sendable, Hashable, Encodable {
    package var service: String
    package var node: NodeName
    package var bytes: Int
    /// The formula with its numbers, for people: `shared_buffers 512 MiB + 40 connections × 10 MiB`.
    package var why: String
    package init(service: String, node: NodeName, bytes: Int, why: String) {
        (self.service, self.node, self.bytes, self.why) = (service, node, bytes, why)
    }
}
