import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// Healing where something works against it: a service that dies of hunger, an apply, a migration, a full disk.
    @Suite(.serialized, .scene("healf")) struct HealFaultTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static let hungry = """
              - {on: all, file: /srv/h.conf, content: "h\\n"}
              - {on: all, unit: hungry.service, state: running, content: "[Service]\\nExecStart=/bin/sh -c 'test -e /srv/hungry && exec tail /dev/zero; exec sleep infinity'\\nMemoryMax=32M\\nLimitAS=512M\\n[Install]\\nWantedBy=multi-user.target\\n"}

            """

        private func converge(_ text: String, on node: NodeName = "a", settings: String = "{}") async throws {
            try scene.fleet(text)
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
            try await scene.shell(
                node,
                "printf '%s' '\(settings)' > /var/lib/bascule/settings.json; systemctl restart bascule-agent; until bascule-agent status >/dev/null 2>&1; do sleep 0.05; done"
            )
        }

        private func status(_ node: NodeName = "a") async throws -> HealingStatus {
            let text = try await scene.shell(node, "bascule-agent status --json")
            return try #require(try JSONDecoder().decode(AgentStatus.self, from: Data(text.utf8)).healing)
        }

        private func events(_ node: NodeName = "a") async throws -> [AgentEvent] {
            let text = try await scene.shell(node, "cat /var/lib/bascule/outbox/current")
            return try text.split(separator: "\n").map {
                try JSONDecoder().decode(AgentEvent.self, from: Data($0.dropFirst(9).utf8))
            }
        }

        /// Fault 15. Where the machine enforces memory limits it is the OOM killer, elsewhere the address space ends.
        @Test func aServiceThatDiesOfHungerIsStartedEverMoreSeldom() async throws {
            try await converge(Sample.blank("a") + Self.hungry, settings: #"{"backoffCap": 6}"#)
            let unit: ResourceID = "a/unit:hungry.service"
            try await scene.shell("a", "touch /srv/hungry; systemctl kill -s KILL hungry.service")
            func waiting() async throws -> Drift? {
                try await status().drift.first { $0.resource == unit && $0.reason == .backoff }
            }
            let waits = try await eventually(within: 20) {
                try await waiting().map { ($0.until ?? 0) > Date().timeIntervalSince1970 + 3 } ?? false
            }
            let attempts = try await events().filter { $0.resource == unit }
            #expect(waits && (3...8).contains(attempts.count), "\(attempts.map { "\($0.kind) \($0.time)" })")
            #expect(try await scene.shell("a", "bascule-agent now").hasPrefix("DEGRADED"))
            try await scene.shell("a", "rm /srv/h.conf; sleep 0.8; test -e /srv/h.conf; rm /srv/hungry")
            let back = try await eventually(within: 12) {
                try await scene.run("a", "systemctl", "-q", "is-active", "hungry.service").status == 0
            }
            #expect(back, "the cap ends every wait")
        }

        /// Fault 17.
        @Test func driftDuringAnApplyIsTakenUpAfterIt() async throws {
            try await converge(Sample.blank("a") + Sample.files(150, item: 1, in: "f17"))
            try scene.fleet(Sample.blank("a") + Sample.files(150, item: 2, in: "f17"))
            let run = try scene.begin("apply", "--yes")
            let path = try await scene.shell(
                "a",
                // Others are done after it, so that its own step has looked at it again.
                """
                until f=$(grep -l 'item 2' /srv/f17/*.conf); [ $(echo $f | wc -w) -ge 4 ]; do :; done
                set -- $f; echo mine > $1; echo $1
                """)
            #expect(try await run.ended(within: 120) == 0, "\(run.output)")
            let whole = try await eventually(within: 2) {
                try await scene.run("a", "grep", "-q", "item 2", path).status == 0
            }
            #expect(whole)
            let healed = try await events().filter { $0.resource == ResourceID(rawValue: "a/file:\(path)") }
            let ended = try #require(
                try await scene.journal("a").last { if case .ended = $0.event { true } else { false } })
            #expect(healed.map(\.kind) == [.healed] && (healed.first?.time ?? 0) >= ended.time)
            try await scene.expectNothingTwice("a")
        }

        @Test func theMaintenancePageIsNotUndone() async throws {
            try await converge(Sample.blank("a") + Self.hungry)
            let edge =
                #"{"mode":"maintenance","spec":{"domains":["x.example"],"newAddress":"203.0.113.1","retryAfter":60}}"#
            try await scene.shell("a", "printf '%s' '\(edge)' > /var/lib/bascule/edge.json; sleep 0.2")
            try await scene.shell("a", "rm /srv/h.conf; systemctl stop hungry; sleep 1")
            #expect(
                try await scene.shell("a", "ls /srv/h.conf 2>/dev/null; systemctl is-active hungry || true")
                    == "inactive")
            let now = try await status()
            #expect(now.drift.map(\.reason) == [.migration, .migration] && now.suspended != nil)
            try await scene.shell("a", "systemctl start hungry; systemctl kill -s KILL hungry.service")
            #expect(
                try await eventually(within: 5) {
                    try await scene.run("a", "systemctl", "-q", "is-active", "hungry.service").status == 0
                }, "a crash is no part of a migration")
            try await scene.shell("a", "rm /var/lib/bascule/edge.json")
            #expect(
                try await eventually(within: 5) { try await scene.run("a", "test", "-e", "/srv/h.conf").status == 0 })
        }

        @Test func aDiskUnderItsFloorGivesUpTheReserveThenWhatIsDispensable() async throws {
            let text = Sample.blank("f", disk: "192MiB") + "  - {on: all, file: /srv/h.conf, content: \"h\\n\"}\n"
            try await converge(text, on: "f", settings: #"{"diskFloor": 20971520, "diskReserve": 8388608}"#)
            #expect(
                try await eventually(within: 8) {
                    try await scene.run("f", "test", "-e", "/var/lib/bascule/reserve").status == 0
                })
            try await scene.shell(
                "f",
                "head -c 1000000 /dev/zero > /var/cache/apt/archives/old_1_all.deb; free=$(df --output=avail -B1 /var/lib/bascule | tail -1); fallocate -l $((free-10485760)) /var/filler"
            )
            #expect(try await eventually(within: 8) { try await events("f").contains { $0.kind == .diskFreed } })
            let said = try await scene.shell(
                "f", "ls /var/lib/bascule/reserve /var/cache/apt/archives/*.deb 2>/dev/null; bascule-agent now")
            #expect(said.hasPrefix("ACT NOW"), "\(said)")
            try await scene.shell("f", "rm /var/filler")
            #expect(try await eventually(within: 8) { try await events("f").contains { $0.kind == .diskRestored } })
            #expect(try await scene.shell("f", "stat -c %s /var/lib/bascule/reserve") == "8388608")
        }
    }
}
