import BasculeFleet
import BasculeModel
import Foundation

/// What two nodes need of each other: an address to listen on and an opening in the firewall.
extension Compilation {
    /// A node that comes to a service from elsewhere.
    struct Peer {
        var node: NodeName
        var address: String
        /// The address as a network of one.
        var network: String { address.contains(":") ? "\(address)/128" : "\(address)/32" }
    }

    /// The data services' files, once every binding is known.
    mutating func finishDataServices() throws {
        try finishPostgreSQL()
        try finishPgBouncer()
        try finishRedis()
    }

    /// Who comes to a port from other nodes, sorted by name.
    func peers(_ visit: Visit) throws -> [Peer] {
        try (visitors[visit] ?? []).sorted().map { Peer(node: $0, address: try numeric($0)) }
    }

    /// The node's own address where peers come to it; none where nobody does.
    func listenAddresses(on node: NodeName, peers: [Peer]) throws -> [String] {
        peers.isEmpty ? [] : [try numeric(node)]
    }

    mutating func open(_ port: Int, to peers: [Peer], on node: NodeName, purpose: String) {
        guard !peers.isEmpty else { return }
        let rule = FirewallSpec.Rule(.tcp, port, from: peers.map(\.network), purpose: purpose)
        openings[node, default: []].append(Opening(rule: rule, origin: "service \(purpose)"))
    }

    /// A node's address as a number: a firewall and a listening socket know no names.
    func numeric(_ node: NodeName) throws -> String {
        let address = try address(node, neededBy: "nodes.\(node).address")
        let isIPv6 = address.contains(":")
        let allowed = CharacterSet(charactersIn: isIPv6 ? "0123456789abcdefABCDEF:." : "0123456789.")
        guard address.unicodeScalars.allSatisfy({ allowed.contains($0) }), !address.isEmpty else {
            throw BasculeError(
                .catalogueNoAddress, "node \(node) has the name \(address), and another node needs its number",
                at: place("nodes.\(node).address"), hint: "write its IPv4 or IPv6 address")
        }
        return address
    }
}
