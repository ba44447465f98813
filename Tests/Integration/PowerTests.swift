import BasculeModel
import BasculeStore
import Foundation
import Synchronization
import Testing

extension OnNodes {
    /// A pulled plug on either side: what was acknowledged is there, every file is wholly old or wholly new.
    @Suite(.serialized, .scene("power")) struct PowerTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        /// Every file of a folder is exactly what one of two applies writes.
        private func expectWhole(_ folder: String, _ count: Int) async throws {
            let torn = try await scene.shell(
                "n1",
                """
                for f in /srv/\(folder)/f*.conf; do n=${f##*/f}; n=${n%.conf}
                  grep -qzx "number $n.item [12]." $f || echo torn $f; done
                """)
            #expect(torn.isEmpty)
            #expect(try await scene.shell("n1", "ls /srv/\(folder)/f*.conf | wc -l") == "\(count)")
        }

        private func expectConverged(_ folder: String, _ count: Int, item: Int) async throws {
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0, "\(again.all)")
            let third = try await scene.bascule("apply", "--yes")
            #expect(third.status == 0 && third.text.contains("Nothing to do"), "\(third.all)")
            let now = try await scene.shell(
                "n1", "cat /srv/\(folder)/f*.conf | grep -c '^item \(item)$'; ls -A /srv/\(folder) | wc -l")
            #expect(now == "\(count)\n\(count)")
        }

        /// Secrets set one after the other while the plug is pulled: each one that was said to be set is set.
        @Test func whatTheStoreAcknowledgedIsThereAfterAPowerCut() async throws {
            try await scene.startAnew()
            try scene.fleet(Sample.blank("n1"))
            let disk = try await LoopDisk(
                megabytes: 32, file: "\(scene.folder)/disk.ext4", at: "\(scene.folder)/state")
            defer { withExtendedLifetime(disk) {} }
            var acknowledged: Set<String> = []
            for round in 1...4 {
                let pull = Task {
                    try await Task.sleep(for: .milliseconds(.random(in: 40...600)))
                    try disk.cutPower()
                }
                var number = 0
                while true {
                    number += 1
                    let name = "R\(round)N\(number)"
                    guard try await scene.bascule("secret", "set", name, stdin: "value\n").status == 0 else { break }
                    acknowledged.insert(name)
                }
                try await pull.value
                try await disk.mountAgain()
                let store = try Store(path: scene.store)
                try store.check()
                let there = Set(try store.secrets().map(\.name.rawValue))
                #expect(acknowledged.isSubset(of: there), "lost: \(acknowledged.subtracting(there).sorted())")
            }
            #expect(acknowledged.count > 4)
            disk.unmount()
        }

        /// The workstation loses power in the middle of an apply; its node goes on.
        @Test func theWorkstationLosesPowerDuringAnApply() async throws {
            try await scene.startAnew()
            try scene.fleet(Sample.blank("n1") + Sample.files(120, item: 1, in: "desk"))
            try #require(try await scene.bascule("apply", "--yes").status == 0)
            // Mounted with the node up already: a node that starts later would hold the disk beyond its unmounting.
            let disk = try await LoopDisk(
                megabytes: 64, file: "\(scene.folder)/disk.ext4", over: "\(scene.folder)/state")
            defer { withExtendedLifetime(disk) {} }
            try scene.fleet(Sample.blank("n1") + Sample.files(120, item: 2, in: "desk"))
            let run = try scene.begin("apply", "--yes", "--json")
            try #require(try await run.says("\"done\"", within: 30), "\(run.output)")
            try disk.cutPower()
            run.kill9()
            _ = try await run.ended(within: 10)
            try await disk.mountAgain()
            try Store(path: scene.store).check()
            try await expectConverged("desk", 120, item: 2)
            try await scene.expectNothingTwice("n1")
            disk.unmount()
        }

        /// The node loses power with part of its files written. What it had told the controller it still knows.
        @Test(arguments: Program.testsAll ? [3, 40, 110] : [40]) func theNodeLosesPowerDuringAnApply(_ count: Int)
            async throws
        {
            try await scene.startAnew()
            try scene.fleet(Sample.blank("n1", disk: "500MiB") + Sample.files(150, item: 1, in: "node"))
            try #require(try await scene.bascule("apply", "--yes").status == 0)
            try scene.fleet(Sample.blank("n1", disk: "500MiB") + Sample.files(150, item: 2, in: "node"))
            let run = try scene.begin("apply", "--yes", "--json")
            try await eventually(within: 30, every: .milliseconds(1)) {
                run.status != nil || run.output.components(separatedBy: "\"done\"").count > count
            }
            try await scene.lab.cutPower("n1")
            // What was told before the cut; the run waits for the node to come back.
            let told = run.output.split(separator: "\n").count { $0.contains("\"done\"") }
            _ = try await scene.lab.boot("n1")
            try await expectWhole("node", 150)
            // The run saw either a node that came back or, in the moment between, a disk that took nothing more.
            let status = try await run.ended(within: 60)
            #expect(status == 0 || run.output.contains("disk-"), "\(run.output.suffix(2000))")
            let known = try await scene.journal("n1").count {
                if case .finished(_, let result) = $0.event { result.status == .done } else { false }
            }
            #expect(known >= told && told > 0)
            try await expectConverged("node", 150, item: 2)
        }

        /// The node loses power while dpkg unpacks: the next apply finds what is half there, and repairs it.
        @Test func theNodeLosesPowerWhilePackagesInstall() async throws {
            let packages = ["cowsay", "figlet", "sl", "toilet", "bsdgames", "fortune-mod"]
            try await scene.startAnew()
            let node = Sample.blank("n1", disk: "700MiB")
            try scene.fleet(node)
            try #require(try await scene.bascule("apply", "--yes").status == 0)
            try scene.fleet(node + "  - {on: all, package: [\(packages.joined(separator: ", "))]}\n")
            let run = try scene.begin("apply", "--yes")
            let began = try await eventually(within: 60, every: .milliseconds(10)) {
                try await scene.run(
                    "n1", "grep", "-q", " status half-configured \\| status unpacked ", "/var/log/dpkg.log"
                )
                .status == 0
            }
            try #require(began, "\(run.output)")
            try await scene.lab.cutPower("n1")
            _ = try await scene.lab.boot("n1")
            let status = try await run.ended(within: 180)
            #expect(status == 0 || run.output.contains("[disk-"), "\(run.output.suffix(2000))")
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0, "\(again.all)")
            let third = try await scene.bascule("apply", "--yes")
            #expect(third.status == 0 && third.text.contains("Nothing to do"), "\(third.all)")
            let state =
                "dpkg --audit; dpkg-query -W -f '${db:Status-Status}\\n' \(packages.joined(separator: " ")) | sort -u"
            #expect(try await scene.shell("n1", state) == "installed")
        }
    }
}
