import BasculeModel

/// The declared services; `nil` means not declared.
package struct Services: Sendable, Equatable {
    package var postgresql: PostgreSQL?
    package var pgbouncer: PgBouncer?
    package var redis: Redis?
    package var nginx: Nginx?
    package var caddy: Caddy?
    package var certificates: Certificates?
    package var mail: Mail?
    package var monitoring: Monitoring?
    package var system: System?
    package var backup: Backup?
    package init() {}
}

/// A new service is one file of its own, one member here and one line in this table.
extension Services: Declared {
    static var about: String { "The services that the roles place" }
    static var fields: [Field<Services>] {
        [
            .key("postgresql", \.postgresql, .object, "PostgreSQL (role database)"),
            .key("pgbouncer", \.pgbouncer, .object, "PgBouncer (role database)"),
            .key("redis", \.redis, .object, "Redis (role cache)"),
            .key("nginx", \.nginx, .object, "Nginx (role web)"),
            .key("caddy", \.caddy, .object, "Caddy (role web), instead of nginx"),
            .key("certificates", \.certificates, .object, "ACME certificates (role web)"),
            .key("mail", \.mail, .object, "Postfix, which sends (role mail)"),
            .key("monitoring", \.monitoring, .object, "Monitoring and error tracking (role monitoring)"),
            .key("system", \.system, .object, "Hardening of every node with a role"),
            .key("backup", \.backup, .object, "Backups (role backup)"),
        ]
    }
}
