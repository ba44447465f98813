import BasculeModel
import BasculePostgres
import Testing

@testable import BasculeData

/// In which order tables are built and their foreign keys checked.
@Suite struct BuildOrderTests {
    private static func table(_ oid: Int64, _ bytes: Int64, kind: String = "r", parents: [String] = []) -> PGTable {
        PGTable(
            oid: oid, schema: "public", name: "t\(oid)", kind: kind, persistence: "p", options: nil, partitionKey: nil,
            partitionBound: nil, parents: parents, rowSecurity: false, forcedRowSecurity: false, replicaIdentity: "d",
            bytes: bytes, estimatedRows: 0, pages: 0)
    }

    private static func constraint(_ table: Int64, _ other: Int64) -> PGConstraint {
        PGConstraint(
            oid: table * 100 + other, table: table, name: "k\(table)_\(other)", type: "f", definition: "",
            foreignTable: other, deferral: "", tableName: "t\(table)", onPartitioned: false)
    }

    private static func plan(_ keys: [(Int64, Int64)]) -> BuildPlan {
        var plan = BuildPlan()
        plan.keys = keys.map {
            BuildPlan.ForeignKey(
                constraint($0.0, $0.1), add: BuildPlan.Statement(name: "\($0.0)-\($0.1)", sql: "", weight: 0),
                validation: nil)
        }
        return plan
    }

    private static func names(_ keys: [BuildPlan.ForeignKey]) -> [String] {
        keys.map { "\($0.table)-\($0.references)" }
    }

    typealias Pairs = [(Int64, Int64)]
    static let orders: [(Pairs, Pairs, [Int64])] = [
        // The largest, then what it leads to from the smallest, then the next.
        ([(1, 10), (2, 500), (3, 90), (4, 70)], [(2, 3), (2, 1), (3, 4)], [2, 1, 3, 4]),
        // What leads to itself, and a circle.
        ([(1, 10), (2, 20)], [(2, 2), (2, 1), (1, 2)], [2, 1]),
        ([(1, 10), (2, 20)], [], [2, 1]),
        // A key to a table that is not moved.
        ([(1, 10)], [(1, 99)], [1]),
    ]

    @Test(arguments: orders)
    func tablesComeInThisOrder(_ tables: Pairs, _ keys: Pairs, _ order: [Int64]) {
        var catalog = PGCatalog(version: 15)
        catalog.tables = tables.map { Self.table($0.0, $0.1) }
        catalog.constraints = keys.map { Self.constraint($0.0, $0.1) }
        let ranks = BuildOrder.ranks(catalog)
        let sorted = ranks.keys.filter { $0 != 99 }.sorted { ranks[$0] ?? 0 > ranks[$1] ?? 0 }
        #expect(sorted == order)
    }

    @Test func aKeyWaitsUntilBothTablesAreBuiltAndNeitherIsChecked() {
        let queue = KeyQueue(
            Self.plan([(1, 2), (1, 3), (2, 4), (3, 1), (4, 4)]), tables: (1...4).map { Self.table($0, 1) })
        #expect(queue.late.isEmpty)
        #expect(queue.closed(1).isEmpty)
        let first = queue.closed(2)
        #expect(Self.names(first) == ["1-2"])
        // 1 is being checked: neither another key of it nor one that leads to it.
        #expect(queue.closed(3).isEmpty)
        let second = queue.closed(4)
        #expect(Self.names(second) == ["2-4", "4-4"])
        var seen = Self.names(first) + Self.names(second)
        var running = first + second
        while let key = running.popLast() {
            let next = queue.done(key)
            seen += Self.names(next)
            running += next
        }
        #expect(seen.sorted() == ["1-2", "1-3", "2-4", "3-1", "4-4"], "each of them once")
    }

    @Test func keysOfPartitionsAndHeirsComeLast() {
        let tables = [
            Self.table(1, 1, kind: "p"), Self.table(2, 1, parents: ["\"public\".\"t1\""]), Self.table(3, 1),
            Self.table(4, 1), Self.table(5, 1, parents: ["\"public\".\"t4\""]),
        ]
        let queue = KeyQueue(Self.plan([(1, 3), (2, 3), (3, 1), (3, 4), (3, 5), (3, 3), (3, 99)]), tables: tables)
        #expect(Self.names(queue.late) == ["1-3", "2-3", "3-1", "3-4", "3-5", "3-99"])
        #expect(Self.names((1...5).flatMap { queue.closed($0) }) == ["3-3"])
    }
}
