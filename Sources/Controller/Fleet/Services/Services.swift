import BasculeModel

/// The declared services; `nil` means not declared.
package struct Services: Sendable, Equatable {
    package var postgresql: PostgreSQL?
    package var pgbouncer: PgBouncer?
    package var redis: Redis?
    package var nginx: Nginx?
    package init() {}
}
