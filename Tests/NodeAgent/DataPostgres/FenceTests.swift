import BasculeData
import BasculeModel
import BasculePostgres
import Foundation
import Testing

extension AgainstServers {
    @Suite struct FenceTests {
        static let shop = """
            CREATE TABLE orders (id serial PRIMARY KEY, note text); INSERT INTO orders (note) VALUES ('a');
            CREATE TABLE carts (id int PRIMARY KEY, n int);
            CREATE VIEW open_orders AS SELECT * FROM orders;
            ALTER TABLE orders OWNER TO seller; ALTER TABLE carts OWNER TO seller;
            ALTER VIEW open_orders OWNER TO seller;
            GRANT SELECT, INSERT, UPDATE ON orders TO app WITH GRANT OPTION;
            GRANT USAGE ON SEQUENCE orders_id_seq TO app;
            SET ROLE app; GRANT INSERT ON orders TO reader; RESET ROLE;
            GRANT UPDATE (n) ON carts TO reader; GRANT ALL ON open_orders TO app; GRANT DELETE ON carts TO PUBLIC;
            CREATE FUNCTION hole() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO carts VALUES (9, 9)';
            ALTER DEFAULT PRIVILEGES FOR ROLE seller GRANT INSERT ON TABLES TO app;
            GRANT pg_write_all_data TO reader WITH ADMIN OPTION; GRANT CREATE ON SCHEMA public TO seller;
            """

        private func capture(_ pair: Pair) throws -> PostgresFence {
            guard case .captured(let fence) = try pair.run(.fenceCapture(pair.move)) else { throw Unexpected() }
            return fence
        }
        private func acquire(_ pair: Pair, _ fence: PostgresFence) throws -> PostgresFenceReport {
            guard case .fenced(let report) = try pair.run(.fenceAcquire(pair.move, fence)) else { throw Unexpected() }
            return report
        }
        private func prove(_ pair: Pair, _ fence: PostgresFence) throws -> PostgresFenceProof {
            guard case .proved(let proof) = try pair.run(.fenceProve(pair.move, fence)) else { throw Unexpected() }
            return proof
        }
        private func release(_ pair: Pair, _ fence: PostgresFence) throws -> PostgresFenceReport {
            guard case .released(let report) = try pair.run(.fenceRelease(pair.move, fence)) else { throw Unexpected() }
            return report
        }

        /// Every right on everything, one line each, independent of the order in which they were granted.
        private func rights(_ pair: Pair) throws -> [String] {
            try pair.source.connect(pair.name).query(
                """
                SELECT format('%s %s %s %s %s %s', o.name, x.grantee::regrole, x.grantor::regrole, x.privilege_type,
                    x.is_grantable, o.kind) FROM (
                    SELECT 'c' AS kind, c.oid::regclass::text AS name,
                        coalesce(c.relacl, acldefault(
                            CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl
                        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'S')
                    UNION ALL SELECT 'a', a.attrelid::regclass || '.' || a.attname, a.attacl FROM pg_attribute a
                        WHERE a.attacl IS NOT NULL AND a.attrelid >= 16384
                    UNION ALL SELECT 'n', n.nspname, coalesce(n.nspacl, acldefault('n', n.nspowner)) FROM pg_namespace n
                        WHERE n.nspname = 'public'
                    UNION ALL SELECT 'p', p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner))
                        FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
                    UNION ALL SELECT 'd', d.defaclrole::regrole || d.defaclobjtype::text, d.defaclacl
                        FROM pg_default_acl d
                ) o CROSS JOIN LATERAL aclexplode(o.acl) x
                UNION ALL SELECT format('member %s %s %s', roleid::regrole, member::regrole, admin_option)
                    FROM pg_auth_members
                UNION ALL SELECT format('setting %s %s', setrole, setconfig) FROM pg_db_role_setting s
                    JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()
                ORDER BY 1
                """
            ).rows.map { $0[0] ?? "" }
        }

        @Test func nobodyWritesThroughTheFenceAndEverythingComesBack() throws {
            let pair = try Pair("fence", Self.shop)
            let before = try rights(pair)
            // A pool's session, in the middle of its life.
            let pooled = try pair.source.connect("fence", as: "app")
            try pooled.query("PREPARE w AS INSERT INTO orders (note) VALUES ('pooled')")
            try pooled.query("EXECUTE w")
            let fence = try capture(pair)
            #expect(try prove(pair, fence).holds == false)
            let report = try acquire(pair, fence)
            #expect(!report.pooled.isEmpty)
            #expect(report.pooled.allSatisfy { $0.outcome == .refused }, "\(report.pooled)")
            #expect(!report.findings.contains { $0.severity == .refuse }, "\(report.findings)")
            for statement in ["EXECUTE w", "BEGIN READ WRITE; EXECUTE w", "SET default_transaction_read_only = off"] {
                let failure = Self.failure { try pooled.script(statement) }
                if statement.hasPrefix("SET") { continue }
                #expect(failure?.state == "42501", "\(statement): \(String(describing: failure))")
                _ = try? pooled.query("ROLLBACK")
            }
            #expect(Self.failure { try pooled.query("EXECUTE w") }?.state == "42501")
            let owner = try pair.source.connect("fence", as: "seller")
            try owner.query("SET default_transaction_read_only = off")
            #expect(Self.failure { try owner.query("INSERT INTO carts VALUES (1, 1)") }?.state == "42501")
            #expect(Self.failure { try owner.query("SELECT nextval('orders_id_seq')") }?.state == "42501")
            #expect(Self.failure { try owner.query("CREATE TABLE public.late (a int)") }?.state == "42501")
            #expect(Self.failure { try pooled.query("SELECT hole()") }?.state == "42501")
            #expect(Self.failure { try pooled.query("INSERT INTO open_orders (note) VALUES ('v')") }?.state == "42501")
            let proof = try prove(pair, fence)
            #expect(proof.holds, "\(proof)")
            let roles = Set(proof.attempts.map(\.role))
            #expect(roles.isSuperset(of: ["app", "reader", "seller", "shop"]))
            for role in ["app", "reader", "seller", "shop"] {
                let kinds = Set(proof.attempts.filter { $0.role == role && $0.outcome == .refused }.map(\.kind))
                #expect(kinds == Set(PostgresFenceAttempt.Class.allCases), "\(role): \(kinds)")
            }
            #expect(proof.combinations > 50)
            // Reading goes on.
            #expect(try pooled.query("SELECT count(*) FROM orders").scalar == "2")
            // Twice is once.
            _ = try acquire(pair, fence)
            #expect(throws: BasculeError.self) { try capture(pair) }
            let released = try release(pair, fence)
            #expect(released.findings.isEmpty, "\(released.findings)")
            let after = try rights(pair)
            #expect(Set(after) == Set(before), "\(Set(after).symmetricDifference(before))")
            try pooled.query("EXECUTE w")
            _ = try release(pair, fence)
            #expect(try Set(rights(pair)) == Set(before))
        }

        /// The controller's record does not know what is created between the capture and the fence.
        @Test func whatWasCreatedSinceTheCaptureIsFencedAndGivenBack() throws {
            let pair = try Pair("fencelate", Self.shop)
            let fence = try capture(pair)
            let owner = try pair.source.connect("fencelate", as: "seller")
            try owner.script("CREATE TABLE late (id serial, a int); GRANT DELETE ON late TO reader WITH GRANT OPTION")
            let admin = try pair.source.connect("fencelate")
            try admin.script("SET ROLE reader; GRANT DELETE ON late TO app")
            // On what was there already, too.
            try admin.script("RESET ROLE; GRANT INSERT ON carts TO app WITH GRANT OPTION")
            let before = try rights(pair)
            for _ in 0..<2 { _ = try acquire(pair, fence) }
            #expect(Self.failure { try owner.query("INSERT INTO late (a) VALUES (1)") }?.state == "42501")
            #expect(Self.failure { try owner.query("SELECT nextval('late_id_seq')") }?.state == "42501")
            #expect(try prove(pair, fence).holds)
            let released = try release(pair, fence)
            #expect(released.findings.isEmpty, "\(released.findings)")
            let after = try rights(pair)
            #expect(Set(after) == Set(before), "\(Set(after).symmetricDifference(before))")
            try owner.query("INSERT INTO late (a) VALUES (1)")
        }

        /// What could not be given back is not taken: rights on columns, and all where the source keeps nothing for us.
        @Test(arguments: [
            ("postgres", "GRANT INSERT (n) ON carts TO app"),
            ("seller", "CREATE TABLE late (a int); GRANT INSERT ON late TO app"),
        ])
        func whatCannotBeKeptIsNotTaken(login: String, late: String) throws {
            let pair = try Pair("unkept\(login)", Self.shop)
            let admin = try pair.source.connect(pair.name)
            try admin.query("ALTER DATABASE unkept\(login) OWNER TO seller")
            guard case .captured(let fence) = try pair.run(.fenceCapture(pair.move), as: login) else {
                throw Unexpected()
            }
            try admin.script("SET ROLE seller; \(late)")
            let before = try rights(pair)
            let failure = #expect(throws: BasculeError.self) {
                try pair.run(.fenceAcquire(pair.move, fence), as: login)
            }
            #expect(failure?.code == .fenceFailed && failure?.hint?.contains("Run again") == true, "\(failure as Any)")
            #expect(try rights(pair) == before)
        }

        /// What is kept at the source could be written by the database's owner.
        @Test func whatIsKeptAtTheSourceIsNotBelieved() throws {
            let pair = try Pair("forged", Self.shop)
            let fence = try capture(pair)
            _ = try acquire(pair, fence)
            let admin = try pair.source.connect("forged")
            try admin.query("SET default_transaction_read_only = off")
            // An object that exists, with more than a right; a table of the system; a default; half of an entry.
            let forged = [
                "table", "public.carts", "seller", "app", "seller", "ALL ON orders TO app; ALTER ROLE app SUPERUSER",
                "", "table", "pg_catalog.pg_authid", "postgres", "app", "postgres", "UPDATE", "",
                "defaults", "public", "seller", "app", "seller", "UPDATE", "", "table", "public.carts", "seller",
            ]
            let text = PGQuote.literal(PGQuote.array(forged))
            try admin.query("ALTER DATABASE forged SET bascule.fence_late = \(text)")
            let released = try release(pair, fence)
            #expect(released.findings.isEmpty, "\(released.findings)")
            let counts = try admin.query(
                """
                SELECT (SELECT count(*) FROM pg_roles WHERE rolname = 'app' AND rolsuper),
                    has_table_privilege('app', 'pg_catalog.pg_authid', 'UPDATE'),
                    has_table_privilege('app', 'carts', 'UPDATE')
                """)
            #expect(counts.rows.first ?? [] == ["0", "f", "f"])
            _ = try acquire(pair, fence)
            try admin.query("ALTER DATABASE forged SET bascule.fence_late = '{no list'")
            #expect(try release(pair, fence).findings.isEmpty)
        }

        @Test func writersInTheMiddleDoNotStraddle() throws {
            let pair = try Pair("straddle", Self.shop)
            let writer = try pair.source.connect("straddle", as: "app")
            try writer.query("BEGIN")
            try writer.query("INSERT INTO orders (note) VALUES ('never committed')")
            let fence = try capture(pair)
            let report = try acquire(pair, fence)
            #expect(report.terminated == 1)
            #expect(Self.failure { try writer.query("COMMIT") } != nil)
            let admin = try pair.source.connect("straddle")
            #expect(try admin.query("SELECT count(*) FROM orders").scalar == "1")
            _ = try release(pair, fence)
        }

        @Test func aWriterThatEndsInTimeIsKept() throws {
            var pair = try Pair("intime", Self.shop)
            pair.move.fenceGrace = 5
            let writer = try pair.source.connect("intime", as: "app")
            try writer.query("BEGIN")
            try writer.query("INSERT INTO orders (note) VALUES ('kept')")
            let fence = try capture(pair)
            let done = DispatchSemaphore(value: 0)
            let box = Box(writer)
            DispatchQueue.global().asyncAfter(deadline: .now() + 0.5) {
                _ = try? box.value.query("COMMIT")
                done.signal()
            }
            let report = try acquire(pair, fence)
            done.wait()
            #expect(report.terminated == 0 && report.drained == 1)
            #expect(try pair.source.connect("intime").query("SELECT count(*) FROM orders").scalar == "2")
            _ = try release(pair, fence)
        }

        @Test func aPreparedTransactionStopsTheFence() throws {
            let pair = try Pair("prepared", Self.shop)
            let admin = try pair.source.connect("prepared")
            try admin.script("BEGIN; INSERT INTO orders (note) VALUES ('2pc'); PREPARE TRANSACTION 'held'")
            defer { _ = try? admin.query("ROLLBACK PREPARED 'held'") }
            let fence = try capture(pair)
            let failure = #expect(throws: BasculeError.self) { try acquire(pair, fence) }
            #expect(failure?.code == "fence-failed")
        }

        /// The migration's role owns the shop, but did not make the member of a role that may write everywhere.
        @Test func aMembershipThatTheFenceCannotTakeKeepsNothingElseFenced() throws {
            let pair = try Pair(
                "noadmin",
                """
                CREATE TABLE orders (id int PRIMARY KEY, note text); ALTER TABLE orders OWNER TO shop;
                GRANT INSERT ON orders TO app; GRANT pg_write_all_data TO reader;
                """)
            let admin = try pair.source.connect("noadmin")
            defer { _ = try? admin.query("REVOKE pg_write_all_data FROM reader") }
            guard case .preflight(let told) = try pair.run(.preflight(pair.move), as: "shop"),
                case .captured(let fence) = try pair.run(.fenceCapture(pair.move), as: "shop"),
                case .fenced(let taken) = try pair.run(.fenceAcquire(pair.move, fence), as: "shop")
            else { throw Unexpected() }
            #expect(
                told.findings.contains {
                    $0.code == "fence-needs-admin" && $0.object.hasSuffix("in pg_write_all_data")
                },
                "\(told.findings)")
            #expect(taken.findings.contains { $0.code == "fence-incomplete" }, "\(taken.findings)")
            guard case .proved(let proof) = try pair.run(.fenceProve(pair.move, fence), as: "shop") else {
                throw Unexpected()
            }
            #expect(!proof.holds && proof.holes.contains { $0.hasPrefix("reader may INSERT") }, "\(proof)")
            guard case .released(let released) = try pair.run(.fenceRelease(pair.move, fence), as: "shop") else {
                throw Unexpected()
            }
            #expect(released.findings.isEmpty, "\(released.findings)")
            let app = try pair.source.connect("noadmin", as: "app")
            try app.query("INSERT INTO orders VALUES (1, 'sells again')")
        }

        private static func failure(_ body: () throws -> Void) -> PGError? {
            do {
                try body()
                return nil
            } catch { return error as? PGError }
        }
    }
}

final class Box<T>: @unchecked Sendable {
    let value: T
    init(_ value: T) { self.value = value }
}
