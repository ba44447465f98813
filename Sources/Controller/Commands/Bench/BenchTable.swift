import BasculeModel
import BasculeStore

/// The performance table: before, target, after, verdict. Pure.
struct BenchTable: Encodable, Equatable {
    struct Row: Encodable, Equatable {
        var metric: String
        var unit: String
        var before: Double?
        /// `< 100`
        var target: String
        var after: Double?
        /// Whether `after` is as it has to be; nil where it was not measured.
        var met: Bool?
        /// Where the values come from, where the load does not show them.
        var origin: String?
    }

    private struct Metric: Sendable {
        var name: String
        var unit: String
        var limit: Double
        /// Below the limit is good; else above it.
        var isBelow = true
        var value: @Sendable (Benchmark) -> Double?
        var origin: @Sendable (Benchmark) -> String? = { _ in nil }
    }

    /// The targets are the guide's.
    private static let metrics = [
        Metric(name: "latency p50", unit: "ms", limit: 100, value: { $0.p50 }),
        Metric(name: "latency p95", unit: "ms", limit: 500, value: { $0.p95 }),
        Metric(name: "latency p99", unit: "ms", limit: 1000, value: { $0.p99 }),
        Metric(name: "throughput", unit: "req/s", limit: 50, isBelow: false, value: { $0.throughput }),
        Metric(name: "5xx or no answer", unit: "%", limit: 0.1, value: { $0.serverErrors }),
        Metric(
            name: "database response", unit: "ms", limit: 50, value: { $0.database?.value },
            origin: { $0.database?.origin }),
        Metric(
            name: "Redis hit rate", unit: "%", limit: 80, isBelow: false, value: { $0.hitRate?.value },
            origin: { $0.hitRate?.origin }),
    ]

    var rows: [Row]
    /// Targets met, missed, and not measured.
    var met: Int
    var missed: Int
    var unmeasured: Int

    init(before: Benchmark?, after: Benchmark?) {
        rows = Self.metrics.map { metric in
            let now = after.flatMap(metric.value)
            let origins = [("before", before.flatMap(metric.origin)), ("after", after.flatMap(metric.origin))]
            let origin = origins.compactMap { side, text in text.map { "\(side): \($0)" } }.joined(separator: "; ")
            return Row(
                metric: metric.name, unit: metric.unit, before: before.flatMap(metric.value),
                target: "\(metric.isBelow ? "<" : ">") \(Self.number(metric.limit))", after: now,
                met: now.map { metric.isBelow ? $0 < metric.limit : $0 > metric.limit },
                origin: origin.isEmpty ? nil : origin)
        }
        met = rows.count { $0.met == true }
        missed = rows.count { $0.met == false }
        unmeasured = rows.count { $0.met == nil }
    }

    /// For people.
    var lines: [String] {
        let header = Self.line("", "before", "target", "after", "verdict")
        let body = rows.map { row in
            let verdict =
                switch row.met {
                case true?: Terminal.paint("met", .green)
                case false?: Terminal.paint("missed", .red)
                case nil: "not measured"
                }
            return Self.line(
                row.metric, Self.value(row.before, row.unit), "\(row.target) \(row.unit)",
                Self.value(row.after, row.unit), verdict)
        }
        let notes = rows.compactMap { row in row.origin.map { "\(row.metric), \(Terminal.escape($0))" } }
        let verdict =
            missed > 0
            ? Terminal.paint("\(missed) of \(rows.count) targets missed", .red)
            : unmeasured == 0
                ? Terminal.paint("all \(rows.count) targets met", .green)
                : "\(met) targets met, \(unmeasured) not measured"
        return [header] + body + notes + [verdict]
    }

    private static func line(_ cells: String...) -> String {
        zip(cells, [20, 14, 14, 14, 0]).map { cell, width in
            cell + String(repeating: " ", count: max(cell.count < width ? 0 : 1, width - cell.count))
        }.joined().replacing(#/ +$/#, with: "")
    }

    private static func value(_ value: Double?, _ unit: String) -> String {
        value.map { "\(number($0)) \(unit)" } ?? "-"
    }

    /// Three digits that count are enough.
    private static func number(_ value: Double) -> String {
        let text = value.rounded(to: value < 10 ? 2 : value < 100 ? 1 : 0)
        guard text.contains(".") else { return text }
        return text.replacing(#/\.?0+$/#, with: "")
    }
}
