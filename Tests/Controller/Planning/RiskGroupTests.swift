import BasculeModel
import Testing

@testable import BasculePlanning

/// What could lock the administrator out is one step, and only that.
@Suite struct RiskGroupTests {
    private func steps(_ desired: [DesiredResource]) throws -> [Step] {
        try ResourcePlanner(node: "n", desired: desired, observations: nil, confirmWithin: 9).plan().steps
    }

    @Test(arguments: [
        ("/etc/ssh/sshd_config", LoginRisk.sshd), ("/etc/ssh/sshd_config.d/10.conf", .sshd),
        ("/etc/systemd/system/ssh.service.d/x.conf", .sshd), ("/etc/nftables.conf", .firewall),
        ("/etc/systemd/network/10.network", .network), ("/etc/netplan/a.yaml", .network),
        ("/etc/ssh/ssh_config", nil), ("/etc/sshd_config", nil), ("/etc/networks", nil),
        ("/srv/etc/ssh/sshd_config", nil),
        ("/etc/systemd/system/shop.service", nil),
    ]) func pathsThatDecideAboutALogin(_ path: String, _ risk: LoginRisk?) {
        #expect(file(path).resource.loginRisk == risk)
    }

    @Test(arguments: [
        ("net.ipv4.conf.all.rp_filter", LoginRisk.network), ("net/ipv6/conf/all/disable_ipv6", .network),
        ("net.ipv4.tcp_fin_timeout", nil), ("vm.swappiness", nil),
    ]) func settingsThatDecideAboutALogin(_ key: String, _ risk: LoginRisk?) {
        #expect(Resource.sysctl(SysctlSpec(key, "1")).loginRisk == risk)
    }

    @Test func theyAreOneStepInTheirOrderAndTheOthersStayAlone() throws {
        let made = try steps([
            unit("ssh.service", reloadOn: ["/etc/ssh/sshd_config"]), file("/srv/a"), file("/etc/ssh/sshd_config"),
            unit("shop.service"),
        ])
        #expect(Set(made.map(\.id)) == ["n/login", "n/file:/srv/a", "n/unit:shop.service"])
        let login = try #require(made.first { $0.id == "n/login" })
        #expect(login.confirmWithin == 9)
        guard case .converge(let items) = login.action else { return #expect(Bool(false), "it converges") }
        #expect(items.map(\.desired.id) == ["n/file:/etc/ssh/sshd_config", "n/unit:ssh.service"])
        #expect(made.filter { $0.id != login.id }.allSatisfy { $0.confirmWithin == nil })
    }

    @Test func aSingleOneKeepsItsName() throws {
        let made = try steps([file("/etc/ssh/sshd_config"), file("/srv/a", requires: ["n/file:/etc/ssh/sshd_config"])])
        #expect(made.map(\.id) == ["n/file:/etc/ssh/sshd_config", "n/file:/srv/a"])
        #expect(made[0].confirmWithin == 9 && made[1].requires == ["n/file:/etc/ssh/sshd_config"])
    }

    /// Something harmless between two of them must not make a circle of steps.
    @Test func whatStandsBetweenPartsThem() throws {
        let made = try steps([
            file("/etc/ssh/a", requires: []), file("/etc/ssh/sshd_config"), file("/etc/nftables.conf"),
            file("/srv/between", requires: ["n/file:/etc/ssh/sshd_config"]),
            file("/etc/ssh/sshd_config.d/last.conf", requires: ["n/file:/srv/between"]),
        ])
        let byID = Dictionary(uniqueKeysWithValues: made.map { ($0.id, $0) })
        #expect(byID["n/login"]?.requires == [])
        #expect(byID["n/file:/srv/between"]?.requires == ["n/login"])
        #expect(byID["n/file:/etc/ssh/sshd_config.d/last.conf"]?.requires == ["n/file:/srv/between"])
        #expect(byID["n/file:/etc/ssh/sshd_config.d/last.conf"]?.confirmWithin == 9)
    }
}
