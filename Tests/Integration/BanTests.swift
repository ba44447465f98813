import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// What keeps guessers out (sshd's penalties, few unauthenticated logins, a rate limit) does not keep the controller out.
    @Suite(.serialized, .scene("ban")) struct BanTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static let limits = "MaxStartups 2:100:3\\nPerSourcePenalties authfail:10s min:20s noauth:5s max:120s"
        private static let rate = "tcp dport 22 ct state new limit rate over 20/minute burst 12 packets drop"

        private func fleet(sshd: String = limits, files: Int) throws {
            try scene.fleet(
                """
                caps: {unconfirmed: 5s}
                nodes:
                  n1: {provider: lab, image: debian13}
                topologies:
                  single: {n1: []}
                topology: single
                resources:
                  - {on: all, package: nftables}
                  - {on: all, file: /etc/ssh/sshd_config.d/10-own.conf, content: "\(sshd)\\n"}
                  - {on: all, file: /etc/nftables.conf, content: "flush ruleset\\ntable inet own { chain input { type filter hook input priority 0; \(Self.rate); }; }\\n"}
                  - {on: all, unit: nftables.service, state: running, enabled: true, restartOn: [/etc/nftables.conf]}
                \(Sample.files(300, item: files, in: "slow"))
                """)
        }

        private func logins() async throws -> Int {
            Int(try await scene.shell("n1", "journalctl -o cat -t sshd -t sshd-session | grep -c '^Accepted' || true"))
                ?? 0
        }

        @Test func aRunWithRetriesAndRefusalsIsNotBanned() async throws {
            try fleet(files: 1)
            let first = try await scene.bascule("apply", "--yes")
            try #require(first.status == 0, "\(first.all)")
            // The agent dies again and again: every time the controller has to log in anew.
            let before = try await logins()
            try fleet(files: 2)
            let run = try scene.begin("apply", "--yes", "--json")
            try #require(try await run.says("\"finished\"", within: 60), "\(run.output)")
            for _ in 0..<4 where run.status == nil {
                try await scene.killAgent("n1")
                try await Task.sleep(for: .seconds(1))
            }
            #expect(try await run.ended(within: 120) == 0, "\(run.output)")
            let spent = try await logins() - before
            #expect((1...13).contains(spent), "\(spent) logins")
            // A login that is refused, because the change itself was wrong.
            try fleet(sshd: "\(Self.limits)\\nAllowUsers nobody", files: 2)
            let refused = try await scene.bascule("apply", "--yes")
            #expect(refused.status == 1 && refused.all.contains("[reverted-unconfirmed]"), "\(refused.all)")
            try fleet(files: 3)
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0, "\(again.all)")
            let said = try await scene.shell(
                "n1",
                "journalctl -o cat -t sshd -t sshd-session | grep -ciE 'penalt|not allowed at this time|MaxStartups' || true"
            )
            #expect(said == "0", "sshd never had to slow it down")
        }
    }
}
