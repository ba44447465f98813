/// A piece of work of one of the movers, executed by the agent in a child process of its own.
package enum DataTask: Hashable, Codable, Sendable {
    case postgres(PostgresTask)
    case redis(RedisTask)
    /// `key` is the private key of the login: while the task runs, it lies in the file that the move's `identity` names.
    case files(FilesTask, key: SecretName?)
    case mysql(MySQLTask)
    case archive(ArchiveTask)
    case borg(BorgTask)

    /// The secrets that it needs.
    package var secrets: Set<SecretName> {
        switch self {
        case .postgres(let task): [task.move.source]
        case .redis(let task):
            Set([task.move.source, task.move.target.password, task.move.fenceLogin].compactMap { $0 })
        case .files(_, let key): Set([key].compactMap { $0 })
        case .mysql(let task): Set([task.move.source, task.move.fence].compactMap { $0 })
        case .archive(let task):
            switch task.source {
            case .postgres(let move): [move.source]
            case .mysql(let url): [url]
            case .redis(let move): DataTask.redis(.preflight(move)).secrets
            case .files(_, let key): Set([key].compactMap { $0 })
            }
        case .borg(let task):
            Set(
                [
                    task.repository.passphrase, task.repository.login, task.repository.bucket?.accessKey,
                    task.repository.bucket?.secretKey,
                ].compactMap { $0 })
        }
    }
}

/// What a mover reports.
package enum DataReport: Hashable, Codable, Sendable {
    case postgres(PostgresReport)
    case redis(RedisReport)
    case files(FilesReport)
    case mysql(MySQLReport)
    case archive(ArchiveReport)
    case borg(BorgReport)
}
