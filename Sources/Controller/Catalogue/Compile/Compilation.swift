import BasculeFleet
import BasculeModel

/// A compilation in progress.
struct Compilation {
    let context: CompileContext
    var nodes: [NodeName: NodeResources] = [:]
    var output = Compiled()
    /// Which nodes reach a service from elsewhere; fed by bindings, read when the services' files are written.
    var visitors: [Visit: Set<NodeName>] = [:]
    /// What may come in, and who said so; one firewall a node is made of them at the end.
    var openings: [NodeName: [Opening]] = [:]
    /// What PostgreSQL's unit must not start before.
    var postgresNeeds: Set<ResourceID> = []

    /// An opening in a node's firewall.
    struct Opening {
        var rule: FirewallSpec.Rule
        var origin: String
    }

    /// A port that another node comes to.
    enum Visit: Hashable {
        case postgresql, pgbouncer, mail
        case redis(RedisPurpose)
    }

    init(_ context: CompileContext) { self.context = context }

    var fleet: Fleet { context.fleet }
    var topology: Topology { fleet.active }

    func release(_ node: NodeName) -> DebianRelease { context.releases[node] ?? .bookworm }
    /// Bytes: what the fleet file says, else what the node says, else 2 GiB.
    func memory(_ node: NodeName) -> Int {
        fleet.nodes[node]?.memory.map { Int(clamping: $0.bytes) } ?? context.memory[node] ?? 2 << 30
    }
    func cpus(_ node: NodeName) -> Int { max(1, context.cpus[node] ?? 2) }

    /// Where a key stands in the fleet file, or its path.
    func place(_ path: String) -> Place { context.positions[path] ?? .thing(path) }

    /// The node of a role that this version runs once.
    func single(_ role: Role) -> NodeName? { topology.nodes(with: role).first }

    /// A node's address for its peers.
    func address(_ node: NodeName, neededBy path: String) throws -> String {
        if let known = context.addresses[node] { return known }
        if case .existing(let spec)? = fleet.nodes[node] { return spec.address }
        throw BasculeError(
            .catalogueNoAddress, "the address of node \(node) is not known yet, and another node needs it",
            at: place(path), hint: "bring \(node) up first (bascule apply --through provision)")
    }

    mutating func add(
        _ resource: Resource, on node: NodeName, requires: [ResourceID] = [], origin: String
    ) throws {
        try nodes[node, default: NodeResources()]
            .add(DesiredResource(resource, on: node, requires: requires, origin: origin))
    }

    /// Notes what a service may use of a node's memory.
    /// - Parameter why: the formula with its numbers, for people.
    mutating func reserve(_ bytes: Int, for service: String, on node: NodeName, why: String) {
        output.memory.append(MemoryShare(service: service, node: node, bytes: bytes, why: why))
    }

    mutating func packages(_ names: [String], on node: NodeName, origin: String) throws {
        for name in names { try add(.package(PackageSpec(name)), on: node, origin: origin) }
    }

    /// What this version places once is placed once.
    func checkPlacement() throws {
        let once: [(Role, Bool, String)] = [
            (.database, fleet.services.postgresql != nil, "postgresql"),
            (.cache, fleet.services.redis != nil, "redis"), (.mail, fleet.services.mail != nil, "mail"),
        ]
        for (role, declared, service) in once where declared && topology.nodes(with: role).count > 1 {
            let names = topology.nodes(with: role).map(\.rawValue).joined(separator: ", ")
            throw BasculeError(
                .catalogueLater, "\(service) on several nodes (\(names)) comes with a later version",
                at: place("topologies.\(fleet.activeTopology)"), hint: "give the role \(role.rawValue) to one node")
        }
    }

    /// Notes a secret; one name cannot both be set by the user and be made.
    mutating func note(_ name: SecretName, _ purpose: SecretPurpose) throws {
        if let known = output.secrets[name], known != purpose {
            throw BasculeError(
                .catalogueConflict, "the secret \(name) is both set by you and generated", at: .thing(name.rawValue),
                hint: "use another name for one of !secret and !generate")
        }
        output.secrets[name] = purpose
    }

    consuming func finish() -> Compiled {
        output.resources = nodes.mapValues { $0.sorted }.filter { !$0.value.isEmpty }
        output.sites.sort { ($0.app, $0.node) < ($1.app, $1.node) }
        return output
    }
}
