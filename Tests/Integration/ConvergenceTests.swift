import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// A Debian 12 and a Debian 13 node with the 44 entries and one of every other kind of resource.
    @Suite(.serialized, .scene("pair")) struct ConvergenceTests {
        let scene: Scene
        let nodes: [NodeName] = ["d12", "d13"]

        init() throws { scene = try #require(Scene.shared) }

        /// The fleet of every test here: the same nodes, with files that say `item`.
        private func declare(item: Int = 0, more: String = "") throws {
            try scene.write("web/server.pl", Sample.server())
            try scene.write("item.conf", Sample.template)
            try scene.write("uploaded.bin", "uploaded\u{0}as it is\n")
            try scene.fleet(Sample.pair + Sample.entries(item: item) + Sample.others + more)
        }

        /// Brings the nodes to `item`, whatever an earlier test left.
        func converge(item: Int = 0, more: String = "") async throws {
            try declare(item: item, more: more)
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
        }

        @Test func onceIsEnoughAndTheSecondTimeChangesNothing() async throws {
            try declare()
            let first = try await scene.bascule("apply", "--yes", "--json", deadline: .seconds(400))
            try #require(first.status == 0, "\(first.all)")
            let second = try await scene.bascule("apply", "--yes")
            #expect(second.status == 0 && second.text.contains("Nothing to do"), "\(second.all)")
            let plan = try await scene.bascule("plan")
            #expect(plan.status == 0, "\(plan.all)")
            let drift = try await scene.bascule("drift")
            #expect(drift.status == 0 && drift.text.contains("no drift"), "\(drift.all)")
            for node in nodes {
                try await scene.expectNothingTwice(node)
                try await expectEverything(on: node)
            }
            let postgres = try await scene.shell(
                "d13",
                """
                cd /; runuser -u postgres -- psql -AtX -d extra -c "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'reader'" \
                -c "SELECT rolconnlimit, pg_has_role('writer', 'reader', 'member') FROM pg_roles WHERE rolname = 'writer'" \
                -c "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'extra'" \
                -c "SELECT count(*) FROM pg_extension WHERE extname = 'citext'" -c "SHOW work_mem"
                """)
            #expect(postgres == "f\n7|t\nwriter\n1\n9MB")
        }

        private func expectEverything(on node: NodeName) async throws {
            let installed = try await scene.shell(
                node,
                "dpkg-query -W -f '${db:Status-Status}\\n' \(Sample.packages.joined(separator: " ")) | sort | uniq -c | tr -s ' '"
            )
            #expect(installed == "8 installed")
            let dpkg = try await scene.shell(
                node,
                "for p in \(Sample.packages.joined(separator: " ")); do grep -c \" install $p:\" /var/log/dpkg.log; done | sort -u"
            )
            #expect(dpkg == "1", "every package was installed once")
            let files = try await scene.shell(
                node,
                "cd /srv/it; stat -c '%U:%G %a' d*/f*.conf | sort | uniq -c | tr -s ' '; cat d9/f19.conf; readlink current; wc -c < uploaded.bin; stat -c %a uploaded.bin d3"
            )
            #expect(
                files
                    == " 4 svc0:root 640\n 4 svc1:root 640\n 4 svc2:root 640\n 4 svc3:root 640\n 4 svc4:root 640\n# of 19\nitem = 0\n/srv/it/d0\n18\n600\n750"
                    .trimmingCharacters(in: .whitespaces))
            let units = try await scene.shell(
                node,
                "systemctl is-active it{0,1,2,3,4,5,6,7}.service tick.timer | sort | uniq -c | tr -s ' '; systemctl is-enabled it0.service; systemctl show -p LimitNOFILE --value it1.service"
                    .bash)
            #expect(units == "9 active\nenabled\n4096")
            let system = try await scene.shell(
                node,
                "cat /proc/sys/net/ipv4/tcp_fin_timeout; nft list ruleset | grep -c 9100; id -nG svc2; systemctl --failed --no-legend | wc -l; test -e /etc/motd || echo no motd"
            )
            #expect(system == "31\n1\nsvc2 crew\n0\nno motd")
        }

        /// A process that runs and does not answer is found, named everywhere, and no business of healing.
        @Test func whatRunsAndDoesNotServeIsNamed() async throws {
            try await converge()
            let good = try await scene.bascule("status")
            #expect(good.text.contains("serves: app.web, postgresql, ssh"), "\(good.all)")
            // The postmaster alone: its socket still accepts, and nobody answers.
            let pid = try await scene.shell("d13", "head -1 /var/lib/postgresql/17/main/postmaster.pid")
            try await scene.shell("d13", "kill -STOP \(pid)")
            // An answer is good for some seconds.
            var status = try await scene.bascule("status")
            let named = try await eventually(within: 20) {
                status = try await scene.bascule("status")
                return status.text.contains("does not serve  postgresql")
            }
            #expect(named && status.text.contains("serves: app.web, ssh"), "\(status.all)")
            let now = try await scene.bascule("now")
            #expect(now.text.contains("DEGRADED") && now.text.contains("postgresql on d13"), "\(now.all)")
            try await scene.shell("d13", "kill -CONT \(pid)")
            let unserved = "  - {on: d12, probe: nobody, connect: \"127.0.0.1:7\", unit: it0.service, timeout: 1s}\n"
            try declare(more: unserved)
            let red = try await scene.bascule("apply", "--yes", "--json")
            #expect(red.status == 1 && red.text.contains("does-not-serve"), "\(red.all)")
            #expect(red.text.contains("nobody does not serve after 1 s"), "\(red.all)")
            let drift = try await scene.bascule("drift")
            #expect(drift.status == 2 && drift.text.contains("verify that nobody serves"), "\(drift.all)")
            try await converge()
            #expect(try await scene.bascule("drift").status == 0)
        }

        /// Roles come back by themselves; what an apply alone may do to a database server is only told.
        @Test func rolesComeBackAndSettingsAreOnlyReported() async throws {
            try await converge()
            func sql(_ text: String) async throws -> String {
                try await scene.shell("d13", "cd /; runuser -u postgres -- psql -AtXq -c \"\(text)\"")
            }
            _ = try await sql("DROP ROLE reader")
            _ = try await sql("ALTER ROLE writer CONNECTION LIMIT 3")
            _ = try await sql("ALTER SYSTEM SET work_mem = '5MB'")
            let start = ContinuousClock.now
            let back = try await eventually(within: 10) {
                try await sql(
                    "SELECT rolconnlimit, pg_has_role('writer', oid, 'member') FROM pg_roles WHERE rolname IN ('reader', 'writer') ORDER BY rolname"
                ) == "-1|t\n7|t"
            }
            #expect(back && ContinuousClock.now - start < .seconds(5))
            #expect(try await sql("SHOW work_mem") == "9MB")
            let told = try await scene.shell("d13", "bascule-agent status")
            #expect(told.contains("postgresSetting:work_mem") && told.contains("keeps data"), "\(told)")
            try await converge()
        }

        @Test func aUnitIsStartedAgainWhenItsFileChangesAndRollbackBringsTheOldFileBack() async throws {
            try await converge()
            let before = try await scene.shell(
                "d13", "systemctl show -p MainPID --value it0.service it1.service | xargs")
            try await converge(item: 7)
            let after = try await scene.shell(
                "d13", "systemctl show -p MainPID --value it0.service it1.service | xargs")
            let (old, new) = (before.split(separator: " "), after.split(separator: " "))
            try #require(old.count == 2 && new.count == 2)
            #expect(
                old[0] != new[0] && old[1] == new[1],
                "only what hangs on a changed file starts again: \(before) → \(after)")
            #expect(try await scene.shell("d13", "cat /srv/it/d0/f0.conf") == "# of 0\nitem = 7")
            let rollback = try await scene.bascule("rollback", "--yes")
            #expect(rollback.status == 0, "\(rollback.all)")
            for node in nodes {
                #expect(
                    try await scene.shell(
                        node, "cat /srv/it/d*/f*.conf | grep -c '^item = 0$'; stat -c '%U %a' /srv/it/d0/f0.conf")
                        == "20\nsvc0 640")
            }
            #expect(
                rollback.text.contains("unit:it0.service") && rollback.text.contains("runs with it"), "\(rollback.all)")
            let renewed = try await scene.shell(
                "d13", "systemctl show -p MainPID --value it0.service it1.service | xargs"
            ).split(separator: " ")
            #expect(renewed.count == 2 && renewed[0] != new[0] && renewed[1] == new[1], "\(after) → \(renewed)")
            let history = try await scene.bascule("history")
            #expect(history.text.contains("as before segment"), "\(history.text)")
            try declare()
            let drift = try await scene.bascule("drift")
            #expect(drift.status == 0, "\(drift.text)")
        }
    }
}

extension String {
    /// The same as a line for bash, for its braces.
    fileprivate var bash: String { "bash -c \"\(self)\"" }
}
