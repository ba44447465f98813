import BasculeModel
import Testing

@testable import BasculeCommands

@Suite struct PoolingTableTests {
    @Test func mediansAreComparedWithTheGuidesPromise() throws {
        let table = PoolingTable([
            PoolFigure(clients: 16, connects: true, pooled: false, rates: [100, 300, 200], latencies: [9, 7, 8]),
            PoolFigure(clients: 16, connects: true, pooled: true, rates: [800, 600], latencies: [2, 3]),
            PoolFigure(clients: 16, connects: false, pooled: false, rates: [1000], latencies: [1]),
            PoolFigure(clients: 16, connects: false, pooled: true, rates: [900], latencies: [1.2]),
            PoolFigure(clients: 200, connects: false, pooled: false, reason: "it has 90 of 100\u{1B}[2J to give"),
            PoolFigure(clients: 200, connects: false, pooled: true, rates: [850], latencies: [20]),
        ])
        #expect(table.rows.map(\.direct) == [200, 1000, nil])
        #expect(table.rows.map(\.pooled) == [700, 900, 850])
        #expect(table.rows.map { $0.change?.rounded() } == [250, -10, nil])
        #expect(
            table.lines.last?.hasSuffix("apps that connect each time: +250 %, apps that keep their connections: -10 %")
                == true)
        #expect(table.lines.joined().contains("\u{1B}[2J") == false)
        #expect(table.lines.contains { $0.contains("directly: it has 90 of 100") })
    }

    @Test func nothingMeasuredSaysSo() {
        let table = PoolingTable([PoolFigure(clients: 1, connects: true, pooled: false, reason: "no")])
        #expect(table.rows.first?.change == nil)
        #expect(table.lines.last?.hasPrefix("no comparison") == true)
    }
}
