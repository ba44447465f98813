import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// `services.system` as a whole: what it hardens, what a hand breaks of it, and what keeps it from locking anybody out.
    @Suite(.serialized, .scene("system"), .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct SystemTests {
        let scene: Scene
        private let node: NodeName = "n1"

        init() throws { scene = try #require(Scene.shared) }

        private func fleet(_ image: String, _ more: String = "") -> String {
            """
            caps: {unconfirmed: 5s}
            nodes: {n1: {provider: lab, image: \(image)}}
            topologies: {only: {n1: [app]}}
            services:
              system: {users: {ann: {keys: ["ssh-ed25519 QUJD ann"]}}\(more)}
            apps:
              web: {source: {path: ./web}, start: perl server.pl, port: 3000, health: {path: /, timeout: 10s}}

            """
        }

        @Test(.timeLimit(.minutes(15)), arguments: ["debian12", "debian13"])
        func hardensIsMendedAndLocksNobodyOut(_ image: String) async throws {
            try await scene.startAnew()
            try scene.write("web/server.pl", Sample.server())
            try await scene.converge(fleet(image))
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
            // A container has no clock, no swap, no AppArmor and no accounting of its own: told, not failed.
            for unit in ["apparmor", "bascule-swap", "chrony", "acct"] {
                #expect(again.text.contains("unit:\(unit).service: a condition"), "\(unit): \(again.text)")
            }
            #expect(try await scene.shell(node, "systemctl --failed --no-legend | wc -l") == "0")
            try await expectHardening()
            try await expectUpgrades()
            try await scene.expectFoundAndMended(Self.broken, on: [node])
            try await expectNobodyIsLockedOut(image)
        }

        private func expectHardening() async throws {
            let units = try await scene.shell(
                node,
                "grep -l '^# Managed by Bascule' /etc/systemd/system/*.service /etc/systemd/system/*.service.d/*.conf"
                    + " | sed 's#/etc/systemd/system/##; s#\\.d/.*##; s#@\\.#@3000.#' | sort -u"
            )
            for unit in units.split(separator: "\n") where unit != "apt-daily-upgrade.service" {
                let safe = try await scene.run(
                    node, "systemd-analyze", "security", "--threshold=30", "--no-pager", "\(unit)")
                #expect(safe.status == 0, "\(unit): \(safe.text.split(separator: "\n").last ?? "")")
            }
            #expect(units.contains("bascule-mounts.service") && units.contains("fail2ban.service"), "\(units)")
            // Somebody who is not root opens a session, and sees nobody else's processes in it.
            let seen = try await scene.shell(
                node, "su - ann -c 'test -e /proc/1 && echo seen; echo $XDG_RUNTIME_DIR; umask; ulimit -c'")
            #expect(seen.hasPrefix("/run/user/") && seen.hasSuffix("\n0027\n0"), "\(seen)")
            let exec = try await scene.run(
                node, "sh", "-c", "cp /bin/true /dev/shm/x; /dev/shm/x; s=$?; rm /dev/shm/x; exit $s")
            #expect(exec.status == 126, "nothing in shared memory is a program")
            // What a machine of its own would load into its kernel is well-formed.
            let profiles = try await scene.run(
                node, "apparmor_parser", "--skip-kernel-load", "--skip-cache", "/etc/apparmor.d")
            #expect(profiles.status == 0, "\(profiles.all)")
        }

        /// The first upgrades run by themselves; what they leave is a step of the next plan.
        private func expectUpgrades() async throws {
            let tool = "/usr/local/lib/bascule/upgrades"
            #expect(try await scene.run(node, tool, "begun").status == 0)
            // They begin a minute after the apply, so as not to slow it.
            let ended = try await eventually(within: 300, every: .seconds(1)) {
                try await scene.shell(
                    node,
                    """
                    systemctl show -P ActiveState apt-daily.service apt-daily-upgrade.service | sort -u | xargs
                    systemctl show -P ExecMainExitTimestampMonotonic apt-daily-upgrade.service | sed 's/[1-9].*/over/'
                    """) == "inactive\nover"
            }
            #expect(ended)
            let origins = try await scene.lab.exec(
                node, ["unattended-upgrade", "--dry-run", "--debug"], deadline: .seconds(240))
            #expect(origins.all.contains("label=Debian-Security"), "\(origins.all)")
            #expect(try await scene.run(node, tool, "none").status == 0)
            try await scene.shell(node, "echo bash > /var/lib/misc/bascule-upgrades")
            let plan = try await scene.bascule("plan")
            #expect(plan.status == 2 && plan.text.contains("kept-upgrades"), "\(plan.all)")
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 0, "\(applied.all)")
            #expect(try await scene.run(node, tool, "none").status == 0)
        }

        private static let broken: [Breakage] = [
            .init(
                "n1", "usermod -s /bin/sh ann", "user:ann", check: "getent passwd ann | cut -d: -f7", is: "/bin/bash"),
            file("/home/ann/.ssh/authorized_keys", "echo 'ssh-ed25519 QUJE eve' >>", mode: 600),
            file("/etc/sudoers.d/bascule-ann", "rm", mode: 440),
            file("/etc/ssh/sshd_config.d/20-bascule-hardening.conf", "chmod 644", mode: 600),
            file("/etc/issue.net", "echo hello >", mode: 644),
            file("/etc/fail2ban/jail.local", "sed -i s/enabled.*/enabled=false/", mode: 644),
            file("/usr/local/lib/bascule/known-address", "chmod 644", mode: 755),
            file("/etc/chrony/sources.d/bascule.sources", "rm", mode: 644),
            file("/etc/systemd/journald.conf.d/10-bascule.conf", "echo Storage=none >>", mode: 644),
            file("/etc/login.defs", "echo UMASK 000 >>", mode: 644),
            file("/etc/modprobe.d/bascule.conf", "rm", mode: 644),
            file("/etc/security/limits.d/10-bascule.conf", "echo >", mode: 644),
            file("/etc/apt/apt.conf.d/51bascule-upgrades", "rm", mode: 644),
            file("/etc/needrestart/conf.d/50-bascule.conf", "rm", mode: 644),
            file("/etc/aide/aide.conf", "chmod 644", mode: 600),
            .init(
                "n1", "chmod 755 /etc/cron.daily", "directory:/etc/cron.daily", check: "stat -c %a /etc/cron.daily",
                is: "700"),
            .init(
                "n1", "systemctl stop fail2ban.service", "unit:fail2ban.service",
                check: "systemctl is-active fail2ban.service", is: "active"),
            .init(
                "n1", "systemctl disable -q --now bascule-reboot.timer", "unit:bascule-reboot.timer",
                check: "systemctl is-enabled bascule-reboot.timer; systemctl is-active bascule-reboot.timer",
                is: "enabled\nactive"),
            .init(
                "n1", "sed -i s/weekly/yearly/ /etc/systemd/system/bascule-integrity.timer",
                "unit:bascule-integrity.timer",
                check: "systemctl cat bascule-integrity.timer | grep -c OnCalendar=weekly", is: "1"),
            .init(
                "n1", "rm -r /etc/systemd/system/acct.service.d", "unit:acct.service",
                check: "grep -c SYS_PACCT /etc/systemd/system/acct.service.d/10-bascule.conf", is: "1"),
            .init(
                "n1", "systemctl mask -q --now apt-daily-upgrade.timer", "unit:apt-daily-upgrade.timer",
                check: "systemctl is-enabled apt-daily-upgrade.timer", is: "enabled"),
            .init(
                "n1", "DEBIAN_FRONTEND=noninteractive dpkg --remove debsums", "package:debsums",
                check: "dpkg-query -W -f '${db:Status-Status}' debsums", is: "installed"),
            .init(
                "n1", "DEBIAN_FRONTEND=noninteractive apt-get install -y -q rpcbind >/dev/null", "package:rpcbind",
                check: "test -e /usr/sbin/rpcbind && echo there || echo gone", is: "gone"),
            .init(
                "n1", "sysctl -qw net.ipv4.conf.all.accept_redirects=1",
                "sysctl:net.ipv4.conf.all.accept_redirects",
                check: "sysctl -n net.ipv4.conf.all.accept_redirects", is: "0"),
        ]

        /// A file on which something is done that its mode, or its being there, tells.
        private static func file(_ path: String, _ deed: String, mode: Int) -> Breakage {
            Breakage("n1", "\(deed) \(path)", "file:\(path)", check: "stat -c %a \(path)", is: "\(mode)")
        }

        /// The service's own sshd file goes through the dead man's switch: one that shuts the controller out goes back.
        private func expectNobodyIsLockedOut(_ image: String) async throws {
            let whole = try await scene.shell(node, "sshd -T")
            try scene.write("templates/system-sshd.conf", "AllowUsers nobody\n")
            let refused = try await scene.bascule("apply", "--yes")
            #expect(refused.status == 1 && refused.all.contains("[reverted-unconfirmed]"), "\(refused.all)")
            #expect(try await scene.shell(node, "sshd -T") == whole)
            try FileManager.default.removeItem(atPath: "\(scene.folder)/templates/system-sshd.conf")
            let nothing = try await scene.bascule("apply", "--yes")
            #expect(nothing.status == 0 && nothing.text.contains("Nothing to do"), "\(nothing.all)")
            try scene.fleet(fleet(image, ", ssh: {tunnels: false}"))
            let plan = try await scene.bascule("plan")
            #expect(plan.text.contains("goes back by itself unless a fresh login confirms it"), "\(plan.all)")
            let confirmed = try await scene.bascule("apply", "--yes")
            #expect(confirmed.status == 0, "\(confirmed.all)")
            try await Task.sleep(for: .seconds(5.5))
            #expect(
                try await scene.shell(node, "sshd -T -C user=root,host=x,addr=127.0.0.1 | grep ^allowtcpforwarding")
                    == "allowtcpforwarding no")
        }
    }
}
