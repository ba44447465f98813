import BasculeModel

/// An app of the fleet: lower-case letters, digits and dashes; also its unit's and its user's default name.
package struct AppName: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}

/// A named placement of roles on nodes.
package struct TopologyName: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}

/// A PostgreSQL database that the fleet file declares.
package struct DatabaseName: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}

/// One source of a migration, as the fleet file calls it (`database`, `uploads`).
package struct SourceName: Name {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
}

/// What a node is there for. A topology places roles; each role runs the declared services that belong to it.
package enum Role: String, Sendable, Hashable, CaseIterable, Comparable {
    /// postgresql, pgbouncer
    case database
    /// redis
    case cache
    /// the mail relay
    case mail
    /// nginx, certificates
    case web
    /// the apps
    case app
    /// prometheus, alertmanager, grafana
    case monitoring
    /// borg, WAL archive
    case backup

    package static func < (left: Role, right: Role) -> Bool { left.rawValue < right.rawValue }
}
