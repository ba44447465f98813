import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// A node that leaves the fleet is left clean, and what was configured on it stays.
    @Suite(.serialized, .scene("leave")) struct FarewellTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private let traces = """
            ls -d /var/lib/bascule /usr/local/lib/bascule /etc/bascule /run/bascule /etc/ssh/sshd_config.d/50-bascule.conf \
            /etc/systemd/system/bascule-agent.service 2>/dev/null; getent passwd bascule; pgrep -x bascule-agent; true
            """

        @Test func aForgottenNodeHasNoAgentAndComesBack() async throws {
            try scene.fleet(Sample.blank("a") + Sample.files(2, item: 1))
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            #expect(try await scene.bascule("node", "forget", "a").status == 1, "not without being asked")
            let forgotten = try await scene.bascule("node", "forget", "a", "--yes")
            #expect(forgotten.status == 0, "\(forgotten.all)")
            #expect(try await eventually(within: 10) { try await scene.shell("a", traces).isEmpty })
            #expect(try await scene.shell("a", "sshd -t; grep -h item /srv/many/f1.conf") == "item 1")
            #expect(try await scene.bascule("apply", "--yes").status == 0, "a new bootstrap is a first contact")
            #expect(try await scene.bascule("plan").status == 0)
        }

        /// A throwaway node that was taken away and made anew is another machine: nothing known of the old one counts.
        @Test func aNodeMadeAnewIsAnotherMachine() async throws {
            try scene.fleet(Sample.blank("a") + Sample.files(2, item: 1))
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            try await scene.lab.down()
            let killed = try await scene.bascule("apply", "--yes", failpoint: "controller.provision.after")
            #expect(killed.status == 137, "\(killed.all)")
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 0 && applied.all.contains("bootstrap the agent on a"), "\(applied.all)")
            #expect(try await scene.shell("a", "grep -h item /srv/many/f1.conf") == "item 1")
        }

        @Test func withoutItsAgentRootsLoginCleansTheNode() async throws {
            try scene.fleet(Sample.blank("a"))
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            try await scene.shell("a", "systemctl stop bascule-agent")
            let forgotten = try await scene.bascule("node", "forget", "a", "--yes")
            #expect(forgotten.status == 0 && forgotten.all.contains("administrator"), "\(forgotten.all)")
            #expect(try await scene.shell("a", traces).isEmpty)
        }

        @Test func anUnreachableNodeIsForgottenOnlyByForce() async throws {
            try scene.fleet(Sample.blank("a"))
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            try await scene.shell("a", "systemctl stop ssh.socket ssh.service bascule-agent 2>/dev/null; true")
            let refused = try await scene.bascule("node", "forget", "a", "--yes")
            #expect(refused.status == 1 && refused.all.contains("[not-cleaned]"), "\(refused.all)")
            #expect(try await scene.bascule("node", "list").text.contains("agent 0"), "nothing was forgotten")
            let forced = try await scene.bascule("node", "forget", "a", "--yes", "--force")
            #expect(forced.status == 0 && forced.all.contains("/var/lib/bascule"), "\(forced.all)")
            #expect(try await scene.bascule("node", "list").text.contains("no agent"))
        }
    }
}
