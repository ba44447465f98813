import BasculeModel

/// PostgreSQL with and without PgBouncer: medians, and what the pool changes. Pure.
struct PoolingTable: Encodable, Equatable {
    struct Row: Encodable, Equatable {
        var clients: Int
        /// A connection for each transaction.
        var connects: Bool
        /// Transactions a second, medians; nil where there was none.
        var direct: Double?
        var pooled: Double?
        /// Milliseconds a transaction, medians.
        var directLatency: Double?
        var pooledLatency: Double?
        /// Percent more transactions with the pool than without.
        var change: Double?
        /// Why a figure is missing.
        var reason: String?
    }

    var rows: [Row]

    init(_ figures: [PoolFigure]) {
        struct Key: Hashable { var clients: Int, connects: Bool }
        var order: [Key] = []
        for figure in figures.prefix(64) {
            let key = Key(clients: figure.clients, connects: figure.connects)
            if !order.contains(key) { order.append(key) }
        }
        rows = order.map { key in
            func find(_ pooled: Bool) -> PoolFigure? {
                figures.first { $0.clients == key.clients && $0.connects == key.connects && $0.pooled == pooled }
            }
            let (direct, pooled) = (find(false), find(true))
            var row = Row(clients: key.clients, connects: key.connects)
            (row.direct, row.pooled) = (Self.median(direct?.rates), Self.median(pooled?.rates))
            row.directLatency = Self.median(direct?.latencies)
            row.pooledLatency = Self.median(pooled?.latencies)
            if let before = row.direct, let after = row.pooled, before > 0 { row.change = 100 * (after / before - 1) }
            let reasons = [("directly", direct?.reason), ("through PgBouncer", pooled?.reason)]
            let text = reasons.compactMap { way, reason in reason.map { "\(way): \($0)" } }.joined(separator: "; ")
            row.reason = text.isEmpty ? nil : String(text.prefix(400))
            return row
        }
    }

    private static func median(_ values: [Double]?) -> Double? {
        guard let sorted = values?.filter(\.isFinite).sorted(), !sorted.isEmpty else { return nil }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// For people.
    var lines: [String] {
        var lines = [Self.line("clients", "", "directly", "through PgBouncer", "change")]
        for row in rows {
            let change = row.change.map { Terminal.paint(Self.percent($0), $0 < 0 ? .red : .green) }
            lines.append(
                Self.line(
                    "\(row.clients)", row.connects ? "connecting each time" : "connections kept",
                    Self.value(row.direct, row.directLatency), Self.value(row.pooled, row.pooledLatency),
                    change ?? "-"))
            if let reason = row.reason { lines.append("         \(Terminal.escape(reason))") }
        }
        return lines + [verdict]
    }

    /// The guide promises 60 % more.
    private var verdict: String {
        func text(_ connects: Bool) -> String? {
            let changes = rows.filter { $0.connects == connects }.compactMap(\.change)
            guard let least = changes.min(), let most = changes.max() else { return nil }
            let (low, high) = (Self.percent(least), Self.percent(most))
            return low == high ? low : "\(low) to \(high)"
        }
        let parts = [
            text(true).map { "apps that connect each time: \($0)" },
            text(false).map { "apps that keep their connections: \($0)" },
        ].compactMap { $0 }
        return parts.isEmpty
            ? "no comparison: PostgreSQL takes too few clients; try fewer --clients"
            : "the guide says +60 %; here, \(parts.joined(separator: ", "))"
    }

    private static func percent(_ change: Double) -> String {
        "\(change < 0 ? "-" : "+")\(abs(change).rounded(to: 0)) %"
    }

    private static func value(_ rate: Double?, _ latency: Double?) -> String {
        guard let rate else { return "-" }
        return "\(rate.rounded(to: 0)) tps\(latency.map { ", \($0.rounded(to: $0 < 10 ? 2 : 1)) ms" } ?? "")"
    }

    private static func line(_ cells: String...) -> String {
        zip(cells, [9, 23, 22, 22, 0]).map { cell, width in
            cell + String(repeating: " ", count: max(cell.count < width ? 0 : 1, width - cell.count))
        }.joined().replacing(#/ +$/#, with: "")
    }
}
