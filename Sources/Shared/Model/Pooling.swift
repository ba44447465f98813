/// A comparison of PostgreSQL with and without PgBouncer, run by pgbench on the database's own node.
package struct PoolTrial: Hashable, Codable, Sendable {
    /// The server's own port and socket, past PgBouncer.
    package var server: PostgresServer
    /// How many clients at once; each number is a comparison of its own.
    package var clients: [Int]
    /// How long pgbench runs each time.
    package var seconds: Int
    /// How often each is run, in turn.
    package var rounds: Int
    /// pgbench's scale: 100,000 rows, about 15 MB, each.
    package var scale: Int
    /// Whole transactions that write (TPC-B's), instead of single reads.
    package var writes: Bool

    package init(
        server: PostgresServer, clients: [Int], seconds: Int, rounds: Int, scale: Int, writes: Bool
    ) {
        (self.server, self.clients, self.seconds) = (server, clients, seconds)
        (self.rounds, self.scale, self.writes) = (rounds, scale, writes)
    }
}

/// What pgbench measured in one way of asking.
package struct PoolFigure: Hashable, Codable, Sendable {
    package var clients: Int
    /// A connection for each transaction, as an app without a pool makes them; else each client keeps its own.
    package var connects: Bool
    /// Through PgBouncer.
    package var pooled: Bool
    /// Transactions a second, one number a round; the time for connecting counts where `connects`.
    package var rates: [Double]
    /// Milliseconds a transaction took on average, one number a round.
    package var latencies: [Double]
    /// Why there is no number; for people, bounded.
    package var reason: String?

    package init(
        clients: Int, connects: Bool, pooled: Bool, rates: [Double] = [], latencies: [Double] = [],
        reason: String? = nil
    ) {
        (self.clients, self.connects, self.pooled) = (clients, connects, pooled)
        (self.rates, self.latencies, self.reason) = (rates, latencies, reason)
    }
}
