import BasculeModel
import BasculeProviders
import BasculeStore
import Foundation
import Testing

extension OnNodes {
    /// What somebody can do who has stolen the fleet's SSH key, and what the unit's sandbox leaves.
    @Suite(.serialized, .scene("forced")) struct ForcedCommandTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func converge(_ entries: String = "") async throws {
            try scene.fleet(Sample.blank("n1") + Sample.files(1, item: 1) + entries)
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
        }

        /// OpenSSH's own client with the fleet's key; standard input is at its end.
        private func ssh(_ words: String..., program: String = "ssh") async throws -> CommandResult {
            let key = "\(scene.folder)/stolen"
            if !FileManager.default.fileExists(atPath: key) {
                let secret = try #require(try Store(path: scene.store).secret("bascule.fleet-key"))
                try Data(secret.revealBytes()).write(to: URL(fileURLWithPath: key))
                chmod(key, 0o600)
            }
            return try await Command.run(
                [
                    program, "-i", key, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o",
                    "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o",
                    "ConnectTimeout=5",
                ] + words, deadline: .seconds(20))
        }

        @Test func theFleetsKeyOpensNothingButTheBridge() async throws {
            try await converge()
            let login = "bascule@\(try await scene.lab.node("n1").address)"
            // The bridge starts whatever is asked for, hears the end of input, and says nothing.
            for said in [
                try await ssh(login, "id"), try await ssh(login, "touch /tmp/was-here; id"),
                try await ssh("-s", login, "sftp"),
            ] {
                #expect(said.stdout.isEmpty, "\(said.all)")
            }
            let terminal = try await ssh("-tt", login)
            #expect(terminal.errorText.contains("PTY allocation request failed"), "\(terminal.all)")
            let remote = try await ssh("-N", "-R", "47111:127.0.0.1:22", login)
            #expect(remote.status != 0 && remote.errorText.contains("forward"), "\(remote.all)")
            // A local forward is only refused when something goes through it: the node's own SSH port does not answer.
            let local = try await ssh("-W", "127.0.0.1:22", login)
            #expect(!local.text.contains("SSH-2.0"), "\(local.all)")
            #expect(local.errorText.contains("administratively prohibited"), "\(local.all)")
            let copied = try await ssh("/etc/hostname", "\(login):/tmp/was-here", program: "scp")
            #expect(copied.status != 0, "\(copied.all)")
            #expect(try await scene.run("n1", "test", "-e", "/tmp/was-here").status == 1)
        }

        /// Without a key of its own, and with every other way in.
        @Test func theAgentsUserHasNoOtherWayIn() async throws {
            try await converge()
            #expect(try await scene.shell("n1", "getent shadow bascule | cut -d: -f2") == "*")
            #expect(
                try await scene.shell(
                    "n1", "stat -c '%U %a' /etc/bascule/authorized_keys; sed 's/ssh-.*//' /etc/bascule/authorized_keys")
                    == "root 644\nrestrict,command=\"exec /usr/local/lib/bascule/bascule-agent connect\"")
        }

        /// The sandbox of the unit is one that packages, accounts, packet filter, kernel settings and timers live with.
        @Test func theUnitIsHardenedAndStillDoesItsWork() async throws {
            try await converge(
                """
                  - {on: all, package: [nftables, cowsay]}
                  - {on: all, user: hardened, system: true}
                  - {on: all, sysctl: net.ipv4.tcp_fin_timeout, value: "29"}
                  - {on: all, firewall: metrics, allow: [9100], from: 10.0.0.0/8}
                  - {on: all, timer: tick, schedule: "*-*-* 04:00:00", command: /bin/true}

                """)
            #expect(
                try await scene.shell(
                    "n1",
                    "getent passwd hardened | cut -d: -f1; sysctl -n net.ipv4.tcp_fin_timeout; nft list table inet bascule | grep -c 9100; /usr/games/cowsay x | wc -l"
                )
                    == "hardened\n29\n1\n8")
            let pid = try await scene.shell("n1", "systemctl show -P MainPID bascule-agent")
            #expect(
                try await scene.shell("n1", "grep -E '^(NoNewPrivs|Seccomp):' /proc/\(pid)/status | tr -d '\\t'")
                    == "NoNewPrivs:1\nSeccomp:2")
            let score = try await scene.shell(
                "n1", "systemd-analyze security bascule-agent.service --no-pager | tail -1")
            let figure = score.split(separator: " ").compactMap { Double($0) }.first ?? 10
            #expect(figure < 8, "\(score)")
        }
    }
}
