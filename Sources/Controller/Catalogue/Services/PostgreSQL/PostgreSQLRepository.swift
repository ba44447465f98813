import BasculeFleet
import BasculeModel
import Foundation

/// Which PostgreSQL a node gets, and where from.
extension Compilation {
    /// The declared major version; without it the release's own.
    func postgresVersion(_ service: PostgreSQL, on node: NodeName) -> Int {
        service.version ?? release(node).postgresql
    }

    /// Whether the server comes from elsewhere than the node's release.
    func isForeign(_ service: PostgreSQL, on node: NodeName) -> Bool {
        service.repository != nil || postgresVersion(service, on: node) != release(node).postgresql
    }

    /// PostgreSQL's own apt repository, or a declared one, where the release has another version.
    mutating func placePostgresRepository(_ service: PostgreSQL, on node: NodeName) throws {
        guard isForeign(service, on: node) else { return }
        let source = service.repository ?? PostgreSQL.Repository()
        let suite = source.suite ?? "\(release(node).rawValue)-pgdg"
        let spec = AptRepositorySpec(
            "postgresql", uris: [source.uri], suites: [suite], components: suite.hasSuffix("/") ? [] : ["main"],
            key: try repositoryKey(source))
        try add(.aptRepository(spec), on: node, origin: Self.postgresOrigin)
    }

    /// The declared key; without it that of apt.postgresql.org (B97B 0AFC AA1A 47F0 44F2 44A0 7FCC 7D46 ACCC 4CF8, the
    /// file that Debian ships in postgresql-common), which no other repository may be trusted by.
    private func repositoryKey(_ source: PostgreSQL.Repository) throws -> Content {
        let path = "services.postgresql.repository"
        guard let key = source.key else {
            guard source.uri == PostgreSQL.Repository().uri else {
                throw BasculeError(
                    .invalidInput, "the repository \(source.uri) has no key, and its packages would be trusted blindly",
                    at: place(path), hint: "write key: FILE, the armoured OpenPGP key that signs it")
            }
            return try render("postgresql-apt.asc", [:])
        }
        return try armouredKey(key, at: place("\(path).key"))
    }
}
