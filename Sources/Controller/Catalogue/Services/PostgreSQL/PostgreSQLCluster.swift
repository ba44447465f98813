import BasculeFleet
import BasculeModel

extension Catalogue {
    /// Refuses a PostgreSQL of another major version than that of the data which the node holds: the server would start
    /// with a new, empty cluster beside it, and every app with an empty database.
    /// - Parameter facts: of the node as it is now.
    /// - Throws: `catalogue-cluster` at the declared version.
    package static func checkCluster(_ node: NodeName, _ facts: NodeFacts, _ context: CompileContext) throws {
        var context = context
        context.releases[node] = DebianRelease(rawValue: facts.codename) ?? context.releases[node]
        let compilation = Compilation(context)
        guard let service = context.fleet.services.postgresql, compilation.single(.database) == node else { return }
        let version = compilation.postgresVersion(service, on: node)
        // Debian's name for the cluster that Bascule declares. Others are somebody's own.
        let clusters = (facts.postgresClusters ?? []).filter { $0.name == "main" && $0.holdsData }
        guard !clusters.contains(where: { $0.version == version }),
            let old = clusters.max(by: { $0.version < $1.version })
        else { return }
        let path = "services.postgresql"
        throw BasculeError(
            .catalogueCluster,
            "\(node) holds the data of PostgreSQL \(old.version), and version \(version) would begin empty beside it",
            at: context.positions["\(path).version"] ?? compilation.place(path), cause: "data in \(old.folder)",
            hint: """
                write version: \(old.version) to stay; to go to \(version), have the node upgrade its cluster by hand first: \
                docs/services/postgresql.md, "Another version", says how
                """)
    }
}
