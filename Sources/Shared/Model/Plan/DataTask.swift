/// A piece of work of one of the movers, executed by the agent in a child process of its own.
package enum DataTask: Hashable, Codable, Sendable {
    case postgres(PostgresTask)
    case redis(RedisTask)
    /// `key` is the private key of the login: while the task runs, it lies in the file that the move's `identity` names.
    case files(FilesTask, key: SecretName?)
    case mysql(MySQLTask)

    /// The secrets that it needs.
    package var secrets: Set<SecretName> {
        switch self {
        case .postgres(let task): [task.move.source]
        case .redis(let task):
            Set([task.move.source, task.move.target.password, task.move.fenceLogin].compactMap { $0 })
        case .files(_, let key): Set([key].compactMap { $0 })
        case .mysql(let task): Set([task.move.source, task.move.fence].compactMap { $0 })
        }
    }
}

/// What a mover reports.
package enum DataReport: Hashable, Codable, Sendable {
    case postgres(PostgresReport)
    case redis(RedisReport)
    case files(FilesReport)
    case mysql(MySQLReport)
}
