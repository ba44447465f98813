import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// SIGKILL of either side at any point: running again converges, and nothing is done twice.
    @Suite(.serialized, .scene("crash")) struct CrashTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func expectAllDone(_ node: NodeName, _ location: SourceLocation = #_sourceLocation) async throws {
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0, "\(again.all)", sourceLocation: location)
            let third = try await scene.bascule("apply", "--yes")
            #expect(third.status == 0 && third.text.contains("Nothing to do"), "\(third.all)", sourceLocation: location)
            try await scene.expectNothingTwice(node, location)
        }

        /// The controller's own steps: making a node and putting the agent on it. Each count is another blank node.
        @Test(.enabled(if: Program.hasFailpoints, "a release build has no failpoints"), arguments: 1...4)
        func theControllerDiesWhileANodeIsMade(_ count: Int) async throws {
            let node = NodeName("n\(count)")
            try scene.fleet(Sample.blank(node.rawValue) + Sample.files(3, item: count))
            let died = try await scene.bascule("apply", "--yes", failpoint: "controller.journal:\(count)")
            #expect(died.status == 137, "\(died.all)")
            try await expectAllDone(node)
            #expect(try await scene.shell(node, "cat /srv/many/f*.conf | grep -c 'item \(count)'") == "3")
        }

        @Test(
            .enabled(if: Program.hasFailpoints, "a release build has no failpoints"),
            arguments: ["controller.run.begun", "controller.before.submit", "controller.phase.ended"])
        func theControllerDiesBeforeOrAfterASegment(_ point: String) async throws {
            try scene.fleet(Sample.blank("n1") + Sample.files(3, item: 0))
            try #require(try await scene.bascule("apply", "--yes").status == 0)
            let entries =
                Sample.files(3, item: point.utf8.count)
                + "  - {on: all, user: \(point.split(separator: ".").last ?? ""), system: true}\n"
            try scene.fleet(Sample.blank("n1") + entries)
            #expect(try await scene.bascule("apply", "--yes", failpoint: point).status == 137)
            try await expectAllDone("n1")
            #expect(
                try await scene.shell(
                    "n1",
                    "cat /srv/many/f*.conf | grep -c 'item \(point.utf8.count)'; getent passwd \(point.split(separator: ".").last ?? "") | wc -l"
                ) == "3\n1")
        }

        /// The agent dies while dpkg unpacks, and dpkg with it: systemd starts it again, and it takes up its segment. The
        /// same run of the controller sees it through.
        @Test func theAgentDiesWhilePackagesInstall() async throws {
            let packages = ["cowsay", "figlet", "sl", "toilet", "bsdgames", "fortune-mod"]
            try scene.fleet(Sample.blank("n1"))
            try #require(try await scene.bascule("apply", "--yes").status == 0)
            try scene.fleet(
                Sample.blank("n1")
                    + "  - {on: all, package: [\(packages.joined(separator: ", "))]}\n  - {on: all, user: packager, system: true}\n"
            )
            let run = try scene.begin("apply", "--yes")
            let began = try await eventually(within: 60, every: .milliseconds(20)) {
                try await scene.run("n1", "grep", "-q", " status half-installed ", "/var/log/dpkg.log").status == 0
            }
            try #require(began, "\(run.output)")
            let log = try await scene.shell("n1", "pkill -9 -x bascule-agent; pkill -9 -x dpkg; cat /var/log/dpkg.log")
            let early = packages.filter { log.contains(" status installed \($0):") }
            #expect(early.count < packages.count, "it died in the middle")
            #expect(try await run.ended(within: 120) == 0, "\(run.output)")
            try await expectAllDone("n1")
            #expect(
                try await scene.shell(
                    "n1",
                    "dpkg --audit; dpkg-query -W -f '${db:Status-Status}\\n' \(packages.joined(separator: " ")) | sort -u"
                ) == "installed")
            for package in early {
                #expect(
                    try await scene.shell("n1", "grep -c ' install \(package):' /var/log/dpkg.log") == "1", "\(package)"
                )
            }
            #expect(
                try await scene.shell("n1", "journalctl -t useradd -o cat | grep -c 'new user: name=packager'") == "1")
        }

        /// The agent dies when a given number of files are written: each file is wholly old or wholly new, then all are new.
        @Test(arguments: [5, 60, 140]) func theAgentDiesWhileFilesAreWritten(_ count: Int) async throws {
            try scene.fleet(Sample.blank("n1") + Sample.files(200, item: 1, in: "cut\(count)"))
            try #require(try await scene.bascule("apply", "--yes").status == 0)
            let before = try await scene.shell("n1", "grep -c '\"finished\"' /var/lib/bascule/journal/current")
            try scene.fleet(Sample.blank("n1") + Sample.files(200, item: 2, in: "cut\(count)"))
            let wanted = try #require(Int(before)) + count
            let run = try scene.begin("apply", "--yes")
            let torn = try await scene.shell(
                "n1",
                """
                while [ $(grep -c '"finished"' /var/lib/bascule/journal/current) -lt \(wanted) ]; do :; done
                pkill -9 -x bascule-agent
                for f in /srv/cut\(count)/f*.conf; do n=${f##*/f}; n=${n%.conf}
                  grep -qzx "number $n.item [12]." $f || echo torn $f; done
                """)
            #expect(torn.isEmpty)
            #expect(try await run.ended(within: 60) == 0, "\(run.output)")
            try await expectAllDone("n1")
            #expect(
                try await scene.shell(
                    "n1", "cat /srv/cut\(count)/f*.conf | grep -c '^item 2$'; ls /srv/cut\(count) -A | wc -l")
                    == "200\n200")
        }

        /// Both sides at once, the controller for good: the agent ends its segment by itself.
        @Test func bothSidesDieAndTheAgentGoesOnAlone() async throws {
            try scene.fleet(Sample.blank("n1") + Sample.files(200, item: 1, in: "both"))
            let run = try scene.begin("apply", "--yes")
            _ = try await eventually(within: 20, every: .milliseconds(10)) {
                try await scene.run("n1", "test", "-e", "/srv/both/f20.conf").status == 0
            }
            run.kill9()
            try await scene.shell("n1", "pkill -9 -x bascule-agent")
            #expect(try await run.ended(within: 5) == 137)
            let alone = try await eventually(within: 60) {
                try await scene.shell("n1", "ls /srv/both | wc -l") == "200"
            }
            #expect(alone, "the segment ends without a controller")
            try await expectAllDone("n1")
        }
    }
}
