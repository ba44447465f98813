import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// A base backup for which the disk has no room.
    @Suite(.serialized, .scene("fullbackup"), .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct FullBackupDiskTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private let program = "/usr/local/lib/bascule/backup-postgresql"

        private func labels() async throws -> [String] {
            try await scene.shell("a", "cd /srv/backup/postgresql/backup/main; ls -d *F* | sort").split(separator: "\n")
                .map(String.init)
        }

        private func sql(_ text: String) async throws -> String {
            try await scene.shell("a", "cd /; runuser -u postgres -- psql -XqAt -d shop -c \"\(text)\"")
        }

        @Test(.timeLimit(.minutes(10)))
        func aBaseBackupOnAFullDiskIsSaidAndLeavesTheEarlierOnesWhole() async throws {
            try await scene.startAnew()
            try await scene.converge("nodes: {a: {provider: lab, image: debian12}}\ntopologies: {single: {a: []}}\n")
            try await scene.shell("a", "mkdir /srv/backup; mount -t tmpfs -o size=64m,mode=755 backup /srv/backup")
            try await scene.converge(
                """
                nodes: {a: {provider: lab, image: debian12}}
                topologies: {single: {a: [database, backup]}}
                services:
                  postgresql: {databases: {shop: {}}}
                  backup: {targets: {local: {path: /srv/backup}}}

                """)
            let made = try await eventually(within: 120) {
                try await scene.run(
                    "a", "sh", "-c",
                    "grep -q '\"base\"' /var/lib/bascule-backup/postgresql/target-local.json && ! systemctl is-active -q bascule-backup-postgresql"
                ).status == 0
            }
            try #require(made)
            let before = try await labels()
            // What does not compress, and fits the database's own disk but not the backups'.
            _ = try await sql(
                "CREATE TABLE big AS SELECT gen_random_uuid() AS a, gen_random_uuid() AS b FROM generate_series(1, 400000)"
            )
            try await scene.shell(
                "a",
                "for i in $(seq 300); do ls /var/lib/postgresql/*/main/pg_wal/archive_status | grep -q ready || exit 0; sleep 0.2; done; exit 1"
            )
            try await scene.shell(
                "a", "f=$(df --output=avail -k /srv/backup | tail -1); fallocate -l $((f - 9000))K /srv/backup/ballast")

            let full = try await scene.bascule("snapshot", "create")
            #expect(
                full.status == 1 && full.all.contains("[disk-full]") && full.all.contains("/srv/backup")
                    && full.all.contains("hint: make room"), "\(full.all)")
            #expect(try await labels() == before, "what was begun is gone, the earlier ones are there")
            let listed = try await scene.bascule("snapshot", "list")
            #expect(listed.all.contains("disk-full"), "\(listed.all)")
            let metrics = try await scene.shell("a", "\(program) metrics | grep last_result")
            #expect(metrics.hasSuffix(" 0"), "\(metrics)")
            // The earlier one is whole, and the shop's writes go on; WAL waits for room.
            let verified = try await scene.run("a", program, "verify")
            #expect(verified.status == 0, "\(verified.all)")
            let beside = try await scene.run("a", program, "restore", "whole", "--beside", "--set", before.last ?? "")
            #expect(beside.status == 0, "\(beside.all)")
            try await scene.shell("a", "\(program) discard whole")
            _ = try await sql("CREATE TABLE later AS SELECT 1 AS n")

            try await scene.shell("a", "rm /srv/backup/ballast")
            let again = try await scene.bascule("snapshot", "create")
            #expect(again.status == 0, "\(again.all)")
            #expect(try await labels().count == before.count + 1)
            #expect(
                try await eventually(within: 90) {
                    try await scene.run(
                        "a", "sh", "-c", "! ls /var/lib/postgresql/*/main/pg_wal/archive_status | grep -q ready"
                    ).status == 0
                }, "WAL that waited is archived")
            #expect(try await scene.run("a", program, "verify").status == 0)
            let after = try await scene.bascule("apply", "--yes")
            #expect(after.status == 0 && after.text.contains("Nothing to do"), "\(after.all)")
        }
    }
}
