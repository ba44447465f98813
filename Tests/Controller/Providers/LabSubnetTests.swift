import Testing

@testable import BasculeProviders

@Suite struct LabSubnetTests {
    @Test func parsesNetworks() {
        #expect(IPv4Network("10.213.7.9/24")?.description == "10.213.7.0/24")
        #expect(IPv4Network("192.0.2.1")?.prefix == 32)
        #expect(IPv4Network("0.0.0.0/0")?.prefix == 0)
        for bad in ["default", "", "10.0.0", "10.0.0.256", "10.0.0.0/33", "10.0.0.0/x", "1.2.3.4/5/6", "fd00::/8"] {
            #expect(IPv4Network(bad) == nil, "\(bad)")
        }
    }

    @Test func knowsOverlaps() throws {
        let wide = try #require(IPv4Network("10.0.0.0/8"))
        let narrow = try #require(IPv4Network("10.213.4.0/24"))
        let address = try #require(IPv4Network("10.213.4.7"))
        let other = try #require(IPv4Network("10.213.5.0/24"))
        #expect(wide.overlaps(narrow) && narrow.overlaps(wide))
        #expect(narrow.overlaps(address) && address.overlaps(narrow))
        #expect(!narrow.overlaps(other) && !other.overlaps(address))
        #expect(narrow.address(10) == "10.213.4.10")
    }

    @Test func takesTheFirstFreeSubnet() throws {
        #expect(LabSubnet.choose(taken: [])?.description == "10.213.0.0/24")
        let one = try #require(IPv4Network("10.213.0.17"))
        #expect(LabSubnet.choose(taken: [one])?.description == "10.213.1.0/24")
        let vpn = try #require(IPv4Network("10.0.0.0/8"))
        #expect(LabSubnet.choose(taken: [vpn])?.description == "172.29.0.0/24")
        let all = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].compactMap { IPv4Network($0) }
        #expect(LabSubnet.choose(taken: all) == nil)
    }

    @Test func readsWhatIpReports() throws {
        let routes = """
            [{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]},
             {"dst":"0.0.0.0/0","dev":"eth0"},
             {"dst":"10.213.0.0/24","dev":"br0"},
             {"type":"local","dst":"127.0.0.0/8","dev":"lo","table":"local"},
             {"type":"broadcast","dst":"192.0.2.255","dev":"eth0","table":"local"}]
            """
        let addresses = """
            [{"ifname":"lo","addr_info":[]},
             {"ifname":"eth0","addr_info":[{"family":"inet","local":"10.213.1.9","prefixlen":25}]}, {}]
            """
        let taken = try LabSubnet.taken(routes: Array(routes.utf8), addresses: Array(addresses.utf8))
        #expect(taken.map(\.description) == ["10.213.0.0/24", "127.0.0.0/8", "192.0.2.255/32", "10.213.1.0/25"])
        #expect(LabSubnet.choose(taken: taken)?.description == "10.213.2.0/24")
    }

    @Test func refusesReportsThatItCannotRead() {
        #expect(throws: (any Error).self) { try LabSubnet.taken(routes: Array("oops".utf8), addresses: []) }
    }
}
