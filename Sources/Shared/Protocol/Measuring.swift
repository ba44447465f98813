import BasculeModel

/// Counters of a service that a benchmark reads before and after its load. Reading changes nothing.
package enum Gauge: Hashable, Codable, Sendable {
    /// Of one database: `transactions`, and `milliseconds` that statements ran (`pg_stat_database`, PostgreSQL 14+).
    case postgres(PostgresServer, database: String)
    /// Of a Redis instance: `hits` and `misses` of keys. `user` nil is Redis's default user.
    case redis(host: String, port: Int, user: String?, password: SecretName)
}

/// What a gauge said.
package struct Reading: Hashable, Codable, Sendable {
    /// Counters that only grow while the service runs.
    package var counters: [String: Double]
    /// Why there are none; for people, bounded.
    package var reason: String?

    package init(_ counters: [String: Double], reason: String? = nil) {
        (self.counters, self.reason) = (counters, reason)
    }
}
