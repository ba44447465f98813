import Foundation
import Testing

extension OnNodes {
    /// PostgreSQL's backups on a node: archived, lost, restored to a second; and everything that must not restore.
    @Suite(.serialized, .scene("backup"), .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct BackupTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static func fleet(_ image: String) -> String {
            """
            nodes: {a: {provider: lab, image: \(image)}}
            topologies: {single: {a: [database, backup]}}
            services:
              postgresql: {databases: {shop: {}}}
              backup: {targets: {local: {path: /srv/backup}}}

            """
        }

        private let program = "/usr/local/lib/bascule/backup-postgresql"

        private func sql(_ text: String, in database: String = "shop") async throws -> String {
            try await scene.shell("a", "cd /; runuser -u postgres -- psql -XqAt -d \(database) -c \"\(text)\"")
        }

        private func waitForBase() async throws {
            let there = try await eventually(within: 120) {
                try await scene.run(
                    "a", "sh", "-c",
                    "grep -q '\"base\"' /var/lib/bascule-backup/postgresql/target-local.json && ! systemctl is-active -q bascule-backup-postgresql"
                ).status == 0
            }
            #expect(there, "no base backup")
        }

        @Test(.timeLimit(.minutes(12)), arguments: ["debian12", "debian13"])
        func whatWasLostComesBackToTheSecond(_ image: String) async throws {
            try await scene.startAnew()
            try await scene.converge(Self.fleet(image))
            try await waitForBase()
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
            #expect(try await sql("SHOW data_checksums") == "on")

            _ = try await sql("CREATE TABLE canary(t timestamptz PRIMARY KEY)")
            let moment = try await scene.shell(
                "a",
                """
                cd /; for i in 1 2 3; do runuser -u postgres -- psql -Xq shop -c 'INSERT INTO canary VALUES (clock_timestamp())'; sleep 1; done
                date -u +%Y-%m-%dT%H:%M:%SZ
                for i in 1 2; do sleep 1; runuser -u postgres -- psql -Xq shop -c 'INSERT INTO canary VALUES (clock_timestamp())'; done
                """)
            let point = try await scene.bascule("snapshot", "create", "--point", "before-sale")
            #expect(point.status == 0, "\(point.all)")
            let all = try await sql("SELECT count(*) FROM canary")
            #expect(all == "5")
            let before = try await sql("SELECT count(*) FROM canary WHERE t <= '\(moment)'")
            #expect(before == "3")

            try await expectRefusals()
            try await expectEveryDamageToBeLoud()

            // Lost: the server killed, its files gone.
            try await scene.shell(
                "a",
                """
                systemctl kill -s KILL postgresql@*; sleep 1
                # The agent may be starting it again meanwhile.
                for i in 1 2 3 4 5; do rm -rf /var/lib/postgresql/*/main/base /var/lib/postgresql/*/main/global && exit; sleep 1; done
                exit 1
                """
            )
            let restored = try await scene.bascule(
                "snapshot", "restore", "--to-time", moment, "--replace", "--other-cluster", "--yes")
            #expect(restored.status == 0, "\(restored.all)")
            #expect(try await sql("SELECT count(*), bool_and(t <= '\(moment)') FROM canary") == "3|t")
            #expect(try await sql("SELECT pg_is_in_recovery()") == "f")

            // What came after is still there, on the line that was left: one table of it, beside the running one.
            let table = try await scene.bascule(
                "snapshot", "restore", "--to-point", "before-sale", "--database", "shop", "--table", "public.canary",
                "--yes")
            #expect(table.status == 0, "\(table.all)")
            #expect(try await sql("SELECT count(*) FROM restored.canary") == "5")
            #expect(try await sql("SELECT count(*) FROM public.canary") == "3")
            let database = try await scene.bascule(
                "snapshot", "restore", "--to-point", "before-sale", "--database", "shop", "--as", "shop_before", "--yes"
            )
            #expect(database.status == 0, "\(database.all)")
            #expect(try await sql("SELECT count(*) FROM canary", in: "shop_before") == "5")

            // It goes on being backed up, and an apply finds nothing amiss.
            try await waitForBase()
            let listed = try await scene.bascule("snapshot", "list", "--json")
            #expect(listed.status == 0 && listed.text.contains("before-sale"), "\(listed.all)")
            let after = try await scene.bascule("apply", "--yes")
            #expect(after.status == 0 && after.text.contains("Nothing to do"), "\(after.all)")
            try await expectDriftIsMended()
            try await expectAnotherClusterIsRefused()
        }

        private func expectRefusals() async throws {
            let full = try await scene.bascule("snapshot", "restore", "--yes")
            #expect(
                full.status == 1 && full.all.contains("is not empty") && full.all.contains("[restore-refused]"),
                "\(full.all)")
            let early = try await scene.bascule("snapshot", "restore", "--to-time", "2020-01-01T00:00:00Z", "--yes")
            #expect(early.status == 1 && early.all.contains("no backup leads there"), "\(early.all)")
            let wrong = try await scene.bascule("snapshot", "restore", "--to-time", "yesterday", "--yes")
            #expect(wrong.status == 1 && wrong.all.contains("is no time"), "\(wrong.all)")
        }

        /// Each on a copy of the target that is put back afterwards.
        private func expectEveryDamageToBeLoud() async throws {
            let archive = "$(ls -d /srv/backup/postgresql/archive/main/*-1)"
            let cases: [(name: String, damage: String, said: String)] = [
                ("wrong key", "sed -i 's/cipher-pass=./cipher-pass=!/' /etc/bascule-backup/pgbackrest.conf", "key"),
                (
                    "truncated manifest",
                    "for f in /srv/backup/postgresql/backup/main/*F/backup.manifest*; do truncate -s 300 $f; done",
                    "manifest"
                ),
                (
                    "missing WAL",
                    "rm \(archive)/0000000100000000/000000010000000000000003-*", "WAL are missing"
                ),
                (
                    "flipped byte in WAL",
                    "f=$(ls \(archive)/0000000100000000/000000010000000000000003-*); printf '\\\\377\\\\000\\\\377' | dd of=$f bs=1 seek=400 conv=notrunc status=none",
                    "recovery ended"
                ),
                (
                    "flipped byte in the base backup",
                    "for f in /srv/backup/postgresql/backup/main/*F/bundle/*; do printf '\\\\377\\\\000\\\\377' | dd of=$f bs=1 seek=2000 conv=notrunc status=none; done",
                    "ERROR"
                ),
            ]
            // The agent would put the settings back at once.
            #expect(try await scene.bascule("hold", "a").status == 0)
            _ = try await sql("CREATE TABLE later AS SELECT 1 AS n")
            _ = try await sql("SELECT pg_switch_wal()")
            try await scene.shell("a", "sleep 3")
            try await scene.shell(
                "a",
                "systemctl stop bascule-backup-postgresql.timer; cp -a /srv/backup/postgresql /srv/whole; cp -a /etc/bascule-backup /srv/settings"
            )
            for one in cases {
                try await scene.shell("a", one.damage)
                let id = "neg-\(one.name.filter(\.isLetter).lowercased())"
                // What cannot be read is waited for, a minute.
                let outcome = try await scene.lab.exec(
                    "a", [program, "restore", id, "--beside"], deadline: .seconds(240))
                #expect(outcome.status == 1 && outcome.all.contains("ERROR: "), "\(one.name): \(outcome.all)")
                #expect(outcome.all.contains(one.said), "\(one.name): \(outcome.all)")
                let left = try await scene.shell("a", "ls -d /var/lib/postgresql/*/restore-* 2>/dev/null | wc -l")
                #expect(left == "0", "\(one.name) left a cluster behind")
                if one.name.hasPrefix("flipped") || one.name.hasPrefix("missing") {
                    let verdict = try await scene.run("a", program, "verify")
                    #expect(verdict.status == 1 && verdict.all.contains("damaged"), "\(one.name): \(verdict.all)")
                }
                try await scene.shell(
                    "a",
                    "find /srv/backup/postgresql -mindepth 1 -delete; cp -a /srv/whole/. /srv/backup/postgresql/; cp -a /srv/settings/. /etc/bascule-backup/"
                )
            }
            try await scene.shell(
                "a", "systemctl start bascule-backup-postgresql.timer; rm -rf /srv/whole /srv/settings")
            // The whole one restores: the tests above can fail.
            let whole = try await scene.run("a", program, "restore", "whole", "--beside")
            #expect(whole.status == 0, "\(whole.all)")
            #expect(
                try await scene.shell(
                    "a",
                    "cd /; runuser -u postgres -- psql -XqAt -h /var/lib/bascule-backup/postgresql/restore/whole shop -c 'SELECT count(*) FROM canary'"
                )
                    == "5")
            try await scene.shell("a", "\(program) discard whole")
            #expect(try await scene.bascule("release", "a").status == 0)
        }

        private func expectDriftIsMended() async throws {
            try await scene.shell(
                "a",
                "rm /etc/postgresql/*/main/conf.d/61-bascule-archive.conf; systemctl disable -q --now bascule-backup-postgresql.timer"
            )
            let mended = try await scene.bascule("apply", "--yes")
            #expect(mended.status == 0, "\(mended.all)")
            #expect(try await sql("SHOW archive_timeout") == "1min")
            #expect(try await scene.shell("a", "systemctl is-active bascule-backup-postgresql.timer") == "active")
        }

        /// A node with a new, empty cluster of its own: nothing of it may get among the backups of the old one.
        private func expectAnotherClusterIsRefused() async throws {
            try await scene.shell(
                "a",
                """
                v=$(ls /var/lib/postgresql); systemctl stop postgresql@$v-main; rm -rf /var/lib/postgresql/$v/main
                cd /; runuser -u postgres -- /usr/lib/postgresql/$v/bin/initdb -k -D /var/lib/postgresql/$v/main >/dev/null; systemctl start postgresql@$v-main
                """)
            let refused = try await scene.bascule("apply", "--yes")
            #expect(
                refused.status == 1 && refused.all.contains("holds the backups of another cluster"), "\(refused.all)")
            let back = try await scene.bascule("snapshot", "restore", "--yes")
            #expect(back.status == 0, "\(back.all)")
            #expect(try await sql("SELECT count(*) FROM canary") == "3")
            let after = try await scene.bascule("apply", "--yes")
            #expect(after.status == 0, "\(after.all)")
        }
    }
}
