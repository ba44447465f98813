import BasculeModel
import Testing

@testable import BasculeProviders

@Suite struct LabNamesTests {
    @Test func interfaceNamesFitTheKernelsLimit() {
        for lab in ["a", "demo", "integration-" + String(repeating: "x", count: 28)] {
            let tag = LabNames.tag(labName: lab)
            let longest = LabNames.link(machine: LabNames.machine(tag: tag, host: 249))
            #expect(tag.count == 6)
            #expect(LabNames.bridge(tag: tag).utf8.count <= LabNames.interfaceLimit)
            #expect(longest.utf8.count <= LabNames.interfaceLimit, "systemd-nspawn would cut \(longest)")
        }
    }

    @Test func labsWithOtherNamesGetOtherTags() {
        let tags = Set((0..<500).map { LabNames.tag(labName: "lab-\($0)") })
        #expect(tags.count == 500)
        #expect(LabNames.tag(labName: "demo") == LabNames.tag(labName: "demo"))
        #expect(LabNames.tag(labName: "demo", attempt: 1) != LabNames.tag(labName: "demo"))
    }

    @Test(arguments: ["", "-a", "a-", "A", "a b", "a/b", "..", "a.b", "é", String(repeating: "a", count: 64)])
    func refusesNamesThatAreNoHostNames(name: String) {
        #expect(throws: BasculeError.self) { try LabNames.check(node: NodeName(name)) }
        #expect(throws: BasculeError.self) { _ = try Lab(labName: name) }
    }

    @Test(arguments: ["a", "vps1", "web-2", "0"]) func acceptsHostNames(name: String) throws {
        try LabNames.check(node: NodeName(name))
        #expect(try Lab(labName: name).labName == name)
    }

    @Test func preflightNamesAllThatIsMissing() throws {
        try Lab.preflight(isRoot: true, missing: [])
        let missing = #expect(throws: BasculeError.self) {
            try Lab.preflight(isRoot: true, missing: [("nft", "nftables"), ("mmdebstrap", "mmdebstrap")])
        }
        #expect(missing?.code == .labUnavailable)
        #expect(missing?.message.contains("nft, mmdebstrap") == true)
        #expect(missing?.hint?.contains("mmdebstrap nftables") == true)
        let user = #expect(throws: BasculeError.self) { try Lab.preflight(isRoot: false, missing: []) }
        #expect(user?.code == .labUnavailable && user?.hint?.contains("root") == true)
    }
}
