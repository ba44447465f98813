import BasculeModel
import Testing

extension MySQLToPostgres {
    @Suite struct PitfallTests {
        @Test func everyPitfallGoesOver() throws {
            let crossing = try Crossing("pitfalls", pitfallSchema)
            let dry = try crossing.run(.rehearse)
            #expect(dry.isEqual && dry.tables.count == 7, "\(dry.differences)")
            #expect(try crossing.scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0")
            #expect(try crossing.scalar("SELECT count(*) FROM pg_extension WHERE extname = 'citext'") == "0")
            let copied = try crossing.run(.copy)
            #expect(
                Set(copied.findings.map(\.code)) == [
                    "bookkeeping-left", "case-insensitive-key", "json-by-value", "no-key", "not-in-the-snapshot",
                    "on-update-by-trigger", "partitions-merged",
                ])
            let check = try crossing.run(.verify)
            #expect(check.isEqual, "\(check.differences)")
            #expect(check.spots.count >= 5 && check.spots.count { !$0.isEqual } == 0)
            let masked = check.spots.first { $0.table == "people" }?.cells.first { $0[0] == "token" }
            #expect(masked == ["token", "‹masked›", "‹equal›"])
            let person = try crossing.rows(
                """
                SELECT email, code, active, flags, mood, likes, born, joined, seen AT TIME ZONE 'UTC', wakes, hired,
                    rate, mass, wage, bits, one, settings->'a'->>1, photo, ident, host, note, old, tri, shown, twice
                FROM people WHERE id = 1
                """
            ).first
            #expect(
                person == [
                    "Ann@Shop.example", "Ab      ", "t", "255", "it's bad", "{tea,coffee}", "1904-02-29",
                    "2024-03-31 02:30:00.123", "2024-10-27 00:30:00.5", "23:59:59.99", "1999", "0.1", "1e-300",
                    "12345678.0001", "1111111111", "t", "é", "\\x00ff5c0a0d09", "123e4567-e89b-12d3-a456-426655440000",
                    "::ffff:1.2.3.4", "tab\tline\nback\\slash \r 'q' \\N", "déjà €", "naïve", "ann@shop.example/255",
                    "510",
                ])
            try behavesAsBefore(crossing)
            // A second run finds what was done at the target, and makes it the source's copy again; a third finds nothing.
            #expect(try !crossing.run(.copy).tables.isEmpty)
            #expect(try crossing.run(.verify).isEqual)
            #expect(try crossing.run(.copy).tables.isEmpty)
            try crossing.run(.finish)
            #expect(try crossing.scalar("SELECT to_regnamespace('bascule')") == nil)
        }

        private func behavesAsBefore(_ crossing: Crossing) throws {
            #expect(try crossing.scalar("SELECT id FROM people WHERE email = 'ANN@shop.EXAMPLE'") == "1")
            #expect(try crossing.scalar("SELECT obj_description('people'::regclass)") == #"people \ of the "shop""#)
            let target = try crossing.target.connect(crossing.name)
            #expect(throws: (any Error).self) {
                try target.query("INSERT INTO people (email) VALUES ('BOB@shop.example')")
            }
            #expect(throws: (any Error).self) {
                try target.query("INSERT INTO people (email, wage) VALUES ('c', -1)")
            }
            #expect(throws: (any Error).self) { try target.query("UPDATE people SET likes = '{beer}' WHERE id = 1") }
            #expect(throws: (any Error).self) { try target.query("UPDATE people SET boss = 77 WHERE id = 1") }
            let made = try target.query(
                "INSERT INTO people (email) VALUES ('new@x.y') RETURNING id, active, mood, bits, wage, twice")
            #expect(
                made.rows == [["5001", "t", "happy", "0000000101", "0.5000", "0"]]
                    || made.rows.first?[0] ?? "" >= "5000")
            let before = try target.query("SELECT seen FROM people WHERE id = 1").scalar
            try target.query("UPDATE people SET flags = flags WHERE id = 1")
            #expect(try target.query("SELECT seen FROM people WHERE id = 1").scalar == before)
            try target.query("UPDATE people SET flags = 3 WHERE id = 1")
            #expect(try target.query("SELECT seen FROM people WHERE id = 1").scalar != before)
            try target.query("DELETE FROM \"Teams\" WHERE id = 1")
            #expect(try target.query("SELECT team FROM people WHERE id = 1").scalar == nil)
            #expect(try target.query("SELECT count(*) FROM \"_PersonToTeam\"").scalar == "2")
            #expect(
                try target.query("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").rows == [
                    ["shop"]
                ])
        }

        /// Values that nothing declared takes: all are named, and nothing is kept.
        @Test func everyUnconvertibleValueIsNamedAndNothingIsKept() throws {
            let crossing = try Crossing(
                "refused",
                """
                CREATE TABLE good (id INT PRIMARY KEY);
                INSERT INTO good VALUES (1);
                CREATE TABLE bad (id INT PRIMARY KEY, d DATE, dt DATETIME, t TIME, yes TINYINT(1), big BIGINT UNSIGNED,
                    txt TEXT, mojibake TEXT, e ENUM('a','b'), js JSON, NotNull DATE NOT NULL);
                INSERT INTO bad VALUES (1, '0000-00-00', '2024-00-10 00:00:00', '30:00:00', 2, 18446744073709551615,
                    'a\\0b', 'Ã©tÃ©', 99, '{"a":"\\\\u0000"}', '0000-00-00');
                INSERT INTO bad VALUES (2, '2024-01-01', '2024-01-01 00:00:00', '-00:00:01', 0, 1, 'ok', 'é', 'a', '1', '2024-01-01');
                CREATE TABLE later (`k-1` VARCHAR(9) PRIMARY KEY, d DATE);
                INSERT INTO later VALUES ('x''y', '0000-00-00');

                """)
            let error = try #require(crossing.refusal(.copy))
            #expect(error.code == "row-refused" && error.message.contains("12 value(s)"), "\(error)")
            let said = error.cause ?? ""
            for line in [
                "bad id=1 d = '0000-00-00': zero-date", "bad id=1 dt = '2024-00-10 00:00:00': zero-date",
                "bad id=1 t = '30:00:00': time-beyond-a-day", "bad id=1 yes = '2': not-boolean",
                "bad id=1 big = '18446744073709551615': out-of-range", "bad id=1 txt = 'a\\u{0}b': nul-byte",
                "bad id=1 mojibake = 'Ã©tÃ©': double-encoded", "bad id=1 e = '': empty-enum", "nul-in-json",
                "bad id=1 NotNull = '0000-00-00': zero-date", "bad id=2 t = '-00:00:01': time-beyond-a-day",
                "later k-1='x\\'y' d = '0000-00-00': zero-date",
            ] { #expect(said.contains(line), "\(line) is not in: \(said)") }
            let left =
                "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public'"
            #expect(try crossing.scalar(left) == "0")
            // The very same rows, with rules for them.
            var ruled = crossing
            ruled.move.rules = [
                "date": "zero-null", "datetime": "zero-null", "time": "interval", "tinyint(1)": "smallint",
                "bad.big": "numeric", "bad.txt": "strip-nul", "bad.mojibake": "repair", "enum": "enum empty-null",
                "json": "text",
            ]
            let again = try #require(ruled.refusal(.copy))
            #expect(again.cause == "bad id=1 NotNull = '0000-00-00': null-not-allowed", "\(again)")
            ruled.move.rules["bad.NotNull"] = "skip"
            let report = try ruled.run(.copy)
            #expect(report.rows == 4)
            let check = try ruled.run(.verify)
            #expect(check.isEqual, "\(check.differences)")
            #expect(
                try ruled.rows("SELECT d, dt, t, yes, big, txt, mojibake, e FROM bad WHERE id = 1") == [
                    [nil, nil, "30:00:00", "2", "18446744073709551615", "ab", "été", nil]
                ])
        }

        /// What has no like at the target is refused by name, and goes over once it is accepted or ruled.
        @Test func whatIsNotCarriedIsNamed() throws {
            let crossing = try Crossing(
                "named",
                """
                CREATE TABLE a (id INT PRIMARY KEY, g POINT, h INT GENERATED ALWAYS AS (id DIV 2) STORED,
                    w INT CHECK (w MOD 2 = 0), s VARCHAR(9) DEFAULT (SUBSTR('abc', 2)), x TEXT,
                    c VARCHAR(9) COLLATE utf8mb4_bin UNIQUE, FULLTEXT KEY ft (x));
                INSERT INTO a (id, g, w, c) VALUES (1, POINT(1, 2), 2, 'k'), (2, NULL, NULL, 'K');
                CREATE VIEW v AS SELECT id FROM a;
                CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW SET NEW.w = 2;
                CREATE PROCEDURE pr() SELECT 1;
                CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO SELECT 1;
                CREATE SEQUENCE sq;
                CREATE TABLE parent (id INT PRIMARY KEY, k INT, KEY (k));
                INSERT INTO parent VALUES (1, 10);
                CREATE TABLE child (id INT PRIMARY KEY, p INT, k INT, CONSTRAINT fp FOREIGN KEY (p) REFERENCES parent (id),
                    CONSTRAINT fk FOREIGN KEY (k) REFERENCES parent (k));
                SET foreign_key_checks = 0;
                INSERT INTO child VALUES (1, 1, 10), (2, 99, NULL);

                """, rules: ["a.c": "citext", "a.nobody": "text"])
            var move = crossing
            let expected: Set<String> = [
                "type-unknown", "generated-not-translated", "check-not-translated", "default-not-translated",
                "view-not-carried", "trigger-not-carried", "routine-not-carried", "event-not-carried",
                "sequence-not-carried", "foreign-key-not-unique", "rule-without-column", "case-collision",
            ]
            let codes = Set(try move.run(.preflight).refusals.map(\.code))
            #expect(codes == expected, "\(codes.symmetricDifference(expected))")
            #expect(crossing.refusal(.copy)?.code == "move-refused")
            move.move.rules = ["a.g": "wkt", "a.h": "plain"]
            move.move.accept = codes.subtracting(["type-unknown", "generated-not-translated"]).sorted()
            let orphans = try #require(move.refusal(.copy))
            #expect(orphans.code == "row-refused" && orphans.cause?.contains("'99'") == true, "\(orphans)")
            try crossing.source.connect(crossing.name).query("UPDATE child SET p = NULL WHERE id = 2")
            try move.run(.copy)
            #expect(try move.run(.verify).isEqual)
            #expect(try move.rows("SELECT g, h FROM a ORDER BY id") == [["POINT(1 2)", "0"], [nil, "1"]])
        }
    }
}
