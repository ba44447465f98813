import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// The demo's shop, backed up to another node: lost, and brought back from there with what the kit opens.
    @Suite(.serialized, .scene("drill"), .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct DrillTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        /// Debian 13 by BASCULE_TEST_RELEASE=debian13.
        private var image: String { ProcessInfo.processInfo.environment["BASCULE_TEST_RELEASE"] ?? "debian12" }

        private struct Record: Decodable {
            struct Evidence: Decodable {
                var subject, value: String
                var passed: Bool
            }
            var evidence: [Evidence]
            var rpo: Double?
            var rto, projected: Double
        }

        private let copies = "/srv/bascule-backup/postgresql/vps1"

        private func makeShop() async throws {
            let example = "\(Program.checkout)/Examples/girlycrea"
            for folder in ["shop", "journeys"] {
                try FileManager.default.copyItem(atPath: "\(example)/\(folder)", toPath: "\(scene.folder)/\(folder)")
            }
            let text = try String(contentsOfFile: "\(example)/backups.yaml", encoding: .utf8)
            try scene.fleet(
                text.replacing("fleet: girlycrea-backups\n", with: "").replacing("debian12", with: image))
            // The shop serves only once its tables are there.
            let installed = try await scene.bascule("apply", "--yes", "--through", "install", deadline: .seconds(600))
            try #require(installed.status == 0 || installed.status == 3, "\(installed.all)")
            let packed = try await Command.run([
                "tar", "-C", "\(example)/..", "-cf", "\(scene.folder)/shop.tar", "girlycrea",
            ])
            try #require(packed.status == 0, "\(packed.all)")
            let tar = Array(try Data(contentsOf: URL(fileURLWithPath: "\(scene.folder)/shop.tar")))
            let sent = try await scene.lab.exec(
                "vps1", ["tar", "-C", "/opt", "-xf", "-"], stdin: tar, deadline: .seconds(60))
            try #require(sent.status == 0, "\(sent.all)")
            try await scene.shell(
                "vps1",
                """
                set -e
                UPLOADS_DIR=/srv/shop/uploads SHOP_DIR=/opt/girlycrea/shop /opt/girlycrea/seed/run.sh
                chmod -R a+rX /srv/shop/uploads
                """)
            let served = try await scene.bascule("apply", "--yes")
            try #require(served.status == 0, "\(served.all)")
            _ = try await scene.lab.exec(
                "vps1", ["systemctl", "start", "bascule-backup-borg.service"], deadline: .seconds(240))
        }

        private func copied() async throws {
            let there = try await eventually(within: 120) {
                let base = try await scene.run("vps1", "/usr/local/lib/bascule/backup-postgresql", "base-is-there")
                let copy = try await scene.run("vps1", "/usr/local/lib/bascule/backup-postgresql", "copied")
                let base2 = try await scene.run(
                    "vault", "sh", "-c", "ls \(copies)/*/backup/main/*F/backup.manifest")
                return base.status == 0 && copy.status == 0 && base2.status == 0
            }
            let said = try await scene.run("vps1", "journalctl", "-u", "bascule-backup-postgresql-copy", "-n", "20")
            #expect(there, "\(said.text)")
        }

        /// The shop stands once for both tests; whichever comes first makes it.
        private func stand() async throws {
            if let there = try? await scene.run("vps1", "test", "-e", "/opt/girlycrea"), there.status == 0 { return }
            try await scene.startAnew()
            try await makeShop()
            try await copied()
        }

        @Test(.timeLimit(.minutes(20)))
        func theShopComesBackWithinTheHourAndLosesLessThanFiveMinutes() async throws {
            try await stand()
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
            for unit in ["bascule-backup-postgresql-copy.service"] {
                let safe = try await scene.run(
                    "vps1", "systemd-analyze", "security", "--threshold=30", "--no-pager", unit)
                #expect(safe.status == 0, "\(safe.text.suffix(200))")
            }
            let safe = try await scene.run(
                "vault", "systemd-analyze", "security", "--threshold=30", "--no-pager", "bascule-vault-seal.service")
            #expect(safe.status == 0, "\(safe.text.suffix(200))")
            try await drill("idle")
        }

        @Test(.timeLimit(.minutes(20)))
        func theShopComesBackAsQuicklyUnderLoad() async throws {
            try await stand()
            // Under load: two writers, as fast as the disk lets them up to 200 a second.
            try await scene.shell(
                "vps1",
                """
                cd /; bin=$(ls -d /usr/lib/postgresql/*/bin); runuser -u postgres -- createdb load
                runuser -u postgres -- $bin/pgbench -q -i -s 5 load 2>/dev/null
                systemd-run --quiet --unit=load --uid=postgres $bin/pgbench -n -c 2 -R 200 -T 1200 load
                """)
            try await drill("under load")
            try await scene.shell("vps1", "systemctl is-active load; systemctl stop load")
            #expect(
                try await scene.shell("vps1", "cat /var/lib/bascule-backup/borg/drill.json").contains(
                    "\"passed\": true"))
        }

        private func drill(_ when: String) async throws {
            let drilled = try await scene.bascule(["snapshot", "drill", "--json"], environment: [:], .seconds(900))
            #expect(drilled.status == 0, "\(when): \(drilled.all)")
            let line = try #require(
                drilled.text.split(separator: "\n").last { $0.contains("\"evidence\"") && $0.contains("\"rto\"") },
                "\(drilled.all)")
            let record = try JSONDecoder().decode(Record.self, from: Data(line.utf8))
            for one in record.evidence { print("\(when): \(one.passed ? "✓" : "✗") \(one.subject): \(one.value)") }
            for word in [
                "files restored", "PostgreSQL", "database shop", "tables and indexes read (pg_amcheck)",
                "page checksums",
                "RPO", "no row missing before", "RTO", "RTO at 40 GB", "wrong key noticed", "flipped byte noticed",
                "truncated manifest noticed", "missing segment noticed", "PostgreSQL: wrong key noticed",
                "PostgreSQL: flipped byte noticed", "PostgreSQL: flipped byte in WAL noticed",
                "PostgreSQL: truncated manifest noticed", "PostgreSQL: missing segment noticed",
            ] { #expect(record.evidence.contains { $0.subject == word && $0.passed }, "\(when): \(word)") }
            #expect(record.evidence.contains { $0.subject.hasPrefix("journey") && $0.passed })
            #expect((record.rpo ?? 1e9) < 300 && record.rto < 3600 && record.projected < 3600)
        }
    }
}
