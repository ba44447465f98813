import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// The dead man's switch and the network itself: a node that a change of its addresses or routes cuts off puts them
    /// back.
    @Suite(.serialized, .scene("netguard")) struct NetworkGuardTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        /// An addition to the network of the node's one interface.
        private static let own = "/etc/systemd/network/10-lab.network.d/own.conf"

        /// The node with lines of its own in its network's configuration; these are harmless.
        private func fleet(
            _ lines: String = "[Network]\\nDescription=one\\n", more: String = "", image: String = "debian12"
        ) throws {
            try scene.fleet(
                """
                caps: {unconfirmed: 4s}
                nodes:
                  n1: {provider: lab, image: \(image)}
                topologies:
                  single: {n1: []}
                topology: single
                resources:
                  - {on: all, file: \(Self.own), content: "\(lines)"}
                \(more)
                """)
        }

        private func converge(_ image: String = "debian12") async throws {
            try fleet(image: image)
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
        }

        /// Everything that decides whether packets come and go. Lifetimes count down.
        private func state() async throws -> String {
            try await scene.shell(
                "n1",
                "cat /etc/systemd/network/*.network \(Self.own); ip -o addr show host0 | grep -v ' link '; ip route; ip rule; networkctl status host0 | grep -E 'State:|Network File:'; cat /proc/sys/net/ipv4/conf/*/arp_ignore"
            )
        }

        private func gateway() async throws -> String { try await scene.lab.node("n1").gateway }

        private func expectWhole(_ before: String, _ image: String, _ location: SourceLocation = #_sourceLocation)
            async throws
        {
            let whole = try await eventually(within: 10) { try await state() == before }
            let found = try await state()
            #expect(whole, "\(before)\nbecame\n\(found)", sourceLocation: location)
            try fleet(image: image)
            let again = try await scene.bascule("apply", "--yes")
            #expect(
                again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)", sourceLocation: location)
        }

        @Test func aGoodChangeIsConfirmedAndStays() async throws {
            try await converge()
            try fleet("[Network]\\nAddress=192.0.2.9/32\\n")
            let plan = try await scene.bascule("plan")
            #expect(plan.text.contains("goes back by itself unless a fresh login confirms it within 4"), "\(plan.all)")
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 0, "\(applied.all)")
            try await Task.sleep(for: .seconds(4.5))
            #expect(try await scene.shell("n1", "ip -o addr show host0").contains("192.0.2.9/32"), "in force, and kept")
        }

        private static let all = [
            ("debian12", "route"), ("debian12", "stranger"), ("debian13", "route"), ("debian13", "stranger"),
            ("debian13", "address"),
        ]

        /// Another address than its own (Debian 12 keeps the old one beside it); a route that leads the administrator's
        /// packets nowhere; both on either release with `BASCULE_TEST_ALL=1`.
        @Test(arguments: Program.testsAll ? all : [all[0]])
        func aNodeThatIsCutOffComesBack(_ image: String, _ how: String) async throws {
            if try await scene.lab.list().contains(where: { "\($0.image)" != image }) { try await scene.startAnew() }
            try await converge(image)
            let before = try await state()
            let administrator = try await gateway()
            switch how {
            case "address": try fleet("[Network]\\nAddress=\\nAddress=192.0.2.7/24\\nGateway=\\n", image: image)
            case "route": try fleet("[Route]\\nDestination=\(administrator)/32\\nType=blackhole\\n", image: image)
            default:
                // A file that comes first and takes the interface away from the one that configures it.
                try fleet(
                    more:
                        "  - {on: all, file: /etc/systemd/network/05-own.network, content: \"[Match]\\nName=host0\\n[Network]\\nAddress=192.0.2.7/24\\n\"}\n",
                    image: image)
            }
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 1 && applied.all.contains("[reverted-unconfirmed]"), "\(how): \(applied.all)")
            try await expectWhole(before, image)
        }

        /// Nobody is left who could help: the agent is killed, and so is the controller.
        @Test func theAgentIsKilledWhileTheNodeIsCutOff() async throws {
            try await converge()
            let before = try await state()
            try fleet("[Route]\\nDestination=\(try await gateway())/32\\nType=blackhole\\n")
            let run = try scene.begin("apply", "--yes")
            let waiting = try await eventually(within: 20, every: .milliseconds(20)) {
                try await scene.run("n1", "grep", "-q", "waiting", "/var/lib/bascule/login-guard.json").status == 0
            }
            try #require(waiting, "\(run.output)")
            #expect(try await scene.shell("n1", "ip route").contains("blackhole"), "it is in force")
            run.kill9()
            try await scene.killAgent("n1")
            #expect(try await eventually(within: 15) { try await state() == before }, "the node helps itself")
            let told = try await scene.bascule("apply", "--yes")
            #expect(told.all.contains("reverted-unconfirmed"), "the next run tells what became of it: \(told.all)")
            try await expectWhole(before, "debian12")
        }

        /// A setting of the kernel: nobody learns the node's hardware address any more.
        @Test func aKernelSettingThatSilencesTheNodeGoesBack() async throws {
            try await converge()
            let before = try await state()
            try fleet(more: "  - {on: all, sysctl: net.ipv4.conf.all.arp_ignore, value: \"8\"}\n")
            // What this machine knows of the node's hardware address is forgotten as soon as the setting is in force.
            let run = try scene.begin("apply", "--yes")
            let set = try await eventually(within: 20, every: .milliseconds(10)) {
                try await scene.shell("n1", "cat /proc/sys/net/ipv4/conf/all/arp_ignore") == "8" || run.status != nil
            }
            try #require(set, "\(run.output)")
            _ = try await Command.run(["ip", "neigh", "flush", "to", try await scene.lab.node("n1").address])
            #expect(try await run.ended(within: 60) == 1, "\(run.output)")
            #expect(run.output.contains("[reverted-unconfirmed]"), "\(run.output)")
            try await expectWhole(before, "debian12")
        }
    }
}
