import BasculeData
import BasculeModel
import BasculePostgres
import Foundation
import Synchronization
import Testing

let hasServer = Comment(rawValue: "needs PostgreSQL's server binaries under /usr/lib/postgresql (package postgresql)")

extension Pair {
    func run(_ task: PostgresTask, as user: String = "postgres") throws -> PostgresReport {
        try PostgresMover.run(task, resolve: { _ in self.url(as: user) })
    }

    func copy() throws -> PostgresCopyReport {
        guard case .copied(let report) = try run(.copy(move)) else { throw Unexpected() }
        return report
    }

    func verify(_ known: PostgresDigests? = nil) throws -> PostgresVerification {
        guard case .verified(let report) = try run(.verify(move, source: known)) else { throw Unexpected() }
        return report
    }

    func sync() throws -> PostgresSyncReport {
        guard case .synced(let report) = try run(.sync(move)) else { throw Unexpected() }
        return report
    }

    func preflight(as user: String = "postgres") throws -> PostgresPreflight {
        guard case .preflight(let report) = try run(.preflight(move), as: user) else { throw Unexpected() }
        return report
    }
}

struct Unexpected: Error {}

/// Both servers are shared, so one test at a time, over all suites.
@Suite(.serialized, .enabled(if: Cluster.isInstalled, hasServer))
struct AgainstServers {}

extension AgainstServers {
    @Suite struct MoveTests {
        @Test func everyKindOfObjectArrivesEqual() throws {
            let pair = try Pair("kinds", everyKind)
            let report = try pair.copy()
            #expect(report.rows > 6000)
            let verification = try pair.verify()
            #expect(verification.isEqual, "\(verification)")
            #expect(verification.tables == 14)
            let target = try pair.target.connect("kinds")
            #expect(try target.query("SELECT nextval('lonely'), nextval('never')").rows == [["110", "42"]])
            #expect(try target.query("INSERT INTO users (email) VALUES ('new@x.y') RETURNING id").scalar == "502")
            #expect(try target.query("SELECT count(*) FROM v_on_group").scalar == "502")
            #expect(try target.query("SELECT n FROM mv").scalar == "5000")
            #expect(try target.query("SELECT obj_description('users'::regclass)").scalar == #"the "users" \ it's"#)
            let owners = try target.query(
                """
                SELECT DISTINCT relowner::regrole FROM pg_class
                WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
                """
            )
            #expect(owners.rows == [["shop"]])
            #expect(try target.query("SELECT has_function_privilege('reader', 'usr(users)', 'EXECUTE')").scalar == "f")
            #expect(try target.query("SELECT has_column_privilege('app', 'users', 'mood', 'UPDATE')").scalar == "t")
            #expect(throws: PGError.self) { try target.query("INSERT INTO nopk VALUES (1, 'x')") }
        }

        @Test func aSecondCopyDoesNothing() throws {
            let pair = try Pair("again", everyKind)
            _ = try pair.copy()
            let second = try pair.copy()
            #expect(second.copied.isEmpty)
            #expect(second.alreadyDone.count == 14)
            #expect(second.indexes == 0 && second.constraints == 0)
            _ = try pair.run(.finish(pair.move))
            let target = try pair.target.connect("again")
            #expect(try target.query("SELECT to_regnamespace('bascule')").scalar == nil)
            let loaders = try target.query(
                """
                SELECT FROM pg_roles r JOIN pg_database d ON r.rolname = 'bascule_load_' || d.oid
                WHERE d.datname = current_database()
                """)
            #expect(loaders.isEmpty)
        }

        @Test func aCancelledCopyGoesOnWhereItStopped() throws {
            let pair = try Pair(
                "resume",
                """
                CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small SELECT generate_series(1, 10);
                CREATE TABLE large (id int PRIMARY KEY, t text);
                INSERT INTO large SELECT i, repeat('x', 200) FROM generate_series(1, 300000) i;
                """)
            let seen = Atomic(false)
            let failure = #expect(throws: BasculeError.self) {
                try PostgresMover.run(
                    .copy(pair.move), resolve: { _ in pair.url() },
                    progress: { if $0.subject == "public.large", $0.rows > 0 { seen.store(true, ordering: .relaxed) } },
                    isCancelled: { seen.load(ordering: .relaxed) })
            }
            #expect(failure?.code == .cancelled)
            let target = try pair.target.connect("resume")
            #expect(try target.query("SELECT count(*) FROM large").scalar == "0")
            let report = try pair.copy()
            #expect(report.copied.contains { $0.table == "public.large" && $0.rows == 300_000 })
            #expect(try pair.verify().isEqual)
        }

        @Test func aServerThatCrashesInTheMiddleIsWaitedFor() throws {
            let pair = try Pair(
                "crash",
                """
                CREATE TABLE one (id int PRIMARY KEY); INSERT INTO one SELECT generate_series(1, 1000);
                CREATE TABLE large (id int PRIMARY KEY, t text);
                INSERT INTO large SELECT i, repeat('x', 300) FROM generate_series(1, 300000) i;
                """)
            let killed = Atomic(false)
            let admin = try pair.target.connect("postgres")
            let killer = Killer(admin)
            let again = Atomic(false)
            _ = try PostgresMover.run(
                .copy(pair.move), resolve: { _ in pair.url() },
                progress: { step in
                    if step.phase == "reconnect" { again.store(true, ordering: .relaxed) }
                    guard step.subject == "public.large", step.rows > 0,
                        !killed.exchange(true, ordering: .relaxed)
                    else { return }
                    killer.killLoader("crash")
                })
            let reconnected = again.load(ordering: .relaxed)
            #expect(reconnected)
            #expect(try pair.verify().isEqual)
        }

        @Test func writesDuringTheCopyAreCaughtUpAfterTheFence() throws {
            let pair = try Pair("writes", everyKind)
            _ = try pair.copy()
            let source = try pair.source.connect("writes")
            try source.script(
                """
                INSERT INTO orders (user_id, total) SELECT 1, 5 FROM generate_series(1, 50);
                UPDATE users SET mood = 'sad' WHERE id = 7; DELETE FROM parts WHERE id = 3;
                ALTER TABLE nopk DISABLE TRIGGER t_always; INSERT INTO nopk VALUES (99, 'y');
                ALTER TABLE nopk ENABLE ALWAYS TRIGGER t_always;
                SELECT nextval('lonely');
                """)
            #expect(try !pair.verify().isEqual)
            let report = try pair.sync()
            let tables = Set(report.recopied.map(\.table))
            #expect(tables == ["public.orders", "public.users", "public.nopk", "public.parts_1"])
            #expect(report.source == report.target)
            let verification = try pair.verify(report.source)
            #expect(verification.isEqual, "\(verification)")
            let target = try pair.target.connect("writes")
            #expect(try target.query("SELECT n FROM mv").scalar == "5050")
            #expect(try pair.sync().recopied.isEmpty)
        }

        @Test func aFlippedRowIsFoundByItsKey() throws {
            let pair = try Pair("flip", everyKind)
            _ = try pair.copy()
            let target = try pair.target.connect("flip")
            try target.script(
                """
                SET session_replication_role = replica;
                UPDATE orders SET total = total + 0.01 WHERE id = 4711; DELETE FROM users WHERE id = 12;
                INSERT INTO empty VALUES (5); ALTER TABLE nopk DISABLE TRIGGER ALL;
                DELETE FROM nopk WHERE ctid = '(0,1)';
                """)
            let verification = try pair.verify()
            let found = Set(verification.differences.map { "\($0.table) \($0.kind) \($0.key)" })
            #expect(
                found.isSuperset(of: [
                    "public.orders changed (4711)", "public.users missing (12)", "public.empty extra (5)",
                ]), "\(found)")
            #expect(found.contains { $0.hasPrefix("public.nopk missing ctid (0,") }, "\(found)")
            #expect(verification.differences.count == 4)
        }

        @Test func aSchemaChangeDuringTheCopyIsRefused() throws {
            let pair = try Pair("ddl", "CREATE TABLE t (a int PRIMARY KEY)")
            _ = try pair.copy()
            try pair.source.connect("ddl").query("ALTER TABLE t ADD COLUMN b int")
            let failure = #expect(throws: BasculeError.self) { try pair.sync() }
            #expect(failure?.code == "schema-changed")
        }
    }
}

/// Kills the server process of a loading session, as the kernel would.
final class Killer: @unchecked Sendable {
    private let admin: PGConnection
    init(_ admin: PGConnection) { self.admin = admin }
    func killLoader(_ database: String) {
        let rows = try? admin.query(
            "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'COPY%' LIMIT 1", [database])
        if let pid = (rows?.scalar).flatMap({ Int32($0) }) { kill(pid, SIGKILL) }
    }
}
