import BasculeModel
import BasculePostgres
import Synchronization
import Testing

@testable import BasculeData

@Suite struct KeyRangeTests {
    /// The ranges cover every key once, whatever the ends are.
    @Test(
        arguments: [
            (1, 30_000), (1, 1), (-5000, 5000), (-1, 0), (0, 1 << 60), (-(1 << 60), -7), (17, 18),
        ] as [(Int64, Int64)]) func keysAreCoveredOnce(low: Int64, high: Int64) throws
    {
        let ranges = TableRange.ranges(key: "\"id\"", low: low, high: high, pages: 1000, size: 100)
        let (first, last) = try (#require(ranges.first), #require(ranges.last))
        #expect(first.first <= low && (last.end ?? 0) > high && ranges.count <= 12, "\(ranges)")
        for (one, next) in zip(ranges, ranges.dropFirst()) { #expect(one.end == next.first) }
        #expect(ranges.allSatisfy { !$0.isWhole && $0.order == " ORDER BY \"id\"" })
    }

    @Test func aTableThatHasGrownKeepsItsRanges() {
        func ranges(_ high: Int64, _ pages: Int64) -> [TableRange] {
            TableRange.ranges(key: "id", low: 1, high: high, pages: pages, size: 100)
        }
        let (before, after) = (ranges(60_000, 1000), ranges(61_000, 1020))
        #expect(after.starts(with: before) && before.count > 4)
    }

    @Test(arguments: [(.min, 5), (5, .max), (7, 3)] as [(Int64, Int64)])
    func whatCannotBeDividedIsWhole(low: Int64, high: Int64) {
        #expect(TableRange.ranges(key: "id", low: low, high: high, pages: 1000, size: 100) == [.whole])
        #expect(TableRange.ranges(key: "id", low: 1, high: 9, pages: 200, size: 100) == [.whole])
    }
}

extension AgainstServers {
    /// What sources of version 12 and 13 need, where a server reads the whole table for every range of pages.
    @Suite struct CopyByKeyTests {
        @Test func aCutCopyGoesOnInTheMiddleOfATable() throws {
            var pair = try Pair(
                "bykey",
                """
                CREATE TABLE customers (id int PRIMARY KEY, t text);
                INSERT INTO customers SELECT i - 100, repeat('c', 60) FROM generate_series(1, 20000) i;
                CREATE TABLE orders ("the id" bigint PRIMARY KEY, customer int REFERENCES customers, t text);
                INSERT INTO orders SELECT i, i % 19000, repeat(E'o\\t', 40) FROM generate_series(1, 30000) i ORDER BY i % 97;
                CREATE TABLE named (name text PRIMARY KEY, t text);
                INSERT INTO named SELECT i, repeat('n', 200) FROM generate_series(1, 3000) i;
                """)
            pair.move.rangePages = 32
            var sides = Sides(move: pair.move, secret: pair.url())
            sides.readsPagesFrom = 99
            let stop = Atomic(false)
            let cut = CopyTask(
                sides: sides,
                progress: {
                    if $0.subject == "public.customers", $0.rows > 3000 { stop.store(true, ordering: .relaxed) }
                },
                isCancelled: { stop.load(ordering: .relaxed) })
            #expect(throws: BasculeError.self) { try cut.run() }
            let target = try pair.target.connect("bykey")
            let done = try target.query("SELECT count(*) FROM bascule.ranges WHERE name LIKE '%orders%'").scalar
            #expect(number(done) >= 6, "\(done ?? "")")
            try pair.source.connect("bykey").script(
                """
                UPDATE orders SET t = 'other' WHERE "the id" IN (3, 15000); DELETE FROM orders WHERE "the id" = 29000;
                INSERT INTO orders VALUES (30001, 1, 'new'), (-3, 1, 'below');
                """)
            let report = try CopyTask(sides: sides, progress: { _ in }, isCancelled: { false }).run()
            let again = report.copied.first { $0.table == "public.orders" }
            #expect(try #require(again).rows < 15_000, "most ranges were equal and stayed: \(report.copied)")
            #expect(
                try number(target.query("SELECT count(*) FROM bascule.ranges WHERE name LIKE '%named%'").scalar) == 1)
            let check = try pair.verify()
            #expect(check.isEqual, "\(check)")
        }

        @Test func aRowThatTheTargetRefusesIsNamedByItsKey() throws {
            var pair = try Pair(
                "bykeyrefused",
                """
                CREATE TABLE t (id int PRIMARY KEY, v text);
                INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i ORDER BY i % 31;
                """)
            pair.move.rangePages = 32
            var sides = Sides(move: pair.move, secret: pair.url())
            sides.readsPagesFrom = 99
            let target = try pair.target.connect("bykeyrefused")
            // The column of the copy holds less than the source's.
            let stop = Atomic(false)
            let first = CopyTask(
                sides: sides, progress: { _ in stop.store(true, ordering: .relaxed) },
                isCancelled: { stop.load(ordering: .relaxed) })
            #expect(throws: BasculeError.self) { try first.run() }
            try target.script(
                "TRUNCATE t; DELETE FROM bascule.ranges; ALTER TABLE t ADD CONSTRAINT odd CHECK (id <> 12345)")
            let refused = #expect(throws: BasculeError.self) {
                try CopyTask(sides: sides, progress: { _ in }, isCancelled: { false }).run()
            }
            #expect(
                refused?.code == .rowRefused && "\(refused?.place.map { "\($0)" } ?? "")".contains("12345"),
                "\(refused as Any)")
        }
    }
}
