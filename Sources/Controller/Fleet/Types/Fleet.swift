import BasculeModel

/// Everything that one fleet file describes, checked: every reference in it leads somewhere.
package struct Fleet: Sendable, Equatable {
    /// `fleet:`, which also names the store.
    package var name = ""
    package var nodes: [NodeName: NodeSpec] = [:]
    package var topologies: [TopologyName: Topology] = [:]
    /// `topology:`; where only one topology is declared, that one.
    package var activeTopology: TopologyName = ""
    package var services = Services()
    package var apps: [AppName: App] = [:]
    /// What the catalogue does not cover, in the file's order.
    package var resources: [CustomResource] = []
    package var migration: Migration?
    package var costs: Costs?
    package var caps = Caps()
    /// The absolute folder of the fleet file; local paths in the file are relative to it.
    package var folder = ""
    package init() {}

    /// The placement in force.
    package var active: Topology { topologies[activeTopology] ?? Topology() }

    /// Every declared node, whether the active topology uses it or not, sorted by name.
    package var nodeNames: [NodeName] { nodes.keys.sorted() }
}

/// A placement of roles on nodes.
package struct Topology: Sendable, Equatable {
    package var placements: [NodeName: [Role]] = [:]
    package init(_ placements: [NodeName: [Role]] = [:]) { self.placements = placements }

    /// The nodes that carry a role, sorted by name.
    package func nodes(with role: Role) -> [NodeName] {
        placements.filter { $0.value.contains(role) }.keys.sorted()
    }

    /// The roles of a node, in the file's order.
    package func roles(of node: NodeName) -> [Role] { placements[node] ?? [] }
}

/// What a plan may do at most before it is refused.
package struct Caps: Sendable, Equatable {
    /// Resources that one plan may delete. Default 10.
    package var deletions = 10
    /// How long a change of sshd, firewall or network may stand before a fresh login has confirmed it; then the node
    /// puts back what was there. Default 60 s.
    package var unconfirmed: Duration = .seconds(60)
    /// Percent of a node's memory that the services' shares may add up to. Default 100.
    package var memory = 100
    package init() {}
}

extension Fleet: Declared {
    static var about: String { "A fleet: nodes, what runs on them, and how to get there" }
    static var fields: [Field<Fleet>] {
        [
            .key("fleet", \.name, .name(.fleet), required: true, "The fleet's name"),
            .key("nodes", \.nodes, .map(.node, { NodeName($0) }, .node), required: true, "The machines, by name"),
            .key(
                "topologies", \.topologies, .map(.topology, { TopologyName($0) }, .topology),
                "Placements of roles on nodes, by name; every node without a role if absent"),
            .key(
                "topology", \.activeTopology, .name(.topology),
                "The one in force; may be absent where there is only one"),
            .key("services", \.services, .object, "What the roles run"),
            .key("apps", \.apps, .map(.app, { AppName($0) }, .object), "The apps, by name"),
            .key("resources", \.resources, .list(.customResource), "What the catalogue does not cover"),
            .key("migration", \.migration, .object, "The way from the old world to this fleet"),
            .key("costs", \.costs, .object, "What it costs, for bascule cost and the report"),
            .key("caps", \.caps, .object, "What a plan may do at most"),
        ]
    }
}

extension Codec where Value == Topology {
    static var topology: Codec {
        Codec<[NodeName: [Role]]>.map(.node, { NodeName($0) }, .list(.choice())).map { Topology($0) }
    }
}

extension Caps: Declared {
    static var about: String { "What a plan may do at most before it is refused" }
    static var fields: [Field<Caps>] {
        [
            .key("deletions", \.deletions, .integer(0...10_000), "Resources that one plan may delete"),
            .key(
                "unconfirmed", \.unconfirmed, .duration,
                "How long a change of sshd, firewall or network may stand before a fresh login confirms it; then the node puts back what was there"
            ),
            .key(
                "memory", \.memory, .integer(50...400, "a percentage without the sign"),
                "Percent of a node's memory that the services' shares may add up to"),
        ]
    }
}
