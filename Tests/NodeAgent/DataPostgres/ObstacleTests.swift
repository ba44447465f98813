import BasculeModel
import BasculePostgres
import Foundation
import Glibc
import Testing

@testable import BasculeData

@Suite struct VersionTests {
    @Test(arguments: [
        (11, 15, ["source-too-old"]), (12, 15, []), (15, 15, []), (17, 17, []), (17, 15, ["target-older"]),
        (13, 14, ["target-too-old"]), (18, 14, ["target-too-old", "target-older"]),
        (9, 12, ["source-too-old", "target-too-old"]),
    ]) func whatTwoVersionsMean(source: Int, target: Int, wanted: [String]) {
        let found = Preflight.versions(source: source, target: target)
        #expect(found.map(\.code) == wanted)
        #expect(found.allSatisfy { ($0.severity == .refuse) == $0.code.hasSuffix("-too-old") })
    }
}

extension AgainstServers {
    /// What stands in the way of a move at the servers themselves, each brought about for real.
    @Suite struct ObstacleTests {
        private func found(_ pair: Pair, _ url: Secret? = nil) throws -> [String] {
            let report = try PostgresMover.run(.preflight(pair.move), resolve: { _ in url ?? pair.url() })
            guard case .preflight(let preflight) = report else { throw Unexpected() }
            return preflight.findings.map { "\($0.code) \($0.severity) \($0.object)" }
        }

        private func expect(_ found: [String], _ wanted: String...) {
            for one in wanted { #expect(found.contains(one), "\(one) is not among \(found.sorted())") }
        }

        @Test func aPoolerInBetweenIsSeen() throws {
            let program = "/usr/sbin/pgbouncer"
            guard FileManager.default.isExecutableFile(atPath: program) else { return }
            var pair = try Pair("pooled", "CREATE TABLE t (id int PRIMARY KEY)")
            pair.move.follow = PostgresFollow(mode: .auto)
            let folder = try pair.source.folder("pooler")
            let port = try Cluster.freePort()
            let settings = """
                [databases]
                * = host=\(pair.source.socket) port=\(pair.source.port) user=postgres
                [pgbouncer]
                listen_addr = 127.0.0.1
                listen_port = \(port)
                unix_socket_dir =
                auth_type = any
                pool_mode = transaction
                ignore_startup_parameters = extra_float_digits, options
                pidfile = \(folder)/pid
                logfile = \(folder)/log

                """
            try settings.write(toFile: "\(folder)/ini", atomically: true, encoding: .utf8)
            try Cluster.daemon([program, "-d", "-q", "\(folder)/ini"])
            defer {
                let pid = (try? String(contentsOfFile: "\(folder)/pid", encoding: .utf8)).flatMap {
                    pid_t($0.filter(\.isNumber))
                }
                // It keeps nothing, and has inherited that gentler signals are blocked.
                if let pid { kill(pid, SIGKILL) }
            }
            let url = Secret("postgresql://postgres@127.0.0.1:\(port)/pooled")
            var seen: [String] = []
            for _ in 0..<100 where seen.isEmpty {
                // It takes a moment until it listens.
                do { seen = try found(pair, url) } catch let error as BasculeError
                    where error.code == .postgresConnection
                {
                    usleep(50_000)
                }
            }
            #expect(seen.contains { $0.hasPrefix("pooler refuse") }, "\(seen)")
            expect(seen, "follow-no-connection warn ")
            #expect(try !found(pair).contains { $0.hasPrefix("pooler") || $0.hasPrefix("follow-no-connection") })
        }

        @Test func whatASourceWritesByItselfAndWhereItKeepsThingsIsSeen() throws {
            let pair = try Pair("keeps", "CREATE TABLE t (id int PRIMARY KEY)")
            let source = try pair.source.connect("keeps")
            let admin = try pair.source.connect("postgres")
            let folder = try pair.source.folder("space")
            try admin.query("CREATE TABLESPACE keeps LOCATION '\(folder)'")
            try source.query("CREATE TABLE elsewhere (id int PRIMARY KEY) TABLESPACE keeps")
            try source.query("CREATE PUBLICATION feed FOR TABLE t")
            try admin.query("SELECT pg_create_logical_replication_slot('keeps', 'pgoutput')")
            try source.query(
                """
                CREATE SUBSCRIPTION feeds CONNECTION
                'host=\(pair.source.socket) port=\(pair.source.port) user=postgres dbname=postgres'
                PUBLICATION none WITH (create_slot = false, slot_name = keeps, copy_data = false)
                """)
            defer {
                _ = try? source.query("ALTER SUBSCRIPTION feeds DISABLE")
                _ = try? source.query("ALTER SUBSCRIPTION feeds SET (slot_name = NONE)")
                _ = try? source.query("DROP SUBSCRIPTION feeds")
                for _ in 0..<100 where (try? admin.query("SELECT pg_drop_replication_slot('keeps')")) == nil {
                    usleep(20_000)
                }
                _ = try? source.query("DROP TABLE elsewhere")
                _ = try? admin.query("DROP TABLESPACE keeps")
            }
            for _ in 0..<250 where try source.query("SELECT FROM pg_stat_subscription WHERE pid IS NOT NULL").isEmpty {
                usleep(20_000)
            }
            try expect(found(pair), #"subscription warn "feeds""#, #"tablespace info "public"."elsewhere""#)
        }

        @Test func aDiskThatIsTooSmallIsSeen() throws {
            let pair = try Pair("toolarge", "CREATE TABLE t (id int PRIMARY KEY)")
            let source = try pair.source.connect("toolarge")
            let folder = try source.query("SHOW data_directory").scalar ?? ""
            #expect(try !found(pair).contains { $0.hasPrefix("disk-space") })
            // The table's file as large as the whole disk, without a block of it.
            var info = statvfs()
            let target = try pair.target.connect("toolarge").query("SHOW data_directory").scalar ?? ""
            #expect(statvfs(target, &info) == 0)
            let path = "\(folder)/\(try source.query("SELECT pg_relation_filepath('t')").scalar ?? "")"
            #expect(truncate(path, off_t(info.f_bavail) * off_t(info.f_frsize)) == 0, "\(path)")
            defer { truncate(path, 0) }
            try expect(found(pair), "disk-space refuse \(target)")
        }

        @Test func aTargetWithoutASuperuserIsSeen() throws {
            var pair = try Pair("nosuper", "CREATE TABLE t (id int PRIMARY KEY)")
            // The source's server lets any user in over its socket.
            let admin = try pair.source.connect("postgres")
            try admin.query("DROP DATABASE IF EXISTS nosuper_target")
            try admin.query("CREATE DATABASE nosuper_target OWNER shop")
            defer { _ = try? admin.query("DROP DATABASE nosuper_target WITH (FORCE)") }
            (pair.move.targetDatabase, pair.move.targetSocket) = ("nosuper_target", pair.source.socket)
            (pair.move.targetPort, pair.move.targetUser) = (pair.source.port, "shop")
            try expect(found(pair), "target-not-superuser refuse shop")
        }

        @Test func whatOnlyANewerVersionKnowsIsSeen() throws {
            // No server here makes one: the catalog is told that there is one.
            let pair = try Pair(
                "newer",
                """
                CREATE TABLE t (id int PRIMARY KEY, twice int);
                UPDATE pg_attribute SET attgenerated = 'v' WHERE attrelid = 't'::regclass AND attname = 'twice';
                """)
            let source = try pair.source.connect("newer")
            let objects = try PreflightObjects(source: source, schemas: ["public"]).findings()
            expect(
                objects.map { "\($0.code) \($0.severity) \($0.object)" }, "feature-too-new refuse public.t.twice")
        }

        @Test func rightsThatFollowingNeedsAreSeen() throws {
            var pair = try Pair(
                "followrights",
                "CREATE TABLE t (id int PRIMARY KEY); GRANT SELECT ON t TO app; ALTER TABLE t OWNER TO shop")
            pair.move.follow = PostgresFollow(mode: .auto)
            let seen = try found(pair, pair.url(as: "app"))
            expect(seen, "follow-no-right warn ", "follow-no-create warn ", "follow-not-owner warn ")
            pair.move.follow?.mode = .always
            try expect(found(pair, pair.url(as: "app")), "follow-no-create refuse ")
            try expect(found(pair), "follow-wal-unbounded info ")
        }

        /// A server of its own, started three times.
        @Test(
            .enabled(
                if: ProcessInfo.processInfo.environment["BASCULE_TEST_ALL"] == "1", "takes seconds: BASCULE_TEST_ALL=1")
        )
        func aServerThatCannotBeFollowedIsSeen() throws {
            var pair = try Pair("unfollowable", "SELECT 1")
            pair.move.follow = PostgresFollow(mode: .always)
            let other = try Cluster.other("wal_level=replica\nmax_replication_slots=2\nmax_wal_senders=1")
            defer { other.stop() }
            try other.connect("postgres").query("CREATE TABLE t (id int PRIMARY KEY)")
            let url = Secret("postgresql://postgres@/postgres?host=\(other.socket)&port=\(other.port)")
            try expect(
                found(pair, url), "follow-wal-level refuse ", "follow-no-slot refuse ", "follow-no-sender refuse ")
            try other.demote()
            try expect(found(pair, url), "follow-standby refuse ")
        }

        @Test func whoeverPassesTheFenceIsNamed() throws {
            var pair = try Pair(
                "passes",
                """
                CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO seller; GRANT INSERT ON t TO app;
                CREATE TABLE gone (id int); ALTER TABLE gone OWNER TO seller; GRANT INSERT ON gone TO app;
                """)
            pair.move.fenceGrace = 0.1
            let admin = try pair.source.connect("passes")
            for role in ["boss SUPERUSER LOGIN", "mover NOSUPERUSER LOGIN"] {
                try admin.query("DROP ROLE IF EXISTS \(role.prefix { $0 != " " })")
                try admin.query("CREATE ROLE \(role)")
            }
            // Owns the tables by membership; may give and take back, but neither end others nor change the database.
            try admin.query("GRANT seller TO mover")
            defer {
                _ = try? admin.query("ALTER ROLE boss NOSUPERUSER")
                _ = try? admin.query("DROP ROLE boss")
                _ = try? admin.query("DROP ROLE mover")
            }
            guard case .captured(let fence) = try pair.run(.fenceCapture(pair.move)) else { throw Unexpected() }
            let boss = try pair.source.connect("passes", as: "boss")
            guard case .fenced(let report) = try pair.run(.fenceAcquire(pair.move, fence)) else { throw Unexpected() }
            let named = report.findings.filter { $0.code == "superuser-not-fenced" }.map {
                "\($0.severity) \($0.object)"
            }
            #expect(named.contains(#"warn "boss""#), "\(report.findings)")
            #expect((try? boss.query("SELECT 1")) == nil, "its session was ended")
            let again = try pair.source.connect("passes", as: "boss")
            #expect(throws: PGError.self) { try again.query("INSERT INTO t VALUES (1)") }
            guard case .proved(let own) = try pair.run(.fenceProve(pair.move, fence)) else { throw Unexpected() }
            #expect(own.findings.contains { $0.code == "superuser-not-fenced" && $0.object == #""boss""# })
            #expect(!own.findings.contains { $0.code == "proof-not-by-superuser" })
            guard case .proved(let proof) = try pair.run(.fenceProve(pair.move, fence), as: "mover") else {
                throw Unexpected()
            }
            #expect(proof.findings.contains { $0.code == "proof-not-by-superuser" && $0.object == "mover" })
            #expect(proof.holds && proof.attempts.contains { $0.outcome == .catalogSaysNo }, "\(proof)")
            // What went meanwhile cannot get its rights back.
            try admin.query("DROP TABLE gone")
            guard case .released(let released) = try pair.run(.fenceRelease(pair.move, fence)) else {
                throw Unexpected()
            }
            let missing = released.findings.filter { $0.code == "right-not-restored" }
            #expect(missing.map(\.object) == [#"TABLE "public"."gone""#], "\(released.findings)")
        }

        @Test func aWriterThatNobodyMayEndIsNamed() throws {
            var pair = try Pair(
                "stubborn",
                "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO seller; GRANT INSERT ON t TO app")
            pair.move.fenceGrace = 0.1
            let admin = try pair.source.connect("stubborn")
            // After the thread begins only it uses this one.
            nonisolated(unsafe) let writer = try pair.source.connect("stubborn", as: "app")
            try writer.script("BEGIN; INSERT INTO t VALUES (1)")
            guard case .captured(let fence) = try pair.run(.fenceCapture(pair.move)) else { throw Unexpected() }
            let ending = Thread {
                // It ends by itself once the fence has tried to end it.
                usleep(700_000)
                _ = try? writer.query("COMMIT")
            }
            ending.start()
            guard case .fenced(let report) = try pair.run(.fenceAcquire(pair.move, fence), as: "seller") else {
                throw Unexpected()
            }
            #expect(report.findings.contains { $0.code == "writer-not-ended" && $0.severity == .refuse })
            #expect(report.findings.contains { $0.code == "fence-incomplete" && $0.object == "the database's default" })
            #expect(try admin.query("SELECT count(*) FROM t").scalar == "1")
            _ = try pair.run(.fenceRelease(pair.move, fence))
        }
    }
}
