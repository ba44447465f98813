/// A piece of work of one of the movers, executed by the agent in a child process of its own.
package enum DataTask: Hashable, Codable, Sendable {
    case postgres(PostgresTask)
    case redis(RedisTask)
}

/// What a mover reports.
package enum DataReport: Hashable, Codable, Sendable {
    case postgres(PostgresReport)
    case redis(RedisReport)
}
