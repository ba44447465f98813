import BasculeFleet
import BasculeModel

/// What all that is declared for a node may use of its memory at once.
package struct MemoryBudget: Sendable, Hashable, Encodable {
    /// How the node's memory is known.
    package enum Origin: String, Sendable, Hashable, Encodable {
        /// `nodes.NAME.memory` says it.
        case declared
        /// The node says it.
        case measured
        /// Nobody does yet: 2 GiB are taken for granted, and nothing is refused for it.
        case assumed
    }

    package var node: NodeName
    /// Bytes.
    package var memory: Int
    package var origin: Origin
    /// Percent of the memory that the shares may add up to.
    package var limit: Int
    /// Largest first.
    package var shares: [MemoryShare]

    package var sum: Int { shares.reduce(0) { $0 + $1.bytes } }
    /// Bytes that nobody may claim; negative where it does not fit.
    package var left: Int { memory / 100 * limit - sum }
    package var fits: Bool { left >= 0 }

    private enum Key: CodingKey { case node, memory, origin, limit, shares, sum, left, fits }

    package func encode(to encoder: any Encoder) throws {
        var box = encoder.container(keyedBy: Key.self)
        try box.encode(node.rawValue, forKey: .node)
        try box.encode(memory, forKey: .memory)
        try box.encode(origin, forKey: .origin)
        try box.encode(limit, forKey: .limit)
        try box.encode(shares, forKey: .shares)
        try box.encode(sum, forKey: .sum)
        try box.encode(left, forKey: .left)
        try box.encode(fits, forKey: .fits)
    }
}

extension Compilation {
    /// One budget for each node that serves something: the services' shares, and what the machine itself takes.
    mutating func placeBudgets() {
        let serving = topology.placements.keys.filter { !topology.roles(of: $0).isEmpty }
        output.budgets = Set(serving).union(output.memory.map(\.node)).sorted().map { node in
            let shares = output.memory.filter { $0.node == node } + machineShares(node)
            let origin: MemoryBudget.Origin =
                fleet.nodes[node]?.memory != nil ? .declared : context.memory[node] != nil ? .measured : .assumed
            return MemoryBudget(
                node: node, memory: memory(node), origin: origin, limit: fleet.caps.memory,
                shares: shares.sorted { ($0.bytes, $1.service) > ($1.bytes, $0.service) })
        }
    }

    /// What no service reserves. The system's own processes, kernel and agent are `services.system`'s share, which every
    /// node with a role has.
    private func machineShares(_ node: NodeName) -> [MemoryShare] {
        // Below that the kernel begins to drop the programs' own code, and everything waits for the disk.
        let cache = max(64 << 20, memory(node) / 10)
        return [
            MemoryShare(
                service: "page cache", node: node, bytes: cache, why: "a tenth of the memory, at least 64 MiB")
        ]
    }
}

extension Catalogue {
    /// Refuses a fleet that does not fit a node whose memory is known.
    /// - Throws: `catalogue-memory` at the node's placement, with what would fit.
    package static func checkMemory(_ compiled: Compiled, _ context: CompileContext) throws {
        guard let budget = compiled.budgets.first(where: { !$0.fits && $0.origin != .assumed }) else { return }
        let node = budget.node
        let path = "topologies.\(context.fleet.activeTopology).\(node)"
        let table = budget.shares.map { "\(Int64($0.bytes).bytesText)  \($0.service)" }.joined(separator: "\n")
        let largest = budget.shares.filter { !MemoryBudget.machine.contains($0.service) }.prefix(3)
            .map { "\($0.service) \(Int64($0.bytes).bytesText)" }.joined(separator: ", ")
        let server = fitting(node, context).map { "; \($0.title) with \($0.memoryGB) GB would fit" }
        throw BasculeError(
            .catalogueMemory,
            "what is declared for \(node) may use \(Int64(budget.sum).bytesText), and it has \(Int64(budget.memory).bytesText)",
            at: context.positions[path] ?? .thing(path), cause: table,
            hint: "lower the largest shares (\(largest)) by \(Int64(-budget.left).bytesText) in all"
                + "\(server ?? "; no server of the price list would fit"); bascule plan --explain memory shows the formulas"
        )
    }

    /// The cheapest server of the price list on which a node's declarations fit: they are compiled for each, since the
    /// services' shares grow with it.
    package static func fitting(_ node: NodeName, _ context: CompileContext) -> ServerPlan? {
        ServerPlans.all.sorted { ($0.price, $0.id) < ($1.price, $1.id) }.first { fits($0, node, context) == true }
    }

    /// Whether a node's declarations fit a server; nil where the fleet does not compile.
    package static func fits(_ plan: ServerPlan, _ node: NodeName, _ context: CompileContext) -> Bool? {
        var other = context
        other.fleet.nodes[node]?.memory = nil
        other.memory[node] = plan.usableMemory
        other.cpus[node] = plan.cpus
        return try? compile(other).budgets.first { $0.node == node }?.fits ?? true
    }
}

extension MemoryBudget {
    /// Shares that no declaration changes.
    static let machine: Set<String> = ["system", "page cache"]
}
