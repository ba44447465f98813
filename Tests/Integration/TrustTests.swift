import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// Which controller a node obeys, and what the others are told.
    @Suite(.serialized, .scene("trust")) struct TrustTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        /// Waits on the node until its agent answers.
        private static let up = "until /usr/local/lib/bascule/bascule-agent status >/dev/null 2>&1; do sleep 0.05; done"

        private func declare(_ item: Int, count: Int = 2) throws {
            try scene.fleet(Sample.blank("a") + Sample.files(count, item: item, in: "trust"))
        }

        private func converge(_ item: Int) async throws {
            try declare(item)
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
        }

        /// Fault 8: the copy is refused however often it tries, says how to go on, and goes on like that.
        @Test func anOldCopyOfTheStoreIsRefusedUntilItAdopts() async throws {
            try await converge(1)
            try scene.copyStore(to: "copy")
            defer { try? FileManager.default.removeItem(atPath: "\(scene.folder)/copy") }
            try await converge(2)
            try declare(3)
            for _ in 0..<4 {
                let refused = try await scene.bascule("apply", "--yes", at: "copy")
                #expect(
                    refused.status == 1 && refused.all.contains("[stale-serial]")
                        && refused.all.contains("bascule adopt"), "\(refused.all)")
            }
            #expect(try await scene.shell("a", "grep -h item /srv/trust/f0.conf") == "item 2")
            let before = try await scene.standing("a")
            let adopted = try await scene.bascule("adopt", "--yes", at: "copy")
            #expect(adopted.status == 0, "\(adopted.all)")
            #expect(try await scene.standing("a").epoch == before.epoch + 1)
            #expect(try await scene.bascule("apply", "--yes", at: "copy").status == 0)
            #expect(try await scene.shell("a", "grep -h item /srv/trust/f0.conf") == "item 3")
            // Now the other one is the stale one, for everything that it asks.
            try declare(4)
            for words in [["apply", "--yes"], ["status"], ["rollback", "--yes"], ["facts", "a"], ["go"]] {
                let refused = try await scene.program(words)
                #expect(refused.status == 1, "\(words): \(refused.all)")
                if words != ["go"] {
                    #expect(
                        refused.all.contains("another workstation has adopted the fleet"), "\(words): \(refused.all)")
                }
            }
            #expect(try await scene.shell("a", "grep -h item /srv/trust/f0.conf") == "item 3")
            let back = try await scene.bascule("adopt", "--yes")
            #expect(back.status == 0, "\(back.all)")
            try await converge(4)
        }

        /// Fault 7: the apply is stopped, another workstation takes over, the apply goes on.
        @Test func anApplyThatSleptThroughATakeOverIsRefused() async throws {
            try await converge(5)
            try declare(6, count: 250)
            let apply = try scene.begin("apply", "--yes")
            try #require(try await apply.says("install", within: 20), "\(apply.output)")
            kill(apply.pid, SIGSTOP)
            try scene.copyStore(to: "other")
            defer { try? FileManager.default.removeItem(atPath: "\(scene.folder)/other") }
            let adopted = try await scene.bascule("adopt", "--yes", at: "other")
            #expect(adopted.status == 0, "\(adopted.all)")
            kill(apply.pid, SIGCONT)
            #expect(try await apply.ended(within: 60) == 1, "\(apply.output)")
            #expect(
                apply.output.contains("[stale-controller]") || apply.output.contains("was replaced"), "\(apply.output)")
            // What it had handed over before is whole; the new one converges.
            #expect(try await scene.bascule("apply", "--yes", at: "other").status == 0)
            #expect(try await scene.shell("a", "cat /srv/trust/f*.conf | grep -c 'item 6'") == "250")
            #expect(try await scene.bascule("adopt", "--yes").status == 0)
        }

        /// Fault 37: another machine answers at the node's address, with the same host keys and the same accounts.
        @Test func anotherMachineAtTheSameAddressIsRefused() async throws {
            try await converge(7)
            let identity = try await scene.shell("a", "cat /etc/machine-id")
            try await scene.shell(
                "a",
                "echo 0123456789abcdef0123456789abcdef > /etc/machine-id; rm /var/lib/bascule/identity.json; systemctl restart bascule-agent; \(Self.up)"
            )
            try declare(8)
            let refused = try await scene.bascule("apply", "--yes")
            #expect(refused.status == 1 && refused.all.contains("[other-machine]"), "\(refused.all)")
            #expect(refused.all.contains("bascule node forget"), "\(refused.all)")
            #expect(try await scene.shell("a", "grep -h item /srv/trust/f0.conf") == "item 7")
            try await scene.shell(
                "a", "echo \(identity) > /etc/machine-id; systemctl restart bascule-agent; \(Self.up)")
            let other = try await scene.bascule("apply", "--yes")
            #expect(other.all.contains("[other-machine]"), "the machine's name without its key: \(other.all)")
            #expect(try await scene.bascule("node", "forget", "a", "--keep-agent").status == 0)
            try await converge(8)
        }
    }
}

extension Scene {
    /// `bascule WORDS… -f FLEET`, the words as a list.
    func program(_ words: [String]) async throws -> CommandResult {
        try await Command.run(
            [Program.path ?? ""] + words + ["-f", "\(folder)/fleet.yaml"], environment: environment(),
            deadline: .seconds(120))
    }
}
