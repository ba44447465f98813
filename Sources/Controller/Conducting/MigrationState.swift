import BasculeModel
import BasculeStore

/// Where the fleet's migration is, as far as the controller knows. T0 itself is the conductor's word.
package enum MigrationState: String, Sendable {
    /// Nothing of it was begun, or its last attempt was rolled back.
    case before
    /// The conductor has been given its segment and has not ended it.
    case conducted
    /// T0 has passed and *watch* has ended; *finish* is left.
    case opened
    case finished
}

extension Store {
    package func migrationState() throws -> MigrationState {
        try setting("migration.state").flatMap { MigrationState(rawValue: $0) } ?? .before
    }
    package func set(_ state: MigrationState) throws { try set("migration.state", to: state.rawValue) }
    /// The attempt that runs or will run next; the first is 1.
    package func migrationAttempt() throws -> Int { try setting("migration.attempt").flatMap { Int($0) } ?? 1 }
    package func beginNextAttempt() throws {
        try set("migration.attempt", to: String(try migrationAttempt() + 1))
        try set(.before)
    }
}
