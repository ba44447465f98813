import BasculeFleet
import BasculeModel

/// All that a compilation may know. It reads templates and uploads below `fleet.folder`, and nothing else.
package struct CompileContext: Sendable {
    package var fleet: Fleet
    /// The address by which nodes reach each other; nodes that do not exist yet are absent.
    package var addresses: [NodeName: String]
    /// Memory of each node in bytes. Default 2 GiB, the smallest server that the templates are written for.
    package var memory: [NodeName: Int]
    /// Processors of each node. Default 2.
    package var cpus: [NodeName: Int]
    /// Debian release of each node. Default bookworm.
    package var releases: [NodeName: DebianRelease]
    /// Each app's source as a tar archive that the controller made.
    package var archives: [AppName: SourceArchive]
    /// Where keys stand in the fleet file, by dotted path (`ParsedFleet.positions`).
    package var positions: [String: Place]
    /// Pinned host keys by node, as `type base64`; nodes that were never reached are absent.
    package var hostKeys: [NodeName: String] = [:]
    /// The declared migration's watch has ended well: what could not be taken back may begin (HSTS).
    package var watchEnded = false
    /// SHA-256: handed in, because the catalogue links no cryptography of its own.
    package var digest: @Sendable ([UInt8]) -> Digest

    package init(
        fleet: Fleet, addresses: [NodeName: String] = [:], memory: [NodeName: Int] = [:], cpus: [NodeName: Int] = [:],
        releases: [NodeName: DebianRelease] = [:], archives: [AppName: SourceArchive] = [:],
        positions: [String: Place] = [:], digest: @escaping @Sendable ([UInt8]) -> Digest
    ) {
        (self.fleet, self.addresses, self.memory, self.cpus) = (fleet, addresses, memory, cpus)
        (self.releases, self.archives, self.positions, self.digest) = (releases, archives, positions, digest)
    }
}

/// A tar archive by its content's SHA-256; `size` in bytes.
package struct SourceArchive: Sendable, Hashable {
    package var digest: Digest
    package var size: Int
    package init(digest: Digest, size: Int) { (self.digest, self.size) = (digest, size) }
}

/// The releases that resources are compiled for. All differences between them stand here.
package enum DebianRelease: String, Sendable, Hashable, CaseIterable {
    case bookworm, trixie

    /// The only PostgreSQL that the release's own packages have; others come from PostgreSQL's repository.
    package var postgresql: Int { self == .bookworm ? 15 : 17 }
    /// From 1.25.1 on (trixie has 1.26), nginx warns about `listen … http2` and wants `http2 on`.
    var nginxHasHTTP2Directive: Bool { self == .trixie }
    /// The curves that Mozilla names, and, from OpenSSL 3.5 on, the one that a quantum computer does not break (with `?`,
    /// so that an older OpenSSL passes over it).
    var curves: String {
        self == .bookworm ? "X25519:prime256v1:secp384r1" : "?X25519MLKEM768:X25519:prime256v1:secp384r1"
    }
    /// PgBouncer keeps prepared statements in transaction mode from 1.21 on (bookworm 1.18, trixie 1.24).
    var pgbouncerHasPreparedStatements: Bool { self == .trixie }
    /// Up to Postfix 3.9.1-6 an instance of a template ran the server, and postfix.service was an empty shell.
    var postfixUnit: String { self == .bookworm ? "postfix@-.service" : "postfix.service" }
    /// The package's PgBouncer exporter knows the console of its PgBouncer: bookworm's 1.7 ends at the column names that
    /// PgBouncer 1.18 has (trixie 0.10).
    var pgbouncerExporterWorks: Bool { self == .trixie }
    /// What sshd negotiates keys by: with protection against quantum computers first, then what libssh2 1.10 can do.
    var sshKeyExchanges: [String] {
        (self == .trixie ? ["mlkem768x25519-sha256"] : [])
            + ["sntrup761x25519-sha512@openssh.com", "curve25519-sha256", "curve25519-sha256@libssh.org"]
    }
    /// shadow wrote failed logins down until 4.14 (bookworm has 4.13).
    var loginHasFaillog: Bool { self == .bookworm }
    /// The major version of the release's own Node.js.
    var nodejs: Int { self == .bookworm ? 18 : 20 }
    /// SIGTERM lets PgBouncer's clients go by themselves from 1.23 on, so that an old process may end beside a new one.
    var pgbouncerDrains: Bool { self == .trixie }
    /// Docker's command came apart from its daemon in trixie.
    var docker: [String] { ["docker.io", "docker-compose"] + (self == .trixie ? ["docker-cli"] : []) }
    /// pgvector is packaged from trixie on.
    var hasPgVector: Bool { self == .trixie }
}
