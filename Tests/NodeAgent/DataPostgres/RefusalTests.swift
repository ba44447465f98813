import BasculeData
import BasculeModel
import BasculePostgres
import Foundation
import Testing

extension AgainstServers {
    @Suite struct RefusalTests {
        @Test func hiddenRowsAndMissingRightsAreRefused() throws {
            let pair = try Pair(
                "hidden",
                """
                CREATE TABLE secret (id int PRIMARY KEY, owner text); INSERT INTO secret VALUES (1, 'x');
                ALTER TABLE secret ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON secret USING (owner = current_user);
                GRANT SELECT ON secret TO app; CREATE TABLE closed (id int);
                """)
            let report = try pair.preflight(as: "app")
            let refused = Set(report.findings.filter { $0.severity == .refuse }.map { "\($0.code) \($0.object)" })
            #expect(refused.contains(#"rls-hides-rows "public"."secret""#), "\(refused)")
            #expect(refused.contains(#"no-right-to-read "public"."closed""#), "\(refused)")
            let failure = #expect(throws: BasculeError.self) { try pair.run(.copy(pair.move), as: "app") }
            #expect(failure?.code == "move-refused")
            let target = try pair.target.connect("hidden")
            #expect(try target.query("SELECT to_regclass('secret')").scalar == nil)
        }

        @Test func aTargetThatHoldsSomethingIsRefused() throws {
            var pair = try Pair("filled", "CREATE TABLE t (a int PRIMARY KEY)")
            try pair.target.connect("filled").query("CREATE TABLE mine (a int)")
            #expect(throws: BasculeError.self) { try pair.copy() }
            pair.move.allowNonEmptyTarget = true
            _ = try pair.copy()
            #expect(try pair.verify().isEqual)
        }

        @Test func whatIsNotMovedIsNamed() throws {
            let pair = try Pair(
                "named",
                """
                CREATE AGGREGATE mysum (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
                CREATE FUNCTION c_function(float8) RETURNS float8 LANGUAGE internal AS 'dsqrt';
                CREATE TABLE nokey (a int); CREATE UNLOGGED TABLE u (a int PRIMARY KEY);
                SELECT lo_create(0); CREATE COLLATION german (provider = libc, locale = 'C');
                CREATE FUNCTION hole() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO nokey VALUES (1)';
                """)
            let report = try pair.preflight()
            let codes = Set(report.findings.map { "\($0.code) \($0.severity)" })
            #expect(
                codes.isSuperset(of: [
                    "unsupported-object refuse", "language-unsupported refuse", "no-primary-key warn", "unlogged warn",
                    "large-objects refuse", "definer-of-superuser warn",
                ]), "\(codes)")
            #expect(!report.passes)
        }

        @Test func aRowThatCannotBeStoredIsNamedAndNothingIsHalfLoaded() throws {
            let pair = try Pair(
                "badrow",
                """
                CREATE DOMAIN picky AS text CHECK (value <> 'bad' OR current_user = 'postgres');
                CREATE TABLE t (id int PRIMARY KEY, v picky);
                INSERT INTO t SELECT i, CASE i WHEN 777 THEN 'bad' ELSE 'good' END FROM generate_series(1, 1000) i;
                """)
            let failure = #expect(throws: BasculeError.self) { try pair.copy() }
            #expect(failure?.code == "row-refused")
            #expect(failure?.place == .thing("public.t row 777 key (777) column v"), "\(String(describing: failure))")
            #expect(try pair.target.connect("badrow").query("SELECT count(*) FROM t").scalar == "0")
        }

        @Test func aHostileSchemaGetsNoRights() throws {
            let pair = try Pair(
                "hostile",
                """
                CREATE FUNCTION evil(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
                    IF current_user <> 'postgres' THEN
                        BEGIN EXECUTE 'RESET ROLE'; EXECUTE 'RESET SESSION AUTHORIZATION';
                            EXCEPTION WHEN others THEN END;
                        BEGIN EXECUTE 'ALTER ROLE shop SUPERUSER'; EXCEPTION WHEN others THEN END;
                        BEGIN EXECUTE $x$COPY (SELECT 1) TO PROGRAM 'touch /tmp/bascule-hostile'$x$;
                            EXCEPTION WHEN others THEN END;
                    END IF;
                    RETURN true; END $$;
                CREATE DOMAIN trap AS text CHECK (evil(value));
                CREATE TABLE t (id int PRIMARY KEY, v trap); INSERT INTO t VALUES (1, 'x');
                """)
            let mark = "/tmp/bascule-hostile"
            try? FileManager.default.removeItem(atPath: mark)
            _ = try? pair.copy()
            #expect(!FileManager.default.fileExists(atPath: mark), "it ran a program")
            let target = try pair.target.connect("hostile")
            #expect(try target.query("SELECT rolsuper FROM pg_roles WHERE rolname = 'shop'").scalar == "f")
            #expect(try target.query("SELECT count(*) FROM pg_roles WHERE rolsuper").scalar == "1")
        }

        @Test func aRefusedLoginShowsNoPassword() throws {
            let pair = try Pair("login", "SELECT 1")
            let url = Secret("postgresql://nobody:hunter2@127.0.0.1:\(pair.source.port)/login")
            let failure = #expect(throws: BasculeError.self) {
                try PostgresMover.run(.preflight(pair.move), resolve: { _ in url })
            }
            #expect(failure?.code == .postgresConnection)
            #expect(!"\(String(describing: failure))".contains("hunter2"))
            let broken = Secret("postgresql://u:hunter2@host:port:9/x")
            let second = #expect(throws: BasculeError.self) {
                try PostgresMover.run(.preflight(pair.move), resolve: { _ in broken })
            }
            #expect(!"\(String(describing: second))".contains("hunter2"))
        }
    }
}
