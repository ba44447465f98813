import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// The workstation is gone: kit, root's login and a node are enough.
    @Suite(.serialized, .scene("recover")) struct RecoveryTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        @Test func aNewWorkstationTakesTheFleetOverWithItsKit() async throws {
            let canary = "canary-\(UInt64.random(in: .min ... .max))"
            try scene.write("secret.conf", "key = {{key}}\n")
            func declare(_ item: Int) throws {
                try scene.fleet(
                    Sample.blank("a", "b")
                        + "  - {on: all, file: /srv/key.conf, template: secret.conf, vars: {key: !secret CANARY}}\n"
                        + Sample.files(2, item: item))
            }
            try declare(1)
            #expect(try await scene.bascule("secret", "set", "CANARY", stdin: canary).status == 0)
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
            // After an apply that changed something every node keeps the store, and cannot read it.
            for node in ["a", "b"] as [NodeName] {
                #expect(
                    try await scene.shell(
                        node,
                        "cd /var/lib/bascule/backups; ls | wc -l; cat * | grep -acE 'SQLite format|\(canary)'; true")
                        == "1\n0")
            }
            #expect(try await scene.bascule("apply", "--yes").text.contains("Nothing to do"))
            #expect(try await scene.shell("a", "ls /var/lib/bascule/backups | wc -l") == "1", "nothing new to keep")

            #expect(try await scene.bascule("recovery-kit").status == 1, "not into a pipe")
            let kit = "\(scene.folder)/kit.txt"
            let made = try await scene.bascule("recovery-kit", "--out", kit)
            #expect(made.status == 0, "\(made.all)")
            #expect(try FileManager.default.attributesOfItem(atPath: kit)[.posixPermissions] as? Int == 0o600)
            #expect(!made.all.contains(try scene.read("kit.txt").split(separator: "\n")[3].suffix(64)))
            let key = try await scene.administratorKey(on: "a", "b")

            // One node is out of reach meanwhile.
            let gateway = try await scene.lab.node("b").gateway
            try await scene.shell("b", "ip route add blackhole \(gateway)/32")
            let adopted = try await scene.bascule("adopt", "--kit", kit, "--key", key, "--yes", at: "new")
            try await scene.shell("b", "ip route del blackhole \(gateway)/32")
            #expect(adopted.status == 1 && adopted.all.contains("bascule node bootstrap b --yes"), "\(adopted.all)")
            let late = try await scene.bascule("node", "bootstrap", "b", "--yes", at: "new")
            #expect(late.status == 0, "\(late.all)")

            // Everything is there, and nothing has to be done.
            let plan = try await scene.bascule("plan", at: "new")
            #expect(plan.status == 0, "\(plan.all)")
            #expect(try await scene.bascule("history", at: "new").text.contains("converged"))
            try declare(2)
            #expect(try await scene.bascule("apply", "--yes", at: "new").status == 0)
            #expect(
                try await scene.shell("b", "cat /srv/key.conf; grep -h item /srv/many/f1.conf")
                    == "key = \(canary)\nitem 2")

            // The lost workstation turns up again.
            try declare(3)
            let refused = try await scene.bascule("apply", "--yes")
            #expect(refused.status == 1 && refused.all.contains("[stale-controller]"), "\(refused.all)")
            #expect(refused.all.contains("another workstation has adopted the fleet"))
            for node in ["a", "b"] as [NodeName] {
                #expect(try await scene.shell(node, "grep -h item /srv/many/f1.conf") == "item 2")
            }
        }

        @Test func whatCannotBeAdoptedIsLeftAsItIs() async throws {
            try scene.fleet(Sample.blank("a", "b"))
            #expect(try await scene.bascule("adopt", "--yes", at: "empty").all.contains("--kit"))
            // The suite's other tests may have left this store behind another.
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            let mine = try await scene.bascule("adopt", "--yes")
            try #require(mine.status == 0, "\(mine.all)")
            let kit = "\(scene.folder)/kit2.txt"
            try #require(try await scene.bascule("recovery-kit", "--out", kit).status == 0)
            let key = try await scene.administratorKey(on: "a", "b")
            let epoch = try await scene.standing("a").epoch
            func adopt(_ kit: String, at workstation: String) async throws -> CommandResult {
                try await scene.bascule("adopt", "--kit", kit, "--key", key, "--yes", at: workstation)
            }
            let there = try await adopt(kit, at: "state")
            #expect(there.status == 1 && there.all.contains("[store-exists]"), "\(there.all)")
            let wrong = try scene.read("kit2.txt").replacing(/recovery-key: ..../, with: "recovery-key: 0000")
            try scene.write("wrong.txt", wrong)
            let undecided = try await adopt("\(scene.folder)/wrong.txt", at: "empty")
            #expect(undecided.status == 1 && undecided.all.contains("[cannot-decrypt]"), "\(undecided.all)")
            // Eight bytes: a single one may be what is written already.
            try await scene.shell(
                "a",
                "cd /var/lib/bascule/backups; mkdir /root/good; cp * /root/good; for f in *; do printf damaged! | dd of=$f bs=1 seek=5000 conv=notrunc 2>/dev/null; done"
            )
            try await scene.shell("b", "mv /var/lib/bascule/backups /root/away; mkdir /var/lib/bascule/backups")
            let damaged = try await adopt(kit, at: "empty")
            #expect(damaged.status == 1 && damaged.all.contains("[cannot-decrypt]"), "\(damaged.all)")
            #expect(!FileManager.default.fileExists(atPath: "\(scene.folder)/empty/bascule/\(scene.name).db"))
            #expect(try await scene.standing("a").epoch == epoch)
            #expect(try await scene.bascule("status").status == 0, "the present workstation goes on")
        }

        /// Killed at any point of it, the next adoption ends well.
        @Test(
            .enabled(if: Program.hasFailpoints, "a release build has no failpoints"),
            arguments: ["controller.adopt.before", "controller.adopt.renewed", "controller.adopt.node"])
        func anAdoptionThatDiedIsDoneAgain(_ point: String) async throws {
            try scene.fleet(Sample.blank("a", "b"))
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            try #require(try await scene.bascule("adopt", "--yes").status == 0)
            #expect(try await scene.bascule("adopt", "--yes", failpoint: point).status == 137)
            let again = try await scene.bascule("adopt", "--yes")
            #expect(again.status == 0, "\(again.all)")
            #expect(try await scene.bascule("status").status == 0)
        }
    }
}
