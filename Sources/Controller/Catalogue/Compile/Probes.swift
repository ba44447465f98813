import BasculeModel

extension Compilation {
    /// Has every apply prove that a service serves, and every drift and status say so where it does not.
    /// - Parameters:
    ///   - service: its name among the probes of the node, e.g. `redis.cache`.
    ///   - unit: what runs it; the probe waits for it, and its journal says why it does not serve.
    ///   - after: what else must be as desired first.
    ///   - timeout: seconds that an apply waits for it.
    mutating func probe(
        _ service: String, on node: NodeName, _ check: ProbeSpec.Check, unit: String?, after: [ResourceID] = [],
        timeout: Int = 30, origin: String
    ) throws {
        let units = unit.map { [ResourceID(node: node, kind: ResourceKind.unit.rawValue, name: $0)] } ?? []
        try add(
            .probe(ProbeSpec(service, check, timeout: timeout, unit: unit)), on: node, requires: units + after,
            origin: origin)
    }
}
