import BasculeModel

/// Gathers what could lock the administrator out into one step a node: it comes into force together, and one fresh
/// login proves all of it.
struct RiskGroups {
    /// The step of each such resource that changes.
    private(set) var steps: [ResourceID: StepID] = [:]
    /// Their resources, each after those that it needs.
    private(set) var members: [StepID: [DesiredResource]] = [:]

    /// - Parameter needs: for each resource that changes, those that must change before it. Without a circle.
    init(node: NodeName, desired: [DesiredResource], needs: [ResourceID: Set<ResourceID>]) {
        let risky = Set(desired.filter { needs[$0.id] != nil && $0.resource.loginRisk != nil }.map(\.id))
        guard !risky.isEmpty else { return }
        // Something harmless between two of them parts them: the second waits for it, and it for the first.
        var depths: [ResourceID: Int] = [:]
        func depth(_ id: ResourceID) -> Int {
            if let known = depths[id] { return known }
            let own = (needs[id] ?? []).map { need in
                depth(need) + (risky.contains(need) && !risky.contains(id) ? 1 : 0)
            }
            depths[id] = own.max() ?? 0
            return depths[id] ?? 0
        }
        let byDepth = Dictionary(grouping: desired.filter { risky.contains($0.id) }) { depth($0.id) }
        for (depth, group) in byDepth.sorted(by: { $0.key < $1.key }) {
            let name = group.count == 1 ? group[0].id.rawValue : "\(node)/login\(depth == 0 ? "" : "-\(depth + 1)")"
            let id = StepID(name)
            members[id] = RiskGroups.sorted(group, needs)
            for resource in group { steps[resource.id] = id }
        }
    }

    private static func sorted(_ group: [DesiredResource], _ needs: [ResourceID: Set<ResourceID>]) -> [DesiredResource]
    {
        var rest = group
        var out: [DesiredResource] = []
        while !rest.isEmpty {
            let waiting = Set(rest.map(\.id))
            let next = rest.firstIndex { (needs[$0.id] ?? []).isDisjoint(with: waiting) } ?? 0
            out.append(rest.remove(at: next))
        }
        return out
    }
}
