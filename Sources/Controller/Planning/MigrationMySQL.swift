import BasculeCatalogue
import BasculeFleet
import BasculeModel

extension MySQLMove {
    /// Where it goes, as what only looks at the target knows it.
    var landing: PostgresMove {
        PostgresMove(
            source: source, targetDatabase: targetDatabase, targetSocket: targetSocket, targetPort: targetPort,
            targetUser: targetUser, owner: owner)
    }
}

/// A MySQL source's steps: the same phases as PostgreSQL's.
extension MigrationPlanner {
    func mysqlMoves() throws -> [(name: String, move: MySQLMove)] {
        try migration.sources.sorted { $0.key < $1.key }.compactMap { name, source in
            guard case .mysql(let source) = source else { return nil }
            guard let target = context.compiled.databases[source.into] else {
                throw BasculeError(
                    .migrationRefused, "the source \(name) goes into the database \(source.into), which no node has",
                    hint: "declare it under services.postgresql.databases")
            }
            // A PostgreSQL source is compared schema by schema, so that a table of another origin would be a difference.
            let taken = migration.sources.values.flatMap { other -> [String] in
                guard case .postgres(let postgres) = other, postgres.into == source.into else { return [] }
                return postgres.schemas
            }
            let schema = source.schema ?? (taken.contains("public") ? name.rawValue : "public")
            guard !taken.contains(schema) else {
                throw BasculeError(
                    .migrationRefused, "the source \(name) and a PostgreSQL source fill the same schema \(schema)",
                    hint: "give \(name) a schema of its own (schema: \(name))")
            }
            let users = source.users.map {
                MySQLUsers(table: $0.table, email: $0.email, password: $0.password, metadata: $0.metadata)
            }
            let move = MySQLMove(
                name: name.rawValue, source: source.url, fence: source.fence, targetDatabase: source.into.rawValue,
                targetPort: target.port, owner: target.owner, schema: schema, exclude: source.exclude,
                rules: source.rules, accept: source.accept, users: users, spotChecks: source.spotChecks)
            return (name.rawValue, move)
        }
    }

    /// Steps of PostgreSQL moves into the same database: one mover at a time works on one.
    private func before(
        _ move: MySQLMove, _ postgres: [(String, PostgresMove)], _ step: (String) -> String
    ) -> [StepID] {
        postgres.filter { $0.1.targetDatabase == move.targetDatabase }.map { StepID(step($0.0)) }
    }

    mutating func addMySQLCopies(
        _ moves: [(name: String, move: MySQLMove)], after postgres: [(String, PostgresMove)]
    ) {
        var earlier: [String: StepID] = [:]
        for (name, move) in moves {
            let look = add(
                .copy, "\(name)-preflight", "look at the MySQL source \(name)",
                .data(.mysql(MySQLTask(.preflight, move))),
                requires: before(move, postgres) { "migration/copy/\($0)-copy" }, estimate: 1)
            earlier[move.targetDatabase] = add(
                .copy, "\(name)-copy", "convert \(name) into \(move.targetDatabase) while it serves",
                .data(.mysql(MySQLTask(.copy, move))),
                requires: [look] + (earlier[move.targetDatabase].map { [$0] } ?? []),
                reversal: .reversible(seconds: 2), estimate: 15)
        }
    }

    mutating func addMySQLSync(
        _ moves: [(name: String, move: MySQLMove)], after postgres: [(String, PostgresMove)], _ frozen: FrozenSources
    ) -> [StepID] {
        var earlier: [String: StepID] = [:]
        return moves.map { name, move in
            let synced = add(
                .sync, name,
                "read all of \(name) again and replace what changed: the write outage grows with its size",
                .data(.mysql(MySQLTask(.sync, move))),
                requires: frozen.fenced + before(move, postgres) { "migration/sync/\($0)" }
                    + (earlier[move.targetDatabase].map { [$0] } ?? []), estimate: 3)
            earlier[move.targetDatabase] = synced
            return add(
                .validate, name, "count and sum every column of \(name) on both sides",
                .migrate(.prove(.mysql(MySQLTask(.validate, move)))), requires: [synced] + frozen.proved, estimate: 2)
        }
    }

    mutating func addMySQLFinish(_ moves: [(name: String, move: MySQLMove)]) {
        for (name, move) in moves {
            _ = add(
                .finish, "\(name)-tables", "remove the mover's marks", .data(.mysql(MySQLTask(.finish, move))),
                estimate: 0.3)
        }
    }
}
