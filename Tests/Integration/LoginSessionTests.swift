import BasculeModel
import BasculeProtocol
import Foundation
import Testing

extension OnNodes {
    /// Healing and people who are really logged in, over SSH, with a terminal.
    @Suite(.serialized, .scene("person")) struct LoginSessionTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        /// Seconds that a service stays as somebody left it after they have gone.
        private static let grace = 2.0

        private func converge(_ image: String) async throws {
            try await scene.startAnew()
            try scene.fleet(
                """
                nodes:
                  a: {provider: lab, image: \(image)}
                topologies:
                  single: {a: []}
                topology: single
                resources:
                  - {on: all, unit: it0.service, state: running, content: "[Service]\\nExecStart=/bin/sleep infinity\\n"}
                  - {on: all, unit: it1.service, state: running, content: "[Service]\\nExecStart=/bin/sleep infinity\\n"}

                """)
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
            try await scene.shell(
                "a",
                "printf '{\"sessionGrace\": \(Int(Self.grace))}' > /var/lib/bascule/settings.json; systemctl restart bascule-agent; until bascule-agent status >/dev/null 2>&1; do sleep 0.05; done"
            )
        }

        private func login() async throws -> Pty {
            let key = try await scene.administratorKey(on: "a")
            return try Pty(
                [
                    "/usr/bin/ssh", "-F", "none", "-tt", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR",
                    "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                    "root@\(try await scene.lab.node("a").address)",
                ], environment: [:], columns: 200, rows: 50)
        }

        private func drift() async throws -> Drift? {
            let text = try await scene.shell("a", "bascule-agent status --json")
            return try JSONDecoder().decode(AgentStatus.self, from: Data(text.utf8)).healing?.drift.first {
                $0.resource == "a/unit:it0.service"
            }
        }

        private func isActive() async throws -> Bool {
            try await scene.run("a", "systemctl", "-q", "is-active", "it0").status == 0
        }

        @Test(arguments: Program.testsAll ? ["debian12", "debian13"] : ["debian13"])
        func whatSomebodyStopsWhoIsLoggedInStaysStoppedUntilTheyLeft(_ image: String) async throws {
            try await converge(image)
            let terminal = try await login()
            terminal.type("systemctl stop it0.service && echo stopped-$((40 + 2))\n")
            #expect(
                try await eventually(within: 10, every: .milliseconds(50)) { terminal.raw.contains("stopped-42") },
                "\(terminal.raw)")
            // Longer than the grace: as long as they are there it does not begin.
            try await Task.sleep(for: .seconds(Self.grace + 2))
            #expect(try await !isActive(), "left alone")
            #expect(try await drift()?.reason == .session, "and reported")
            #expect(try await scene.bascule("status").text.contains("somebody was logged in"))
            // A crash is nobody's decision, whoever is there.
            try await scene.shell("a", "systemctl kill -s KILL it1")
            #expect(
                try await eventually(within: 5) {
                    try await scene.shell("a", "systemctl show -P ActiveState it1") == "active"
                })
            terminal.type("exit\n")
            #expect(try await eventually(within: 5, every: .milliseconds(50)) { terminal.status != nil })
            let left = ContinuousClock.now
            #expect(try await eventually(within: 20, every: .milliseconds(100)) { try await isActive() }, "healed")
            #expect(ContinuousClock.now - left > .seconds(Self.grace - 0.5), "not before the grace was over")
            #expect(try await eventually(within: 5) { try await drift() == nil })
        }

        /// `ssh node systemctl stop …` is over before its effect is noticed; and a line that is cut ends a session, too.
        @Test func aSessionOfOneCommandAndOneThatIsCutCountToo() async throws {
            try await converge("debian12")
            let key = try await scene.administratorKey(on: "a")
            let address = try await scene.lab.node("a").address
            let once = try Running(
                [
                    "/usr/bin/ssh", "-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR", "-o",
                    "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "root@\(address)", "systemctl",
                    "stop", "it0",
                ], environment: [:])
            #expect(try await once.ended(within: 10) == 0, "\(once.output)")
            try await Task.sleep(for: .seconds(1))
            #expect(try await !isActive(), "left alone")
            #expect(try await drift()?.reason == .session)
            #expect(try await eventually(within: 20, every: .milliseconds(100)) { try await isActive() }, "healed")
            let terminal = try await login()
            terminal.type("systemctl stop it0.service && echo stopped-$((40 + 2))\n")
            #expect(
                try await eventually(within: 10, every: .milliseconds(50)) { terminal.raw.contains("stopped-42") },
                "\(terminal.raw)")
            try await Task.sleep(for: .seconds(Self.grace + 1))
            #expect(try await !isActive(), "left alone")
            kill(terminal.pid, SIGKILL)
            #expect(try await eventually(within: 20, every: .milliseconds(100)) { try await isActive() }, "healed")
        }
    }
}
