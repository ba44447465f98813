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
    package init() {}
}

/// Monthly costs, for the report: what the old world costs and what the new one will.
package struct Costs: Sendable, Equatable {
    /// ISO 4217 code. Default EUR.
    package var currency = "EUR"
    /// Amount a month by name of the bill.
    package var before: [String: Double] = [:]
    package var after: [String: Double] = [:]
    package init() {}
}
