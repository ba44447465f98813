import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// PostgreSQL's backups on another node: safe from the node that brings them, pruned by the controller alone, and
    /// restored onto the node and onto a new one.
    @Suite(.serialized, .scene("copy"), .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct CopyTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static func fleet(_ image: String) -> String {
            """
            nodes: {a: {provider: lab, image: \(image)}, vault: {provider: lab, image: \(image)}}
            topologies: {single: {a: [database, backup], vault: []}}
            services:
              postgresql: {databases: {shop: {}}}
              backup:
                targets: {away: {node: vault}}
                postgresql: {full: 1d, keep: 1d, archiveTimeout: 300s, rpo: 600s}

            """
        }

        private let program = "/usr/local/lib/bascule/backup-postgresql"
        private let copies = "/srv/bascule-backup/postgresql/a"

        private func sql(_ text: String, in database: String = "shop") async throws -> String {
            try await scene.shell("a", "cd /; runuser -u postgres -- psql -XqAt -d \(database) -c \"\(text)\"")
        }

        /// Until the node's last base backup is made and the other node has everything.
        private func settled() async throws {
            let there = try await eventually(within: 120) {
                try await scene.run(
                    "a", "sh", "-c",
                    """
                    \(program) base-is-there && ! systemctl is-active -q bascule-backup-postgresql \
                    && systemctl start bascule-backup-postgresql-copy && \(program) copied
                    """
                ).status == 0
            }
            let said = try await scene.run("a", "journalctl", "-u", "bascule-backup-postgresql*", "-n", "20")
            try #require(there, "\(said.text)")
        }

        @Test(.timeLimit(.minutes(20)), arguments: ["debian12", "debian13"])
        func aCopyStaysIsPrunedFromHereAndComesBack(_ image: String) async throws {
            try await scene.startAnew()
            try await scene.converge(Self.fleet(image))
            try await settled()
            try await scene.shell("a", "install -d -o postgres -g postgres /var/lib/postgresql/space")
            _ = try await sql("CREATE TABLESPACE fast LOCATION '/var/lib/postgresql/space'", in: "postgres")
            _ = try await sql("CREATE TABLE spaced TABLESPACE fast AS SELECT generate_series(1, 1000) AS n")
            let base = try await scene.bascule("snapshot", "create")
            #expect(base.status == 0, "\(base.all)")
            try await settled()
            try await expectWALThatEndsWithinARecordToBeWhole()
            try await settled()
            try await attack()
            try await restoreFromTheCopy()
            try await prune()
            try await restoreOntoANewNode()
        }

        /// Segments that are full, not switched, end in the middle of a record.
        private func expectWALThatEndsWithinARecordToBeWhole() async throws {
            _ = try await sql(
                "CREATE TABLE big AS SELECT g AS n, md5(g::text) || md5((g + 1)::text) AS t FROM generate_series(1, 300000) g"
            )
            let archived = try await eventually(within: 60) {
                try await scene.shell(
                    "a", "ls /var/lib/postgresql/*/main/pg_wal/archive_status | grep -c ready || true") == "0"
            }
            #expect(archived)
            let beside = try await scene.run("a", program, "restore", "whole", "--beside")
            #expect(beside.status == 0, "\(beside.all)")
            let reached = try await scene.shell("a", "\(program) restored whole | grep -o '\"reached\": \"[^\"]*\"'")
            #expect(!reached.contains("000000\""), "the test wants a segment that was not switched: \(reached)")
            try await scene.shell("a", "\(program) discard whole")
        }

        /// Whoever has the node has its login at the other one, and tries what rsync can. Each attempt is also made where
        /// it has to succeed, so that its failure is the protection's and not the connection's.
        private func attack() async throws {
            let list =
                "find \(copies) -type f ! -name '*.info*' ! -name arrived ! -path '*/control/*' | sort | xargs sha256sum"
            let before = try await scene.shell("vault", list)
            let system = try await scene.shell("a", "sed 's/ .*//' /var/lib/bascule-backup/postgresql/arrived")
            let login = """
                cd /root; f=/etc/bascule-backup; system=\(system); mkdir -p none junk
                host=$(sed -n 's/.*"host" : "\\(.*\\)".*/\\1/p' $f/postgresql.json | head -1)
                sh="ssh -F /dev/null -i $f/postgresql-login -o UserKnownHostsFile=$f/postgresql-known-hosts -o BatchMode=yes"
                there=bascule-vault@$host:$system

                """
            // The same words deliver what is new …
            let delivered = try await scene.run(
                "a", "sh", "-c",
                login + """
                    mkdir -p new/control; echo first > new/control/file
                    rsync -r -e "$sh" new/ $there/ && echo DELIVERED
                    rsync -r --list-only -e "$sh" $there/ | grep -q backup.manifest && echo LISTED
                    echo "$system $(date +%s)" > arrived; rsync -rtO -e "$sh" arrived bascule-vault@$host:./ && echo MARKED
                    """)
            for word in ["DELIVERED", "LISTED", "MARKED"] { #expect(delivered.text.contains(word), "\(delivered.all)") }
            let control = "\(copies)/\(system)/control/file"
            let sealed = try await eventually(within: 30) {
                try await scene.run("vault", "stat", "-c", "%U %a", control).text.contains("root 440")
            }
            #expect(sealed)

            let replace = """
                mkdir -p other/control; echo other > other/control/file
                rsync -rI -e "$sh" other/ $there/ && echo REPLACED-CONTROL
                rsync -rI --inplace -e "$sh" other/ $there/ && echo WRITTEN-CONTROL
                true
                """
            let tried = try await scene.run(
                "a", "sh", "-c",
                login + replace + """

                    rsync -r --delete -e "$sh" none/ $there/ && echo DELETED
                    wal=$(cd /var/lib/bascule-backup/postgresql/repository; ls archive/main/*/*/* | head -1)
                    mkdir -p junk/$(dirname $wal); echo junk > junk/$wal
                    rsync -rI -e "$sh" junk/ $there/ && echo REPLACED
                    rsync -rI --inplace -e "$sh" junk/ $there/ && echo WRITTEN
                    rsync -r --remove-source-files -e "$sh" $there/archive/ taken/ && echo TAKEN
                    $sh bascule-vault@$host rm -rf \(copies) && echo RAN
                    $sh bascule-vault@$host touch \(copies)/\(system)/ran && echo RAN
                    rsync --list-only -e "$sh" bascule-vault@$host:/etc/ | grep -q passwd && echo LEFT
                    true
                    """)
            for word in ["DELETED", "REPLACED", "WRITTEN", "TAKEN", "RAN", "LEFT"] {
                #expect(!tried.text.contains(word), "\(word): \(tried.all)")
            }
            let after = try await scene.shell("vault", list)
            let kept = Set(after.split(separator: "\n"))
            #expect(!before.isEmpty && before.split(separator: "\n").allSatisfy { kept.contains($0) })
            #expect(try await scene.shell("vault", "cat \(control)") == "first")
            // … and replace and write once root of the other node has taken the seal off that one file; and root deletes.
            try await scene.shell(
                "vault",
                "systemctl stop bascule-vault-seal.path; chown -R bascule-vault $(dirname \(control)); chmod 640 \(control)"
            )
            let allowed = try await scene.run("a", "sh", "-c", login + replace)
            for word in ["REPLACED-CONTROL", "WRITTEN-CONTROL"] {
                #expect(allowed.text.contains(word), "\(word): \(allowed.all)")
            }
            #expect(try await scene.shell("vault", "cat \(control)") == "other")
            try await scene.shell(
                "vault", "rm -r $(dirname \(control)); systemctl start bascule-vault-seal.path; ! test -e \(control)")
        }

        private func restoreFromTheCopy() async throws {
            let now = try await scene.shell("a", "date -u +%Y-%m-%dT%H:%M:%SZ")
            // It is brought, and then there is nothing that leads there: what was brought is not brought again.
            let failed = try await scene.bascule(
                "snapshot", "restore", "--from", "away", "--to-time", now, "--replace", "--yes")
            #expect(failed.status == 1 && failed.all.contains("ends before the moment"), "\(failed.all)")
            #expect(try await sql("SELECT count(*) FROM big") == "300000")
            let refused = try await scene.bascule("snapshot", "restore", "--from", "away", "--yes")
            #expect(refused.status == 1 && refused.all.contains("[restore-refused]"), "\(refused.all)")
            let restored = try await scene.bascule("snapshot", "restore", "--from", "away", "--replace", "--yes")
            #expect(restored.status == 0 && restored.all.contains("are here already"), "\(restored.all)")
            #expect(restored.all.contains("fast (/var/lib/postgresql/space)"), "\(restored.all)")
            #expect(try await sql("SELECT count(*) FROM spaced") == "1000")
            let left =
                "ls -d /var/lib/bascule-backup/postgresql/repository.* /var/lib/postgresql/space/PG* 2>/dev/null | wc -l"
            #expect(try await scene.shell("a", left) == "1")
            let id = try await scene.shell(
                "a", "ls -d /var/lib/postgresql/*/main.before-* | sed 's/.*before-//'")
            #expect(try await scene.bascule("snapshot", "discard", id, "--yes").status == 0)
            #expect(try await scene.shell("a", left) == "0")
            _ = try await sql("INSERT INTO spaced VALUES (1001)")
            try await settled()
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
        }

        private func labels() async throws -> [String] {
            try await scene.shell("vault", "cd \(copies); ls -d */backup/main/*F* | sort").split(separator: "\n").map(
                String.init)
        }

        /// Nothing goes before everything that stays was seen and read.
        private func prune() async throws {
            let first = try await scene.bascule("snapshot", "prune")
            #expect(first.status == 0 && first.all.contains("on record now"), "\(first.all)")
            // A second full one.
            #expect(try await scene.bascule("hold", "a").status == 0)
            try await scene.shell(
                "a",
                "sed -i 's/\"fullSeconds\" : [0-9]*/\"fullSeconds\" : 0/' /etc/bascule-backup/postgresql.json")
            #expect(try await scene.bascule("snapshot", "create").status == 0)
            try await settled()
            #expect(try await scene.bascule("release", "a").status == 0)
            let all = try await labels()
            let newest = try #require(all.last)
            #expect(all.filter { $0.hasSuffix("F") }.count == 2, "\(all)")
            let kept = try await scene.bascule("snapshot", "prune")
            #expect(kept.status == 0 && kept.all.contains(" 0 removed"), "\(kept.all)")
            #expect(try await labels() == all)

            let base = "\(copies)/\(newest)"
            let one = "$(find \(base) -type f -path '*/bundle/*' -size +100k | sort | head -1)"
            let wal = "$(ls \(copies)/*/archive/main/*/*/*-* | sort | tail -1)"
            let damages = [
                ("prune-backup-missing", "mv \(base) /srv/aside", "mv /srv/aside \(base)"),
                (
                    "prune-check-failed",
                    "f=\(one); cp -a $f /srv/aside; printf '\\377\\000\\377' | dd of=$f bs=1 seek=2000 conv=notrunc status=none",
                    "cp -a /srv/aside \(one)"
                ),
                (
                    "prune-check-failed",
                    "f=\(wal); cp -a $f /srv/aside; printf '\\377\\000\\377' | dd of=$f bs=1 seek=400 conv=notrunc status=none",
                    "cp -a /srv/aside \(wal)"
                ),
            ]
            for (code, damage, mend) in damages {
                try await scene.shell("vault", damage)
                let before = try await scene.shell(
                    "vault", "find \(copies) -type f ! -name '*.info*' ! -name arrived | sort")
                let refused = try await scene.bascule("snapshot", "prune", "--days", "0")
                #expect(refused.status == 1 && refused.all.contains("[\(code)]"), "\(refused.all)")
                #expect(
                    try await scene.shell("vault", "find \(copies) -type f ! -name '*.info*' ! -name arrived | sort")
                        == before, "\(code): nothing may go")
                try await scene.shell("vault", mend)
            }
            let pruned = try await scene.bascule("snapshot", "prune", "--days", "0")
            #expect(
                pruned.status == 0 && pruned.all.contains("removed \(newest.prefix { $0 != "/" })/"), "\(pruned.all)")
            let left = try await labels()
            #expect(left == [newest], "\(left)")
            let keys = try await scene.shell(
                "vault", "ls -d /run/bascule-prune.conf /srv/bascule-backup/postgresql/.prune-* 2>/dev/null | wc -l")
            #expect(keys == "0")
            // The node goes on, and what was left is whole.
            _ = try await sql("INSERT INTO spaced VALUES (1002)")
            _ = try await sql("SELECT pg_switch_wal()")
            try await settled()
            let again = try await scene.bascule("snapshot", "prune")
            #expect(again.status == 0, "\(again.all)")
        }

        private func restoreOntoANewNode() async throws {
            let system = try await sql("SELECT system_identifier FROM pg_control_system()")
            let rows = try await sql("SELECT count(*) FROM spaced")
            try await scene.lab.down(["a"])
            let forgotten = try await scene.bascule("node", "forget", "a", "--keep-agent")
            #expect(forgotten.status == 0, "\(forgotten.all)")
            let anew = try await scene.bascule("apply", "--yes", deadline: .seconds(600))
            #expect(anew.status == 0, "\(anew.all)")
            try await settled()
            #expect(try await sql("SELECT system_identifier FROM pg_control_system()") != system)
            let restored = try await scene.bascule("snapshot", "restore", "--from", "away", "--yes")
            #expect(restored.status == 0 && restored.all.contains(system), "\(restored.all)")
            #expect(try await sql("SELECT system_identifier FROM pg_control_system()") == system)
            #expect(try await sql("SELECT count(*) FROM spaced") == rows)
            // Its backups go on where they were.
            _ = try await sql("INSERT INTO spaced VALUES (1003)")
            _ = try await sql("SELECT pg_switch_wal()")
            try await settled()
            let after = try await scene.bascule("apply", "--yes")
            #expect(after.status == 0 && after.text.contains("Nothing to do"), "\(after.all)")
            let checked = try await scene.bascule("snapshot", "prune")
            #expect(checked.status == 0 && checked.all.contains("checked and kept"), "\(checked.all)")
        }
    }
}
