import BasculeFleet
import BasculeModel

/// The packet filter of every node that runs something.
extension Compilation {
    mutating func placeFirewalls() throws {
        let origin = "firewall"
        for (node, roles) in topology.placements where !roles.isEmpty {
            guard nodes[node] != nil else { continue }
            openings[node, default: []].append(
                Opening(rule: .init(.tcp, sshPort(node), purpose: "ssh"), origin: origin))
        }
        for (node, list) in openings {
            var rules: [FirewallSpec.Rule] = []
            for rule in list.map(\.rule) where !rules.contains(rule) { rules.append(rule) }
            rules.sort { ($0.port, $0.transport.rawValue, $0.purpose) < ($1.port, $1.transport.rawValue, $1.purpose) }
            let origins = Set(list.map(\.origin)).sorted().joined(separator: ", ")
            try packages(["nftables"], on: node, origin: origin)
            try add(.firewall(FirewallSpec(rules: rules)), on: node, origin: origins)
        }
    }

    func sshPort(_ node: NodeName) -> Int {
        if case .existing(let spec)? = fleet.nodes[node] { spec.port } else { 22 }
    }
}
