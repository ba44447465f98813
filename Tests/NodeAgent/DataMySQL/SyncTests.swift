import BasculeData
import BasculeModel
import BasculeMySQL
import Synchronization
import Testing

extension MySQLToPostgres {
    @Suite struct SyncTests {
        @Test func whatChangedSinceTheCopyIsReplacedAfterTheFence() throws {
            let crossing = try Crossing("changed", pitfallSchema)
            try crossing.run(.copy)
            try crossing.source.script(
                "changed",
                """
                UPDATE people SET note = 'new' WHERE id = 2;
                DELETE FROM _PersonToTeam WHERE A = 2;
                INSERT INTO isam VALUES (2, 'z');

                """)
            let before = try crossing.run(.verify)
            #expect(!before.isEqual)
            let found = Set(before.differences.map { "\($0.table) \($0.key) \($0.kind) \($0.columns)" })
            #expect(
                found.isSuperset(of: [
                    "isam id=2 missing []", "_PersonToTeam A=2,B=2 extra []",
                    "people id=2 changed [\"seen\", \"note\"]",
                ]), "\(found)")
            let synced = try crossing.run(.sync)
            #expect(Set(synced.tables.map(\.table)) == ["people", "_PersonToTeam", "isam"])
            #expect(try crossing.run(.validate).isEqual)
            #expect(try crossing.run(.verify).isEqual)
            #expect(try crossing.run(.sync).tables.isEmpty)
            try crossing.source.connect("changed").query("ALTER TABLE empty ADD COLUMN b INT")
            #expect(crossing.refusal(.sync)?.code == "schema-changed")
        }

        @Test func aFlippedValueIsFoundByItsKeyAndColumn() throws {
            let crossing = try Crossing(
                "flipped",
                """
                CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(20));
                INSERT INTO t SELECT seq, seq * 2, CONCAT('v', seq) FROM seq_1_to_5000;

                """)
            try crossing.run(.copy)
            let target = try crossing.target.connect("flipped")
            try target.query("UPDATE t SET a = a + 1 WHERE id = 4711")
            // Two rows that change places keep every column's values.
            try target.query("UPDATE t SET b = CASE id WHEN 7 THEN 'v8' ELSE 'v7' END WHERE id IN (7, 8)")
            let check = try crossing.run(.verify)
            #expect(
                Set(check.differences.map { "\($0.key) \($0.columns)" })
                    == ["id=4711 [\"a\"]", "id=7 [\"b\"]", "id=8 [\"b\"]"])
            let columns = check.tables.first?.columns.filter { $0.source != $0.target }.map(\.column)
            #expect(columns == ["a", "b"])
            try target.query("DELETE FROM t WHERE id = 9")
            try target.query("INSERT INTO t VALUES (9999, 1, NULL)")
            let shown = try MySQLMover.run(
                MySQLTask(.diff, crossing.move, table: "public.t", limit: 4),
                resolve: { _ in crossing.source.url("flipped") })
            #expect(!shown.isEqual && shown.differenceCount == 5)
            let lines = shown.spots.map { spot in
                "\(spot.key) \(spot.cells.map { $0.joined(separator: "|") }.joined(separator: ", "))"
            }
            #expect(lines.count == 4)
            let (changed, extra) = (
                "id=4711 a|'9422'|'9423'",
                "id=9999 id|‹no row›|'9999', a|‹no row›|'1', b|‹no row›|NULL"
            )
            #expect(Set(lines).isSuperset(of: [changed, extra]), "\(lines)")
            #expect(crossing.refusal(.diff)?.code == .invalidInput)
        }

        @Test func aCopyThatIsStoppedLeavesNothingAndRunsAgain() throws {
            let crossing = try Crossing(
                "stopped",
                """
                CREATE TABLE first (id INT PRIMARY KEY);
                INSERT INTO first VALUES (1);
                CREATE TABLE large (id INT PRIMARY KEY, t TEXT);
                INSERT INTO large SELECT seq, REPEAT('x', 100) FROM seq_1_to_30000;

                """)
            let seen = Atomic(false)
            let error = #expect(throws: BasculeError.self) {
                try MySQLMover.run(
                    MySQLTask(.copy, crossing.move), resolve: { _ in crossing.source.url("stopped") },
                    progress: { if $0.subject == "large", $0.rows > 8_000 { seen.store(true, ordering: .relaxed) } },
                    isCancelled: { seen.load(ordering: .relaxed) })
            }
            #expect(error?.code == .cancelled)
            #expect(try crossing.scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0")
            #expect(try crossing.run(.copy).rows == 30_001)
            #expect(try crossing.run(.verify).isEqual)
        }
    }
}
