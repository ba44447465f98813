import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// What must not be done, and what must be said instead.
    @Suite(.serialized, .scene("refuse")) struct RefusalTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        @Test func aStepWhoseResourceChangedAfterThePlanIsRefusedAndTheOthersAreDone() async throws {
            try await scene.converge(Sample.blank("a", "b") + Sample.files(4, item: 1))
            try scene.fleet(Sample.blank("a", "b") + Sample.files(4, item: 2))
            let plan = "\(scene.folder)/tonight.plan"
            #expect(try await scene.bascule("plan", "--out", plan).status == 2)
            // Else the agent would have put it back by then.
            try await scene.shell("a", "bascule-agent hold >/dev/null && echo mine > /srv/many/f2.conf")
            let applied = try await scene.bascule("apply", plan, "--yes", "--json")
            #expect(applied.status == 1)
            let ends = applied.events("finished")
            let refused = ends.filter { $0.status == "refused" }
            #expect(refused.map(\.step) == ["a/file:/srv/many/f2.conf"], "\(applied.all)")
            #expect(
                refused.first?.error?.code == "changed-underneath"
                    && refused.first?.error?.hint?.contains("bascule plan") == true)
            #expect(ends.filter { $0.status == "done" }.count == 7)
            #expect(
                try await scene.shell("a", "cat /srv/many/f2.conf; grep -c 'item 2' /srv/many/f3.conf") == "mine\n1")
            #expect(
                try await scene.bascule("apply", "--yes").status == 0, "a new plan takes what is there into account")
            #expect(try await scene.shell("a", "tail -1 /srv/many/f2.conf") == "item 2")
            try await scene.shell("a", "bascule-agent release")
        }

        @Test func aPlanFileThatWasEditedOrIsAnotherFleetsIsRefused() async throws {
            try await scene.converge(Sample.blank("a", "b") + Sample.files(2, item: 1))
            try scene.fleet(Sample.blank("a", "b") + Sample.files(2, item: 3))
            let plan = "\(scene.folder)/edited.plan"
            #expect(try await scene.bascule("plan", "--out", plan).status == 2)
            let text = try scene.read("edited.plan")
            try scene.write("edited.plan", text.replacingOccurrences(of: "/srv/many/f1.conf", with: "/etc/shadow"))
            let edited = try await scene.bascule("apply", plan, "--yes")
            #expect(edited.status == 1 && edited.errorText.contains("[plan-refused]"), "\(edited.all)")
            try scene.write("edited.plan", text)
            try scene.write("other.yaml", "fleet: \(scene.name)-other\n" + Sample.blank("c") + Sample.files(2, item: 3))
            let foreign = try await scene.bascule("apply", plan, "--yes", file: "other.yaml")
            #expect(foreign.status == 1 && foreign.errorText.contains("[plan-refused]"), "\(foreign.all)")
            #expect(try await scene.shell("a", "cat /srv/many/f*.conf | grep -c 'item 1'") == "2", "nothing was done")
        }

        @Test func aSecondApplyFailsAtOnceAndNamesTheHolder() async throws {
            try await scene.converge(Sample.blank("a", "b"))
            try scene.fleet(Sample.blank("a", "b") + Sample.files(300, item: 1, in: "slow"))
            let first = try scene.begin("apply", "--yes", "--json")
            try #require(try await first.says("\"started\"", within: 20))
            let start = ContinuousClock.now
            let second = try await scene.bascule("apply", "--yes")
            #expect(second.status == 1 && second.errorText.contains("\(first.pid)"), "\(second.all)")
            #expect(ContinuousClock.now - start < .seconds(3))
            #expect(try await first.ended(within: 60) == 0, "\(first.output)")
        }

        @Test func aMissingSecretIsNamedWithTheCommandThatSetsIt() async throws {
            try scene.write("secret.conf", "key = {{key}}\n")
            try await scene.converge(Sample.blank("a", "b"))
            try scene.fleet(
                Sample.blank("a", "b")
                    + "  - {on: all, file: /srv/key.conf, template: secret.conf, vars: {key: !secret NEVER_SET}}\n")
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 1 && applied.all.contains("bascule secret set NEVER_SET"), "\(applied.all)")
            #expect(try await scene.run("a", "test", "-e", "/srv/key.conf").status == 1)
        }

        /// The node of an address presents another key than the fleet file says.
        @Test func aChangedHostKeyStopsBeforeAnythingIsSent() async throws {
            try await scene.converge(Sample.blank("a", "b"))
            let (a, b) = (try await scene.lab.node("a"), try await scene.lab.node("b"))
            let wrong = try #require(b.hostKeys.first).split(separator: " ").prefix(2).joined(separator: " ")
            try scene.write("key", "")
            try scene.write(
                "wrong.yaml",
                """
                fleet: \(scene.name)-wrong
                nodes:
                  a: {address: \(a.address), key: \(scene.folder)/key, hostKey: "\(wrong)"}
                topologies:
                  single: {a: []}
                topology: single
                resources:
                  - {on: all, file: /srv/never.conf, content: "never"}

                """)
            let logins = try await scene.shell("a", "journalctl -u ssh -o cat | grep -c Accepted")
            let applied = try await scene.bascule("apply", "--yes", file: "wrong.yaml")
            #expect(applied.status == 1 && applied.all.contains("[ssh-host-key-changed]"), "\(applied.all)")
            #expect(applied.all.contains("SHA256:"), "both fingerprints are shown: \(applied.all)")
            #expect(
                try await scene.shell(
                    "a", "journalctl -u ssh -o cat | grep -c Accepted; ls /srv/never.conf 2>/dev/null | wc -l")
                    == "\(logins)\n0")
        }

        /// One node is out of reach: it is named, the other one is brought to what is declared.
        @Test func anUnreachableNodeDoesNotHoldTheOthersUp() async throws {
            try await scene.converge(Sample.blank("a", "b") + Sample.files(2, item: 1))
            try scene.fleet(Sample.blank("a", "b") + Sample.files(2, item: 8))
            let gateway = try await scene.lab.node("b").gateway
            try await scene.shell("b", "ip route add blackhole \(gateway)/32")
            let start = ContinuousClock.now
            let applied = try await scene.bascule("apply", "--yes")
            let spent = ContinuousClock.now - start
            try await scene.shell("b", "ip route del blackhole \(gateway)/32")
            #expect(
                applied.status == 1 && applied.errorText.contains("b is out of reach")
                    && applied.errorText.contains("[ssh-timed-out]"), "\(applied.all)")
            #expect(spent < .seconds(45), "a deadline, not for ever: \(spent)")
            #expect(try await scene.shell("a", "grep -c 'item 8' /srv/many/f1.conf") == "1", "\(applied.all)")
            #expect(try await scene.shell("b", "grep -c 'item 1' /srv/many/f1.conf") == "1")
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            #expect(try await scene.shell("b", "grep -c 'item 8' /srv/many/f1.conf") == "1")
        }

        @Test func aFullDiskLeavesTheOldFileWholeAndIsSaid() async throws {
            let big = String(repeating: "0123456789abcdef", count: 20_000)
            func full(_ item: Int) throws {
                try scene.write("big.bin", "\(item)\n\(big)")
                try scene.fleet(
                    Sample.blank("full", disk: "400MiB") + "  - {on: all, file: /srv/full/big.bin, source: big.bin}\n"
                        + Sample.files(2, item: item, in: "full"))
            }
            try full(1)
            let first = try await scene.bascule("apply", "--yes")
            try #require(first.status == 0, "\(first.all)")
            // The agent would give up its reserve, and there would be room again.
            try await scene.shell(
                "full",
                """
                echo '{"diskFloor": 0, "diskReserve": 0}' > /var/lib/bascule/settings.json
                systemctl restart bascule-agent; until bascule-agent status >/dev/null 2>&1; do sleep 0.05; done
                """)
            // All but 200 KiB: the journal still fits, the file does not. In ever smaller pieces: ext4 refuses a large one
            // while room for small ones is left.
            try await scene.shell(
                "full",
                """
                for size in 1M 64k 1k; do
                  dd if=/dev/zero of=/srv/ballast bs=$size oflag=append conv=notrunc 2>/dev/null; sync
                done
                truncate -s -200K /srv/ballast; sync
                """)
            try full(2)
            let applied = try await scene.bascule("apply", "--yes")
            #expect(
                applied.status == 1 && applied.all.contains("[disk-full]") && applied.all.contains("hint: "),
                "\(applied.all)")
            #expect(
                try await scene.shell(
                    "full", "head -1 /srv/full/big.bin; wc -c < /srv/full/big.bin; ls -A /srv/full | wc -l")
                    == "1\n\(big.utf8.count + 2)\n3", "old and whole, nothing left beside it")
            try await scene.shell("full", "rm /srv/ballast")
            let healed = try await scene.bascule("apply", "--yes")
            #expect(healed.status == 0, "\(healed.all)")
            #expect(
                try await scene.shell("full", "head -1 /srv/full/big.bin; cat /srv/full/f*.conf | grep -c 'item 2'")
                    == "2\n2")
        }
    }
}
