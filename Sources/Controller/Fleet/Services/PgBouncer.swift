import BasculeModel

/// `services.pgbouncer`: pools connections of every declared database.
package struct PgBouncer: Sendable, Equatable {
    /// `statement` is refused: it breaks transactions of several statements.
    package enum PoolMode: String, Sendable, Hashable, CaseIterable { case transaction, session }
    /// Default transaction.
    package var poolMode = PoolMode.transaction
    /// Default 6432.
    package var port = 6432
    /// Server connections per database and user. Default 20, PgBouncer's own.
    package var poolSize = 20
    /// Default 500.
    package var maxClients = 500
    package init() {}
}

extension PgBouncer: Declared {
    static var about: String { "PgBouncer in front of PostgreSQL" }
    static var fields: [Field<PgBouncer>] {
        [
            .key(
                "poolMode", \.poolMode,
                .choice(["statement": "it forbids transactions of more than one statement, which every app uses"]),
                "When a server connection goes back to the pool"),
            .key("port", \.port, .port, "Where it listens"),
            .key("poolSize", \.poolSize, .integer(1...10_000), "Server connections per database and user"),
            .key("maxClients", \.maxClients, .integer(1...100_000), "Client connections in all"),
        ]
    }
}
