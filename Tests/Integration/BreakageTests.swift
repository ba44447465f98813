import BasculeModel
import Foundation
import Testing

/// One thing that a hand does to a node, what `bascule drift` has to name, and how it is when it is whole again.
struct Breakage: Sendable {
    let node: NodeName
    let script: String
    /// The resource's id on the node.
    let id: String
    let check: String
    let whole: String

    init(_ node: NodeName, _ script: String, _ id: String, check: String, is whole: String) {
        (self.node, self.script, self.id, self.check, self.whole) = (node, script, id, check, whole)
    }
}

extension Scene {
    /// Breaks all of them while the agents hold still, sees drift name each and an apply mend each.
    func expectFoundAndMended(
        _ table: [Breakage], on nodes: [NodeName], _ location: SourceLocation = #_sourceLocation
    ) async throws {
        // Else the agents would have put most of it back by then.
        for node in nodes { try await shell(node, "bascule-agent hold") }
        let result: Result<Void, any Error>
        do { result = .success(try await breakAndMend(table, location)) } catch { result = .failure(error) }
        for node in nodes { try await shell(node, "bascule-agent release") }
        try result.get()
    }

    private func breakAndMend(_ table: [Breakage], _ location: SourceLocation) async throws {
        for entry in table {
            let done = try await lab.exec(entry.node, ["sh", "-c", entry.script], deadline: .seconds(240))
            try #require(done.status == 0, "\(entry.script): \(done.all)", sourceLocation: location)
        }
        let plan = try await bascule("plan", "--json")
        #expect(plan.status == 2, "\(plan.all)", sourceLocation: location)
        let drift = try await bascule("drift")
        #expect(drift.status == 2, sourceLocation: location)
        for entry in table {
            #expect(
                plan.text.contains("\(entry.node)/\(entry.id)\""), "\(entry.id)\n\(drift.all)", sourceLocation: location
            )
        }
        let applied = try await bascule("apply", "--yes", "--json")
        #expect(applied.status == 0, "\(applied.all)", sourceLocation: location)
        let after = try await bascule("drift")
        #expect(after.status == 0, "\(after.all)", sourceLocation: location)
        for entry in table {
            let now = try await shell(entry.node, entry.check)
            #expect(now == entry.whole, "\(entry.id)", sourceLocation: location)
        }
    }
}

extension OnNodes.ConvergenceTests {
    private static let sql = "cd /; runuser -u postgres -- psql -AtXq"

    /// Of each kind of thing that Bascule manages, at least one; what is broken here the agents would mostly mend alone.
    private static let broken: [Breakage] = [
        .init(
            "d12", "echo 'item = 666' >> /srv/it/d1/f1.conf", "file:/srv/it/d1/f1.conf",
            check: "cat /srv/it/d1/f1.conf", is: "# of 1\nitem = 0"),
        .init(
            "d12", "chmod 0777 /srv/it/d3/f3.conf", "file:/srv/it/d3/f3.conf",
            check: "stat -c %a /srv/it/d3/f3.conf", is: "640"),
        .init(
            "d12", "chown svc0 /srv/it/d4/f4.conf", "file:/srv/it/d4/f4.conf",
            check: "stat -c %U /srv/it/d4/f4.conf", is: "svc4"),
        .init(
            "d12", "rm /srv/it/uploaded.bin", "file:/srv/it/uploaded.bin", check: "wc -c < /srv/it/uploaded.bin",
            is: "18"),
        .init(
            "d12", "echo hello > /etc/motd", "file:/etc/motd", check: "ls /etc/motd 2>/dev/null || echo none",
            is: "none"),
        .init("d12", "chmod 0777 /srv/it/d2", "directory:/srv/it/d2", check: "stat -c %a /srv/it/d2", is: "750"),
        .init(
            "d12", "ln -sfn /tmp /srv/it/current", "symlink:/srv/it/current", check: "readlink /srv/it/current",
            is: "/srv/it/d0"),
        .init("d12", "groupdel spare", "group:spare", check: "getent group spare | cut -d: -f1", is: "spare"),
        .init("d12", "gpasswd -d svc1 crew", "user:svc1", check: "id -nG svc1", is: "svc1 crew"),
        .init(
            "d12", "systemctl stop it3.service", "unit:it3.service", check: "systemctl is-active it3.service",
            is: "active"),
        .init(
            "d12", "systemctl disable -q it2.service", "unit:it2.service", check: "systemctl is-enabled it2.service",
            is: "enabled"),
        .init(
            "d12", "echo LimitNOFILE=9 >> /etc/systemd/system/it1.service.d/limits.conf", "unit:it1.service",
            check: "systemctl show -P LimitNOFILE it1.service", is: "4096"),
        .init(
            "d12", "sed -i s/infinity/9999/ /etc/systemd/system/it5.service", "unit:it5.service",
            check: "systemctl cat it5.service | grep -c infinity", is: "1"),
        .init(
            "d12", "systemctl stop tick.timer; rm /etc/systemd/system/tick.timer", "timer:tick",
            check: "systemctl is-active tick.timer", is: "active"),
        .init(
            "d12", "sysctl -qw net.ipv4.tcp_fin_timeout=60", "sysctl:net.ipv4.tcp_fin_timeout",
            check: "sysctl -n net.ipv4.tcp_fin_timeout", is: "31"),
        .init(
            "d12", "nft delete table inet bascule", "firewall:inbound", check: "nft list ruleset | grep -c 9100",
            is: "1"),
        // What would be missing only at the next boot.
        .init(
            "d13", "systemctl disable -q bascule-firewall.service", "firewall:inbound",
            check: "systemctl is-enabled bascule-firewall.service", is: "enabled"),
        .init(
            "d13", "rm /etc/sysctl.d/60-bascule-net.ipv4.tcp_fin_timeout.conf", "sysctl:net.ipv4.tcp_fin_timeout",
            check: "tail -1 /etc/sysctl.d/60-bascule-net.ipv4.tcp_fin_timeout.conf", is: "net.ipv4.tcp_fin_timeout = 31"
        ),
        .init(
            "d13", "rm /etc/postgresql/node.key", "certificate:postgresql",
            check: "head -c 10 /etc/postgresql/node.key", is: "-----BEGIN"),
        .init(
            "d13", "\(sql) -c 'ALTER ROLE reader CREATEDB'", "postgresRole:reader",
            check: "\(sql) -c \"SELECT rolcreatedb FROM pg_roles WHERE rolname = 'reader'\"", is: "f"),
        .init(
            "d13", "\(sql) -c 'ALTER DATABASE extra OWNER TO postgres'", "postgresDatabase:extra",
            check: "\(sql) -c \"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'extra'\"", is: "writer"
        ),
        .init(
            "d13", "\(sql) -d extra -c 'DROP EXTENSION citext'", "postgresExtension:extra.citext",
            check: "\(sql) -d extra -c \"SELECT count(*) FROM pg_extension WHERE extname = 'citext'\"", is: "1"),
        .init(
            "d13", "\(sql) -c \"ALTER SYSTEM SET work_mem = '5MB'\"", "postgresSetting:work_mem",
            check: "\(sql) -c 'SHOW work_mem'", is: "9MB"),
        // The app: an instance, the release under it, its unit.
        .init(
            "d13", "systemctl stop bascule-web@3001.service", "app:web",
            check: "systemctl is-active bascule-web@3000.service bascule-web@3001.service", is: "active\nactive"),
        .init(
            "d13", "rm -r /srv/apps/web/releases/*", "release:web",
            check: "test -s /srv/apps/web/current/app/server.pl && echo there", is: "there"),
        .init(
            "d13", "echo '# by hand' >> /etc/systemd/system/bascule-web@.service", "unit:bascule-web@.service",
            check: "tail -1 /etc/systemd/system/bascule-web@.service | grep -c 'by hand' || true", is: "0"),
        // The system.
        .init(
            "d13", "DEBIAN_FRONTEND=noninteractive dpkg --remove libpam-tmpdir", "package:libpam-tmpdir",
            check: "dpkg-query -W -f '${db:Status-Status}' libpam-tmpdir", is: "installed"),
        .init(
            "d13", "systemctl mask -q apparmor.service", "unit:apparmor.service",
            check: "systemctl is-enabled apparmor.service", is: "enabled"),
        .init(
            "d13", "echo 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/20-bascule-hardening.conf",
            "file:/etc/ssh/sshd_config.d/20-bascule-hardening.conf",
            check: "sshd -T | grep -c '^permitrootlogin without'",
            is: "1"),
        .init(
            "d13", "mount -o remount,hidepid=0 /proc; systemctl stop bascule-mounts.service",
            "unit:bascule-mounts.service",
            check: "grep -c '^proc /proc .*hidepid=' /proc/mounts", is: "1"),
        .init(
            "d13", "rm /etc/systemd/system/bascule-swap.service", "unit:bascule-swap.service",
            check: "test -s /etc/systemd/system/bascule-swap.service && echo there", is: "there"),
        .init(
            "d13", "printf '#!/bin/sh\\n' > /usr/bin/tcc; chmod 755 /usr/bin/tcc", "command:compilers",
            check: "stat -c %a /usr/bin/tcc", is: "750"),
    ]

    @Test func whateverAHandBreaksIsDriftAndAnApplyMendsIt() async throws {
        try await converge()
        try await scene.expectFoundAndMended(Self.broken, on: nodes)
        // The agents mend files at once: a hold keeps this one for the eye.
        try await scene.shell("d12", "bascule-agent hold; echo 'item = 666' >> /srv/it/d1/f1.conf")
        let drift = try await scene.bascule("drift")
        #expect(drift.status == 2 && drift.text.contains("-item = 666"), "the diff: \(drift.text)")
        #expect(try await scene.shell("d12", "tail -1 /srv/it/d1/f1.conf") == "item = 666", "looking changes nothing")
        try await scene.shell("d12", "bascule-agent release")
    }
}
