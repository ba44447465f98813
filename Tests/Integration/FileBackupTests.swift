import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// Archives of files on a node of their own: made, restored, kept from their own node, drilled.
    @Suite(.serialized, .scene("borg"), .enabled(if: Program.testsAll)) struct FileBackupTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static func fleet(_ image: String, _ vault: String) -> String {
            """
            nodes:
              vps1: {provider: lab, image: \(image)}
              vault: {provider: lab, image: \(vault)}
            topologies: {single: {vps1: [backup, database], vault: []}}
            services:
              postgresql: {databases: {shop: {owner: shop}}}
              backup:
                targets: {local: {path: /srv/backup}, away: {node: vault}}
                postgresql: {targets: [local]}
                borg: {targets: [local, away], paths: [/srv/data], dumps: [shop]}
            resources:
              - {on: vps1, directory: /srv/data, mode: "0755"}
              - {on: vps1, file: /srv/data/one.txt, content: "one\\n"}

            """
        }

        private func archived() async throws {
            let done = try await eventually(within: 120) {
                let state = try await scene.run("vps1", "/usr/local/lib/bascule/backup-borg", "state").text
                let unit = try await scene.run("vps1", "systemctl", "is-active", "bascule-backup-borg.service").text
                return unit.hasPrefix("inactive") && state.contains("\"error\": null")
                    && !state.contains("\"time\": null")
            }
            let said = try await scene.run("vps1", "journalctl", "-u", "bascule-backup-borg", "-n", "20").text
            #expect(done, "\(said)")
        }

        @Test(.timeLimit(.minutes(15)), arguments: [("debian12", "debian13"), ("debian13", "debian12")])
        func aNodeCannotTakeItsArchivesBackAndTheyAreRestored(_ images: (String, String)) async throws {
            try await scene.startAnew()
            try await scene.converge(Self.fleet(images.0, images.1))
            try await archived()
            try await scene.shell(
                "vps1",
                """
                cd /; runuser -u postgres -- psql -qd shop -c 'CREATE TABLE t AS SELECT generate_series(1, 500) AS n'
                systemctl start bascule-backup-borg.service
                """)
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
            let safe = try await scene.run(
                "vps1", "systemd-analyze", "security", "--threshold=30", "--no-pager", "bascule-backup-borg.service")
            #expect(safe.status == 0, "\(safe.text.split(separator: "\n").last ?? "")")
            let listed = try await scene.bascule("snapshot", "archives")
            #expect(listed.status == 0 && listed.text.contains("vps1-files-"), "\(listed.all)")
            let pruned = try await scene.bascule("snapshot", "prune")
            #expect(pruned.status == 0, "\(pruned.all)")

            // A second time into the same place is refused unless told; what comes back is what was there.
            let words = ["snapshot", "files", "--path", "/srv/data", "--yes"]
            for expected in [Int32(0), 1] {
                let back = try await scene.bascule(words, environment: [:])
                #expect(back.status == expected, "\(back.all)")
            }
            #expect(try await scene.shell("vps1", "cat /var/lib/bascule-restore/files/srv/data/one.txt") == "one")

            try await drill()
            try await attack()
        }

        /// Everything from the other node and the keys alone; its evidence opens the gate of a migration.
        private func drill() async throws {
            let drilled = try await scene.bascule(["snapshot", "drill"], environment: [:], .seconds(600))
            for word in [
                "files restored", "database shop", "pg_amcheck", "RTO", "wrong key noticed", "flipped byte noticed",
                "truncated manifest noticed", "missing segment noticed",
            ] { #expect(drilled.text.contains("✓ \(word)") || drilled.text.contains(word), "\(word): \(drilled.all)") }
            #expect(drilled.status == 0, "\(drilled.all)")
        }

        /// Whoever has the node has its login and its passphrase, and tries everything that these allow.
        private func attack() async throws {
            let segments = "find /srv/bascule-backup/borg/vps1/data -type f | wc -l"
            let before = try await scene.shell("vault", segments)
            let moment = try await scene.shell("vault", "sleep 1; date +%s; sleep 1")
            try await scene.shell(
                "vps1",
                """
                export BORG_BASE_DIR=/root/b BORG_PASSCOMMAND='cat /etc/bascule-backup/borg.key' LC_ALL=C.UTF-8
                export BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_DELETE_I_KNOW_WHAT_I_AM_DOING=YES
                export BORG_RSH='ssh -F /dev/null -i /etc/bascule-backup/borg-login -o IdentitiesOnly=yes \
                -o UserKnownHostsFile=/etc/bascule-backup/borg-known-hosts'
                export BORG_REPO=$(sed -n 's/.*"repository" : "\\(ssh:.*\\)".*/\\1/p' /etc/bascule-backup/borg.json)
                for one in $(borg list --short); do borg delete ::$one; done; borg compact
                ! borg delete
                """)
            #expect(Int(try await scene.shell("vault", segments)) ?? 0 >= Int(before) ?? 1)
            let refused = try await scene.bascule("snapshot", "prune", "--target", "away")
            #expect(refused.status == 1 && refused.all.contains("archives-missing"), "\(refused.all)")
            // As docs/services/borg.md says: back to before the deletions.
            try await scene.shell(
                "vault",
                """
                cd /srv/bascule-backup/borg/vps1; rm -f index.* hints.* integrity.*
                find data -type f -newermt @\(moment) -delete
                """)
            let listed = try await scene.bascule("snapshot", "archives")
            #expect(listed.text.contains("away  vps1-files-"), "\(listed.all)")
        }
    }
}
