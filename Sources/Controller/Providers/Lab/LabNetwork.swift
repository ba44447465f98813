import BasculeModel
import Glibc

/// A lab's bridge, its address, and its own nftables table. Nothing else of the host's network is touched, except
/// that forwarding is switched on while there is a lab.
struct LabNetwork: Sendable {
    let tag: String
    let subnet: IPv4Network

    var bridge: String { LabNames.bridge(tag: tag) }
    var table: String { LabNames.table(tag: tag) }
    var gateway: String { subnet.address(1) }

    static func taken() async throws -> [IPv4Network] {
        async let routes = Command.run(["ip", "-j", "-4", "route", "show", "table", "all"])
        async let addresses = Command.run(["ip", "-j", "-4", "address"])
        return try LabSubnet.taken(
            routes: try await routes.requireSuccess("listing routes").stdout,
            addresses: try await addresses.requireSuccess("listing addresses").stdout)
    }

    /// Makes what is missing; harmless when all is there.
    func up(paths: LabPaths) async throws {
        let forward = "/proc/sys/net/ipv4/ip_forward"
        if LabFiles.read(forward)?.hasPrefix("0") == true {
            try LabFiles.write("", to: paths.forwarding)
            try LabFiles.poke("1", into: forward)
        }
        if !LabFiles.exists("/sys/class/net/\(bridge)") {
            let batch = """
                link add name \(bridge) type bridge
                address add \(gateway)/\(subnet.prefix) dev \(bridge)
                link set \(bridge) up

                """
            _ = try await Command.run(["ip", "-batch", "-"], stdin: Array(batch.utf8)).requireSuccess("making a bridge")
        }
        _ = try await Command.run(["nft", "-f", "-"], stdin: Array(rules.utf8)).requireSuccess(
            "making an nftables table", hint: "The kernel needs nftables with NAT.")
    }

    /// Declared, emptied and filled in one transaction. The second chain keeps TCP within a narrower uplink's MTU.
    var rules: String {
        """
        table ip \(table)
        delete table ip \(table)
        table ip \(table) {
            chain postrouting {
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr \(subnet) oifname != "\(bridge)" masquerade
            }
            chain forward {
                type filter hook forward priority mangle; policy accept;
                iifname "\(bridge)" tcp flags syn tcp option maxseg size set rt mtu
                oifname "\(bridge)" tcp flags syn tcp option maxseg size set rt mtu
            }
        }

        """
    }

    /// Removes what is there, last-in first-out.
    func down() async throws {
        _ = try await Command.run(["nft", "delete", "table", "ip", table])
        if LabFiles.exists("/sys/class/net/\(bridge)") {
            _ = try await Command.run(["ip", "link", "delete", bridge]).requireSuccess("removing a bridge")
        }
    }

    /// Gives forwarding back as it was, once the last lab is gone. Another bridge may belong to somebody who found
    /// forwarding on and relies on it: then it stays.
    static func restoreForwarding(paths: LabPaths) throws {
        guard LabFiles.exists(paths.forwarding) else { return }
        let bridges = LabFiles.list("/sys/class/net").filter { LabFiles.exists("/sys/class/net/\($0)/bridge") }
        if bridges.isEmpty { try LabFiles.poke("0", into: "/proc/sys/net/ipv4/ip_forward") }
        unlink(paths.forwarding)
    }
}
