import BasculeModel
import BasculeNet
import Synchronization

/// Runs pgbench with and without PgBouncer, in turn, in a database of its own.
package struct PoolComparison {
    private static let bounds = (seconds: 1...600, rounds: 1...9, scale: 1...1000, clients: 1...1000)
    /// One at a time: a second would take the first one's database away.
    private static let runs = Mutex(false)
    let trial: PoolTrial
    let progress: (String, Double?) -> Void

    /// - Parameter progress: told what begins, and how much of all is done, from 0 to 1.
    /// - Throws: `invalid-input` where a number is out of bounds.
    package init(_ trial: PoolTrial, progress: @escaping (String, Double?) -> Void) throws {
        let bounds = Self.bounds
        guard bounds.seconds.contains(trial.seconds), bounds.rounds.contains(trial.rounds),
            bounds.scale.contains(trial.scale), (1...4).contains(trial.clients.count),
            trial.clients.allSatisfy(bounds.clients.contains)
        else { throw BasculeError(.invalidInput, "a number of the comparison is out of bounds") }
        (self.trial, self.progress) = (trial, progress)
    }

    /// For each number of clients: connections for each transaction, then kept ones; each without PgBouncer, then with
    /// it. What the comparison made is gone afterwards.
    package func figures() throws -> [PoolFigure] {
        let isFirst = Self.runs.withLock { runs in
            defer { runs = true }
            return !runs
        }
        guard isFirst else {
            throw BasculeError(.comparisonRuns, "a comparison runs on this node already", hint: "wait for its end")
        }
        defer { Self.runs.withLock { $0 = false } }
        let bench = try PoolBench(trial.server)
        try bench.clear()
        defer { try? bench.clear() }
        progress("filling \(trial.scale * 100_000) rows", 0)
        try bench.prepare(scale: trial.scale)
        let (left, all) = try bench.connections()
        var figures = trial.clients.flatMap { clients in
            [(true, false), (true, true), (false, false), (false, true)].map { connects, pooled in
                PoolFigure(
                    clients: clients, connects: connects, pooled: pooled,
                    reason: pooled || clients <= left ? nil : "PostgreSQL has \(left) of \(all) connections to give")
            }
        }
        let total = Double(trial.rounds * figures.count)
        for round in 0..<trial.rounds {
            for index in figures.indices where figures[index].reason == nil {
                let figure = figures[index]
                progress(
                    "round \(round + 1) of \(trial.rounds): \(figure.clients) clients, \(figure.connects ? "connecting each time" : "connections kept"), \(figure.pooled ? "through PgBouncer" : "directly")",
                    Double(round * figures.count + index) / total)
                do {
                    let (rate, latency) = try bench.run(figure, seconds: trial.seconds, writes: trial.writes)
                    figures[index].rates.append(rate)
                    figures[index].latencies.append(latency)
                } catch {
                    let known = BasculeError.wrapping(error, "pgbench failed")
                    figures[index].reason = String((known.cause ?? known.message).suffix(300))
                }
            }
        }
        return figures
    }
}

extension ErrorCode {
    /// One comparison at a time.
    package static let comparisonRuns: ErrorCode = "comparison-runs"
}
