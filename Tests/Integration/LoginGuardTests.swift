import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// The dead man's switch: what could lock the administrator out goes back by itself unless a fresh login confirms it.
    @Suite(.serialized, .scene("guard")) struct LoginGuardTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static let sshd = "/etc/ssh/sshd_config.d/10-own.conf"
        private static let rules = "/etc/nftables.conf"

        /// The node with its sshd drop-in and packet filter as told; both start out harmless.
        private func fleet(
            sshd: String = "MaxAuthTries 5", drop: String = "tcp dport 9 drop", unconfirmed: String = "4s",
            image: String = "debian12"
        ) throws {
            try scene.fleet(
                """
                caps: {unconfirmed: \(unconfirmed)}
                nodes:
                  n1: {provider: lab, image: \(image), disk: 600MiB}
                topologies:
                  single: {n1: []}
                topology: single
                resources:
                  - {on: all, package: nftables}
                  - {on: all, file: \(Self.sshd), content: "\(sshd)\\n"}
                  - {on: all, file: \(Self.rules), content: "flush ruleset\\ntable inet own { chain input { type filter hook input priority 0; \(drop); }; }\\n"}
                  - {on: all, unit: nftables.service, state: running, enabled: true, restartOn: [\(Self.rules)]}

                """)
        }

        private func converge() async throws {
            try fleet()
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
        }

        /// Everything that decides about a login, as text.
        private func state() async throws -> String {
            try await scene.shell(
                "n1", "cat \(Self.sshd) \(Self.rules); nft list ruleset; systemctl is-active ssh nftables; sshd -T")
        }

        private func expectWhole(_ before: String, _ location: SourceLocation = #_sourceLocation) async throws {
            #expect(try await state() == before, sourceLocation: location)
            try fleet()
            let again = try await scene.bascule("apply", "--yes")
            #expect(
                again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)", sourceLocation: location)
        }

        @Test func aGoodChangeIsConfirmedAndStays() async throws {
            try await converge()
            try fleet(sshd: "MaxAuthTries 4")
            let plan = try await scene.bascule("plan")
            #expect(plan.text.contains("goes back by itself unless a fresh login confirms it within 4"), "\(plan.all)")
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 0, "\(applied.all)")
            try await Task.sleep(for: .seconds(4.5))
            #expect(
                try await scene.shell("n1", "sshd -T | grep maxauthtries; cat \(Self.sshd)")
                    == "maxauthtries 4\nMaxAuthTries 4")
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
        }

        @Test(arguments: ["tcp dport 22 drop", "tcp dport 22 ct state new drop"])
        func aPacketFilterThatBreaksTheLoginGoesBack(_ rule: String) async throws {
            try await converge()
            let before = try await state()
            try fleet(drop: rule)
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 1 && applied.all.contains("[reverted-unconfirmed]"), "\(applied.all)")
            try await expectWhole(before)
        }

        @Test func anSSHServerThatRefusesTheKeyGoesBack() async throws {
            try await converge()
            let before = try await state()
            try fleet(sshd: "AllowUsers nobody")
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 1 && applied.all.contains("[reverted-unconfirmed]"), "\(applied.all)")
            #expect(applied.all.contains("[ssh-auth-failed]"), "the fresh login was refused: \(applied.all)")
            try await expectWhole(before)
        }

        @Test func aConfigurationThatSSHDDoesNotUnderstandGoesBackAtOnce() async throws {
            try await converge()
            let before = try await state()
            try fleet(sshd: "AllowUsersss nobody", unconfirmed: "60s")
            let began = ContinuousClock.now
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 1 && applied.all.contains("[check-failed]"), "\(applied.all)")
            #expect(ContinuousClock.now - began < .seconds(20))
            try await expectWhole(before)
        }

        private func waiting(for run: Running) async throws {
            try #require(
                try await eventually(within: 20, every: .milliseconds(20)) {
                    try await scene.run(
                        "n1", "grep", "-q", "waiting", "/var/lib/bascule/login-guard.json"
                    ).status == 0
                }, "\(run.output)")
        }

        @Test func theAgentIsKilledBetweenTheChangeAndItsConfirmation() async throws {
            try await converge()
            let before = try await state()
            try fleet(sshd: "AllowUsers nobody")
            let run = try scene.begin("apply", "--yes")
            try await waiting(for: run)
            try await scene.killAgent("n1")
            #expect(try await run.ended(within: 60) == 1, "\(run.output)")
            #expect(run.output.contains("[reverted-unconfirmed]"), "\(run.output)")
            try await expectWhole(before)
        }

        @Test func everybodyIsKilledAndNobodyComesBack() async throws {
            try await converge()
            let before = try await state()
            try fleet(sshd: "AllowUsers nobody")
            let run = try scene.begin("apply", "--yes")
            try await waiting(for: run)
            run.kill9()
            try await scene.killAgent("n1")
            let back = try await eventually(within: 15) { try await state() == before }
            #expect(back, "the node helps itself")
            let told = try await scene.bascule("apply", "--yes")
            #expect(told.all.contains("reverted-unconfirmed"), "the next run tells what became of it: \(told.all)")
            try await expectWhole(before)
        }

        @Test func thePowerIsCutBetweenTheChangeAndItsConfirmation() async throws {
            try await converge()
            let before = try await state()
            try fleet(sshd: "AllowUsers nobody", drop: "tcp dport 22 drop", unconfirmed: "600s")
            let run = try scene.begin("apply", "--yes")
            try await waiting(for: run)
            run.kill9()
            try await scene.lab.cutPower("n1")
            _ = try await scene.lab.boot("n1")
            let back = try await eventually(within: 20) { try await state() == before }
            #expect(back, "what nobody confirmed before the power went is put back at the start")
            try await expectWhole(before)
        }
    }
}
