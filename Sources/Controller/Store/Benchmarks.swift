import BasculeModel
import GRDB

/// One measurement of an endpoint under load, as `bascule bench run` took it.
package struct Benchmark: Sendable, Equatable, Codable {
    /// The old world or the new one.
    package enum Side: String, Sendable, Codable, CaseIterable { case before, after }

    /// A value that the load itself does not show.
    package struct Value: Sendable, Equatable, Codable {
        package var value: Double
        /// Where it was measured, or that it was given; for people.
        package var origin: String
        package init(_ value: Double, origin: String) { (self.value, self.origin) = (value, origin) }
    }

    package var side: Side
    /// Seconds since 1970.
    package var time: Double
    package var urls: [String]
    /// How long it really took.
    package var seconds: Double
    package var concurrency: Int
    package var requests: Int
    /// Milliseconds until the whole answer was there, of answers below 400.
    package var p50: Double
    package var p95: Double
    package var p99: Double
    /// Answers below 400 a second.
    package var throughput: Double
    /// Percent of requests with a 5xx answer or none.
    package var serverErrors: Double
    /// Requests without an answer.
    package var unanswered: Int
    /// Answers 429: the server's rate limit, not its capacity.
    package var limited: Int
    /// Other answers from 400 to 499.
    package var refused: Int
    /// Milliseconds that PostgreSQL spent on a transaction.
    package var database: Value?
    /// Percent of Redis's look-ups that found their key.
    package var hitRate: Value?

    package init(
        side: Side, time: Double, urls: [String], seconds: Double, concurrency: Int, requests: Int, p50: Double,
        p95: Double, p99: Double, throughput: Double, serverErrors: Double, unanswered: Int, limited: Int, refused: Int,
        database: Value? = nil, hitRate: Value? = nil
    ) {
        (self.side, self.time, self.urls, self.seconds) = (side, time, urls, seconds)
        (self.concurrency, self.requests, self.p50, self.p95, self.p99) = (concurrency, requests, p50, p95, p99)
        (self.throughput, self.serverErrors, self.unanswered) = (throughput, serverErrors, unanswered)
        (self.limited, self.refused, self.database, self.hitRate) = (limited, refused, database, hitRate)
    }
}

extension Store {
    /// Keeps a measurement.
    package func add(_ benchmark: Benchmark) throws {
        try write("benchmark") { database in
            try database.execute(
                sql: "INSERT INTO benchmark (side, time, body) VALUES (?, ?, ?)",
                arguments: [benchmark.side.rawValue, benchmark.time, try Store.json(benchmark)])
        }
    }

    /// The newest measurement of a side; nil before there is one.
    package func benchmark(_ side: Benchmark.Side) throws -> Benchmark? {
        try read { database in
            try String.fetchOne(
                database, sql: "SELECT body FROM benchmark WHERE side = ? ORDER BY time DESC, id DESC LIMIT 1",
                arguments: [side.rawValue]
            ).map { try Store.value(Benchmark.self, $0) }
        }
    }
}
