import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// Backups that silently stop, on a node that watches itself: Prometheus fires by age, and stops when they go on.
    @Suite(.serialized, .scene("oldbackup"), .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct BackupAlertTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static let fleet = """
            nodes: {vps1: {provider: lab, image: debian12}}
            topologies: {single: {vps1: [database, backup, monitoring]}}
            services:
              postgresql: {databases: {shop: {}}}
              backup:
                targets: {local: {path: /srv/backup}}
                postgresql: {rpo: 10s}
                borg: {targets: [local]}
              monitoring: {interval: 5s, webhook: !secret HOOK}

            """

        /// What fires now, of the alerts about backups.
        private func firing() async throws -> Set<String> {
            let script = """
                import json, urllib.request
                found = json.load(urllib.request.urlopen("http://127.0.0.1:9090/api/v1/alerts"))["data"]["alerts"]
                print(" ".join(a["labels"]["alertname"] + "/" + a["labels"].get("kind", "") for a in found
                               if a["state"] == "firing" and a["labels"].get("about") == "backup"))
                """
            let result = try await scene.run("vps1", "python3", "-", stdin: script)
            try #require(result.status == 0, "\(result.all)")
            return Set(result.text.split(whereSeparator: \.isWhitespace).map(String.init))
        }

        private func wait(_ what: Set<String>, _ location: SourceLocation = #_sourceLocation) async throws {
            var seen: Set<String> = []
            let came = try await eventually(within: 150, every: .seconds(3)) {
                seen = try await firing()
                return seen == what
            }
            #expect(came, "\(seen.sorted()) instead of \(what.sorted())", sourceLocation: location)
        }

        @Test(.timeLimit(.minutes(15))) func whatIsTooOldIsToldAndClears() async throws {
            // The fleet's own templates, the same but for how long something has to be true.
            let name = "monitoring-rules-backup.yml"
            let text = try String(
                contentsOfFile: "\(Program.checkout)/Sources/Controller/Catalogue/Templates/\(name)", encoding: .utf8)
            try scene.write("templates/\(name)", text.replacing(#/for: \S+/#, with: "for: 4s"))
            try scene.fleet(Self.fleet)
            let set = try await scene.bascule("secret", "set", "HOOK", stdin: "http://127.0.0.1:9999/alerts")
            try #require(set.status == 0, "\(set.all)")
            try await scene.converge(Self.fleet)
            let made = try await eventually(within: 120) {
                try await scene.run(
                    "vps1", "sh", "-c",
                    "grep -q '\"verified\"' /var/lib/bascule-backup/postgresql/target-local.json && grep -q '\"time\"' /var/lib/bascule-backup/borg/target-local.json && ! systemctl is-active -q bascule-backup-postgresql bascule-backup-borg"
                ).status == 0
            }
            #expect(made, "no backups")
            // What was missing until now is there.
            try await wait([])
            #expect(try await scene.bascule("hold", "vps1").status == 0)

            // A job that has not succeeded for three days, and says nothing.
            let state = "/var/lib/bascule-backup"
            try await scene.shell(
                "vps1",
                """
                systemctl stop bascule-backup-postgresql.timer bascule-backup-borg.timer
                python3 - <<'E'
                import json, time
                for path, keys in (("\(state)/postgresql/target-local.json", ("base", "verified")), ("\(state)/borg/target-local.json", ("time",))):
                    known = json.load(open(path))
                    for key in keys: known[key] = int(time.time()) - 3 * 86400
                    json.dump(known, open(path, "w"))
                E
                sed -i -E 's/^(bascule_backup_last_success[^ ]* ).*/\\1'$(($(date +%s) - 259200))'/' /var/lib/prometheus/node-exporter/bascule-backup-borg.prom
                """)
            try await wait(["BackupTooOld/postgresql", "BackupTooOld/postgresql-verified", "BackupTooOld/borg"])
            let fresh = try await scene.bascule("snapshot", "create")
            #expect(fresh.status == 0, "\(fresh.all)")
            try await scene.shell("vps1", "systemctl start bascule-backup-borg.service")
            try await wait([])

            // A target that takes no WAL any more: PostgreSQL keeps it, and somebody is told.
            try await scene.shell(
                "vps1",
                """
                cd /; chown -R root: /srv/backup/postgresql; chmod 700 /srv/backup/postgresql
                runuser -u postgres -- psql -qd shop -c 'CREATE TABLE t AS SELECT 1 AS n' -c 'SELECT pg_switch_wal()' >/dev/null
                """)
            try await wait(["WALNotArchived/"])
            try await scene.shell(
                "vps1", "chown -R postgres: /srv/backup/postgresql; chmod 750 /srv/backup/postgresql")
            try await wait([])
            #expect(try await scene.bascule("release", "vps1").status == 0)
        }
    }
}
