import BasculeData
import BasculeModel
import BasculePostgres
import Synchronization
import Testing

extension AgainstServers {
    /// Tables in ranges, runs that are cut, and the proof at the end.
    @Suite struct RangeTests {
        /// Three tables of some megabytes, bound by a foreign key, in ranges of half a megabyte.
        private func shop(_ name: String) throws -> Pair {
            var pair = try Pair(
                name,
                """
                CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE, t text);
                INSERT INTO customers SELECT i, i || '@x.y', repeat('c', 60) FROM generate_series(1, 20000) i;
                CREATE TYPE state AS ENUM ('new', 'sent');
                CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, state state, t text);
                INSERT INTO orders SELECT i, i % 20000 + 1, 'new', repeat(E'o\\t\\\\', 20) FROM generate_series(1, 30000) i;
                CREATE TABLE small (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), v int);
                INSERT INTO small (v) SELECT generate_series(1, 100);
                """)
            pair.move.rangePages = 32
            return pair
        }

        /// Copies until `isEnough`, then is cut.
        private func cut(_ pair: Pair, when isEnough: @escaping @Sendable (MoveProgress) -> Bool) throws {
            let stop = Atomic(false)
            let failure = #expect(throws: BasculeError.self) {
                try PostgresMover.run(
                    .copy(pair.move), resolve: { _ in pair.url() },
                    progress: { if isEnough($0) { stop.store(true, ordering: .relaxed) } },
                    isCancelled: { stop.load(ordering: .relaxed) })
            }
            #expect(failure?.code == .cancelled)
        }

        private func ranges(_ pair: Pair, _ table: String) throws -> Int {
            let rows = try pair.target.connect(pair.name).query(
                "SELECT count(*) FROM bascule.ranges WHERE name = $1", ["\"public\".\"\(table)\""])
            return Int(rows.scalar ?? "") ?? -1
        }

        @Test func largeTablesGoInRangesAndAreProvedAsTheyPass() throws {
            let pair = try shop("ranges")
            let report = try pair.copy()
            #expect(report.rows == 50_100)
            #expect(report.proof?.rows == 50_100)
            #expect(report.proof?.tables == 3)
            #expect(try ranges(pair, "orders") > 10)
            #expect(try ranges(pair, "small") == 1)
            // Every range was digested in passing, those in COPY's text format (the enum) too.
            let target = try pair.target.connect("ranges")
            #expect(try target.query("SELECT count(*) FROM bascule.ranges WHERE sum1 IS NULL").scalar == "0")
            #expect(try pair.verify().isEqual)
        }

        /// FAULT 57, and what a resumed run must not do: mix rows of two snapshots.
        @Test func aCutCopyGoesOnInTheMiddleOfATableAlthoughTheSourceHasChanged() throws {
            let pair = try shop("middle")
            try cut(pair) { $0.subject == "public.customers" && $0.rows > 5_000 }
            let before = try ranges(pair, "orders")
            #expect(before > 10)
            // Rows move to other pages, unique values change hands, parents and children are born and die.
            try pair.source.connect("middle").script(
                """
                UPDATE orders SET t = t || 'moved' WHERE id IN (1, 2, 3, 15000, 29999);
                DELETE FROM orders WHERE customer = 7; DELETE FROM customers WHERE id = 7;
                INSERT INTO customers VALUES (40001, '7@x.y', 'new'); INSERT INTO orders VALUES (70000, 40001, 'sent', 'n');
                UPDATE customers SET email = 'was-19999' WHERE id = 19999;
                INSERT INTO customers VALUES (40002, '19999@x.y', 'new'); DELETE FROM small WHERE v = 5;
                """)
            let report = try pair.copy()
            let again = report.copied.first { $0.table == "public.orders" }
            #expect(try #require(again).rows < 15_000, "most ranges were equal and stayed")
            let verification = try pair.verify()
            #expect(verification.isEqual, "\(verification)")
            let target = try pair.target.connect("middle")
            // 29,999 less those of customer 7, and one new one.
            #expect(try target.query("SELECT count(*), count(DISTINCT id) FROM orders").rows == [["29999", "29999"]])
        }

        @Test func aCutInTheLastStageDoesNotKeepWhatHasChanged() throws {
            let pair = try shop("late")
            try cut(pair) { $0.phase == "constraints" || $0.phase == "index" }
            try pair.source.connect("late").script(
                """
                INSERT INTO customers VALUES (40001, 'late@x.y', 'n'); UPDATE orders SET customer = 40001 WHERE id = 5;
                UPDATE small SET v = -1 WHERE v = 9;
                """)
            _ = try pair.copy()
            let verification = try pair.verify()
            #expect(verification.isEqual, "\(verification)")
        }

        /// Rows that came after a foreign key was checked are checked, too.
        @Test func aKeyThatWasCheckedBeforeNewRowsCameIsCheckedAgain() throws {
            let pair = try shop("grown")
            try cut(pair) { $0.phase == "constraints" && $0.subject.isEmpty }
            let target = try pair.target.connect("grown")
            let checked = try target.query("SELECT bool_and(convalidated) FROM pg_constraint WHERE contype = 'f'")
            #expect(checked.scalar == "t")
            // At the source itself an orphan gets past its key.
            try pair.source.connect("grown").script(
                """
                SET session_replication_role = replica;
                INSERT INTO orders SELECT i, 99999, 'new', repeat('o', 400) FROM generate_series(50001, 52000) i;
                """)
            let failure = #expect(throws: BasculeError.self) { try pair.copy() }
            #expect("\(failure as Any)".contains("23503"), "\(failure as Any)")
        }

        /// Keys that lead from and to a table with partitions of partitions are checked again when a leaf has changed.
        @Test func aLeafOfTwoLevelsThatChangedIsCopiedAgain() throws {
            let pair = try Pair(
                "levels",
                """
                CREATE TABLE places (id int PRIMARY KEY); INSERT INTO places SELECT generate_series(1, 10);
                CREATE TABLE visits (id int, day int, place int REFERENCES places, PRIMARY KEY (id, day))
                    PARTITION BY RANGE (day);
                CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (0) TO (10) PARTITION BY LIST (day);
                CREATE TABLE visits_1_1 PARTITION OF visits_1 FOR VALUES IN (1);
                INSERT INTO visits SELECT i, 1, i % 10 + 1 FROM generate_series(1, 500) i;
                CREATE TABLE notes (id int, day int, t text, FOREIGN KEY (id, day) REFERENCES visits);
                INSERT INTO notes SELECT i, 1, 'n' FROM generate_series(1, 50) i;
                """)
            // After the keys, before the end.
            try cut(pair) { $0.phase == "digest" }
            try pair.source.connect("levels").script("UPDATE visits SET place = 3 WHERE id = 77")
            _ = try pair.copy()
            let verification = try pair.verify()
            #expect(verification.isEqual, "\(verification)")
            let keys = try pair.target.connect("levels").query(
                "SELECT count(*), bool_and(convalidated) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0")
            #expect(keys.rows.first ?? [] == ["2", "t"])
        }

        /// The owner, as whom the app runs, may write in the ledger; a superuser tidies up after it.
        @Test func nothingOfTheLedgerReachesASuperusersStatement() throws {
            let pair = try shop("ledger")
            _ = try pair.copy()
            let owner = try pair.target.connect("ledger")
            try owner.script(
                """
                SET ROLE \(PGQuote.identifier(pair.move.owner));
                CREATE FUNCTION public.evil(int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'ran'; END $$;
                CREATE TABLE public.x (a int); INSERT INTO public.x VALUES (1);
                ALTER TABLE public.x ADD CONSTRAINT c CHECK (public.evil(a)) NOT VALID;
                CREATE TABLE public."x/**/validate/**/constraint/**/c--" (a int);
                INSERT INTO bascule.move VALUES ('unattended', '{public.x/**/validate/**/constraint/**/c--}'),
                    ('back.full', '{public.x/**/validate/**/constraint/**/c--}'), ('back', 'x');
                """)
            _ = try pair.run(.finish(pair.move))
            let broken = try shop("broken")
            _ = try broken.copy()
            try broken.target.connect("broken").query("INSERT INTO bascule.move VALUES ('unattended', '{no list')")
            _ = try broken.run(.finish(broken.move))
        }

        /// Autovacuum leaves the tables alone until they are complete, and does as the source says afterwards.
        @Test func autovacuumWaitsForTheEndOfTheCopy() throws {
            let pair = try shop("vacuum")
            try pair.source.connect("vacuum").script("ALTER TABLE small SET (autovacuum_enabled = on, fillfactor = 80)")
            func options() throws -> [[String?]] {
                try pair.target.connect("vacuum").query(
                    """
                    SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace
                    AND relkind = 'r' ORDER BY 1
                    """
                ).rows.map { $0 }
            }
            let kept: [String?] = ["small", "{autovacuum_enabled=on,fillfactor=80}"]
            try cut(pair) { $0.phase == "index" }
            let off = "{autovacuum_enabled=off}"
            #expect(try options() == [["customers", off], ["orders", off], kept])
            _ = try pair.copy()
            #expect(try options() == [["customers", nil], ["orders", nil], kept])
            // A move that is given up in the middle.
            let other = try shop("givenup")
            try cut(other) { $0.phase == "index" }
            _ = try other.run(.finish(other.move))
            let left = try other.target.connect("givenup").query(
                "SELECT count(*) FROM pg_class WHERE reloptions::text LIKE '%autovacuum%'")
            #expect(left.scalar == "0")
        }

        @Test func aBitThatFlipsOnTheWayIsFoundAndNamed() throws {
            let pair = try shop("bit")
            let target = Flipper(try pair.target.connect("bit"))
            let failure = #expect(throws: BasculeError.self) {
                try PostgresMover.run(
                    .copy(pair.move), resolve: { _ in pair.url() },
                    progress: { if $0.phase == "constraints" { target.flip() } })
            }
            #expect(failure?.code == "copy-differs")
            #expect(failure?.cause?.contains("public.orders changed (4711)") == true, "\(failure?.cause ?? "")")
        }

        @Test func differingRowsAreShownSideBySide() throws {
            let pair = try shop("diff")
            _ = try pair.copy()
            let target = try pair.target.connect("diff")
            try target.script(
                """
                UPDATE customers SET t = NULL WHERE id = 11; DELETE FROM orders WHERE id = 5;
                INSERT INTO customers VALUES (50000, 'x', 'y');
                """)
            guard case .compared(let found) = try pair.run(.diff(pair.move, table: "customers", limit: 10)) else {
                throw Unexpected()
            }
            #expect(found.columns == ["id", "email", "t"])
            #expect(!found.isEqual && found.sourceRows == 20_000 && found.targetRows == 20_001)
            #expect(
                found.rows == [
                    .init(
                        kind: .changed, key: "(11)", source: ["11", "11@x.y", String(repeating: "c", count: 60)],
                        target: ["11", "11@x.y", nil]),
                    .init(kind: .extra, key: "(50000)", source: nil, target: ["50000", "x", "y"]),
                ])
            guard case .compared(let equal) = try pair.run(.diff(pair.move, table: "public.small", limit: 10)) else {
                throw Unexpected()
            }
            #expect(equal.isEqual && equal.rows.isEmpty)
            let failure = #expect(throws: BasculeError.self) {
                try pair.run(.diff(pair.move, table: "nothing", limit: 1))
            }
            #expect(failure?.code == .invalidInput)
        }

        @Test func excludedTablesArriveEmpty() throws {
            var pair = try shop("excluded")
            pair.move.exclude = ["public.orders"]
            let report = try pair.copy()
            #expect(report.rows == 20_100)
            #expect(try pair.target.connect("excluded").query("SELECT count(*) FROM orders").scalar == "0")
            #expect(try pair.verify().isEqual)
            pair.move.exclude = ["public.none"]
            #expect(throws: BasculeError.self) { try pair.preflight() }
        }
    }
}

/// Changes one row at the target, once.
private final class Flipper: @unchecked Sendable {
    private let connection: PGConnection
    private let isDone = Atomic(false)
    init(_ connection: PGConnection) { self.connection = connection }
    func flip() {
        guard !isDone.exchange(true, ordering: .relaxed) else { return }
        _ = try? connection.query("UPDATE orders SET t = overlay(t placing 'p' from 1) WHERE id = 4711")
    }
}
