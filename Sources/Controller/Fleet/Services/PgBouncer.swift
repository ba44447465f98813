import BasculeModel

/// `services.pgbouncer`: pools connections of every declared database.
package struct PgBouncer: Sendable, Equatable {
    /// `statement` is refused: it breaks transactions of several statements.
    package enum PoolMode: String, Sendable, Hashable, CaseIterable { case transaction, session }
    /// Default transaction.
    package var poolMode = PoolMode.transaction
    /// Default 6432.
    package var port = 6432
    /// Server connections per database and user; without it what the node's processors can use.
    package var poolSize: Int?
    /// Default 500.
    package var maxClients = 500
    /// `pgbouncer.ini` settings that override the catalogue's, as text.
    package var settings: [String: String] = [:]
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
            .key(
                "poolSize", \.poolSize, .integer(1...10_000, "a number of connections"),
                "Server connections per database and user; 2 x (2 x processors + 1), at least 10, if absent"),
            .key("maxClients", \.maxClients, .integer(1...100_000), "Client connections in all"),
            .key(
                "settings", \.settings, .map(.setting, { $0 }, .line("a setting's value")),
                "pgbouncer.ini settings that override Bascule's"),
        ]
    }
}
