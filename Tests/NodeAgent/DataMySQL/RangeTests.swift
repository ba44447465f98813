import BasculeData
import BasculeModel
import Foundation
import Testing

extension MySQLToPostgres {
    /// Passes after the first one: what they write, and what others have written meanwhile.
    @Suite struct RangeTests {
        private static let schema = """
            CREATE TABLE large (id INT AUTO_INCREMENT PRIMARY KEY, mail VARCHAR(40) NOT NULL UNIQUE, t VARCHAR(40));
            INSERT INTO large SELECT CAST(seq AS SIGNED) - 1000, CONCAT('m', seq, '@x.y'), REPEAT('x', 40) FROM seq_1_to_6000 WHERE seq <> 1000;
            CREATE TABLE pairs (A INT, B VARCHAR(9), PRIMARY KEY (A, B));
            INSERT INTO pairs SELECT seq % 700, CONCAT('b', seq) FROM seq_1_to_3000;
            CREATE TABLE coded (code CHAR(8) PRIMARY KEY, n INT);
            INSERT INTO coded SELECT CONCAT('c', seq), seq FROM seq_1_to_500;

            """

        private static let all = ProcessInfo.processInfo.environment["BASCULE_TEST_ALL"] == "1"

        private func written(_ report: MySQLReport) -> [String: Int64] {
            Dictionary(uniqueKeysWithValues: report.tables.map { ($0.table, $0.rows) })
        }

        @Test(.enabled(if: Self.all, "takes seconds: BASCULE_TEST_ALL=1"))
        func onlyRangesThatChangedAreWrittenAgain() throws {
            let crossing = try Crossing("ranged", Self.schema)
            #expect(try crossing.run(.copy).rows == 9_499)
            let source = try crossing.source.connect("ranged")
            for statement in [
                "UPDATE large SET t = 'new' WHERE id = 5", "DELETE FROM large WHERE id BETWEEN -900 AND -200",
                "INSERT INTO large (mail, t) VALUES ('n@x.y', NULL)",
                "INSERT INTO large VALUES (1000000, 'far@x.y', '')",
                "DELETE FROM pairs WHERE A = 0",
            ] { try source.query(statement) }
            let again = try crossing.run(.sync)
            // Ranges of 256 keys: those of -900 to -200, of 5, of 5001, and the far one.
            let rows = written(again)
            #expect(rows.keys.sorted() == ["large", "pairs"], "\(rows)")
            #expect((200...1200).contains(rows["large"] ?? 0), "\(rows)")
            #expect(try crossing.run(.validate).isEqual)
            #expect(try crossing.run(.sync).tables.isEmpty)
            // A copy that is run again brings what has changed, too.
            try source.query("UPDATE coded SET n = 0 WHERE code = 'c7'")
            try source.query("UPDATE large SET id = id + 30000 WHERE id > 4500 AND id < 1000000")
            let third = try crossing.run(.copy)
            #expect(third.tables.map(\.table).sorted() == ["coded", "large"], "\(third.tables)")
            #expect(third.again != nil)
            #expect(try crossing.run(.verify).isEqual)
        }

        /// A range that is too large to be held back is written before its sum is known: the emptied one before it must not
        /// take its rows along when the next one is written.
        @Test(.enabled(if: Self.all, "takes seconds: BASCULE_TEST_ALL=1"))
        func aLargeRangeAfterAnEmptiedOneStays() throws {
            let crossing = try Crossing(
                "blobs",
                """
                CREATE TABLE large (id INT PRIMARY KEY, t LONGTEXT);
                INSERT INTO large VALUES (10, 'a'), (600, 'c');
                INSERT INTO large SELECT seq, REPEAT('x', 1000000) FROM seq_300_to_312;

                """)
            try crossing.run(.copy)
            let source = try crossing.source.connect("blobs")
            for statement in ["DELETE FROM large WHERE id = 10", "UPDATE large SET t = 'd' WHERE id = 600"] {
                try source.query(statement)
            }
            try crossing.run(.sync)
            #expect(try crossing.scalar("SELECT count(*) FROM large") == "14")
            #expect(try crossing.run(.validate).isEqual)
        }

        /// Two rows of distant ranges exchange a value that is unique: no order of ranges suits.
        @Test(.enabled(if: Self.all, "takes seconds: BASCULE_TEST_ALL=1"))
        func aUniqueValueThatMovesToAnEarlierRowArrives() throws {
            let crossing = try Crossing(
                "swapped",
                """
                CREATE TABLE large (id INT PRIMARY KEY, mail VARCHAR(40) NOT NULL UNIQUE, t TEXT);
                INSERT INTO large SELECT seq, CONCAT('m', seq), REPEAT('x', 2000) FROM seq_1_to_3000;

                """)
            try crossing.run(.copy)
            let source = try crossing.source.connect("swapped")
            // More changes than the mover holds back.
            for statement in [
                "UPDATE large SET mail = 'free' WHERE id = 1", "UPDATE large SET mail = 'm1' WHERE id = 2590",
                "UPDATE large SET mail = 'm2590' WHERE id = 1",
                "UPDATE large SET t = REPEAT('y', 2000) WHERE id <= 2600",
            ] { try source.query(statement) }
            // Whole, after the attempt by ranges.
            #expect(written(try crossing.run(.sync)) == ["large": 3000])
            #expect(try crossing.run(.validate).isEqual)
        }

        @Test func rowsThatOthersWroteAreReplacedBeforeT0AndNamedAfterIt() throws {
            let crossing = try Crossing("opened", Self.schema)
            try crossing.run(.copy)
            #expect(try crossing.run(.sync).tables.isEmpty)
            let target = try crossing.target.connect("opened")
            for statement in [
                "UPDATE large SET t = 'logged in' WHERE id = 77", "DELETE FROM large WHERE id = 4000",
                "INSERT INTO large VALUES (700000, 'late@x.y', 'after T0')", "INSERT INTO coded VALUES ('z', 1)",
            ] { try target.query(statement) }
            var asked = MySQLTask(.preflight, crossing.move)
            asked.afterOpen = true
            func run(_ verb: MySQLTask.Verb) throws -> MySQLReport {
                (asked.verb, asked.move) = (verb, crossing.move)
                return try MySQLMover.run(asked, resolve: { _ in crossing.source.url("opened") })
            }
            let found = try run(.preflight).refusals
            #expect(found.map(\.code) == ["written-since-t0", "written-since-t0"])
            #expect(
                found.map { "\($0.object) \($0.message.prefix(6))" } == ["coded 1 rows", "large 2 rows"],
                "\(found)")
            for verb in [MySQLTask.Verb.copy, .sync] {
                let refused = #expect(throws: BasculeError.self) { try run(verb) }
                #expect(refused?.code == .moveRefused && refused?.cause?.contains("large") == true)
            }
            #expect(try crossing.scalar("SELECT count(*) FROM large WHERE id = 700000") == "1", "still there")
            // Before T0 they are a rehearsal's: nobody is asked, and nothing of it stays.
            let rehearsed = try crossing.run(.sync)
            #expect(written(rehearsed).keys.sorted() == ["coded", "large"])
            #expect((200...1200).contains(written(rehearsed)["large"] ?? 0), "\(written(rehearsed))")
            #expect(try crossing.run(.validate).isEqual)
            #expect(try run(.preflight).refusals.isEmpty)
            // Told, it replaces them.
            try target.query("INSERT INTO large VALUES (700001, 'later@x.y', 'after T0')")
            #expect(try run(.preflight).refusals.count == 1)
            var told = crossing
            told.move.accept = ["written-since-t0"]
            asked.move = told.move
            asked.verb = .copy
            let copied = try MySQLMover.run(asked, resolve: { _ in crossing.source.url("opened") })
            #expect(copied.findings.contains { $0.code == "written-since-t0" && $0.severity == .warn })
            #expect(try told.run(.verify).isEqual)
        }
    }
}
