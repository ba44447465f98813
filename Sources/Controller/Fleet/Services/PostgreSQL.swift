import BasculeModel

/// `services.postgresql`
package struct PostgreSQL: Sendable, Equatable {
    /// Major version; without it the distribution's own (15 on Debian 12, 17 on Debian 13).
    package var version: Int?
    /// Default 5432.
    package var port = 5432
    package var databases: [DatabaseName: Database] = [:]
    /// `postgresql.conf` settings that override the catalogue's, as text (`work_mem: 16MB`).
    package var settings: [String: String] = [:]
    package init() {}

    /// One declared database.
    package struct Database: Sendable, Equatable {
        /// The role that owns it; without it, the database's name.
        package var owner: String?
        package var extensions: [String] = []
        /// Default UTF8.
        package var encoding = "UTF8"
        /// Default C.UTF-8: the same order on every distribution.
        package var locale = "C.UTF-8"
        package init() {}
    }
}

extension PostgreSQL: Declared {
    static var about: String { "PostgreSQL on the node with the role database" }
    static var fields: [Field<PostgreSQL>] {
        [
            .key(
                "version", \.version, .integer(13...18, "a major version"),
                "Major version; the distribution's if absent"),
            .key("port", \.port, .port, "Where it listens"),
            .key(
                "databases", \.databases, .map(.postgres, { DatabaseName($0) }, .object),
                "The databases to make, by name"),
            .key(
                "settings", \.settings, .map(.setting, { $0 }, .line("a setting's value")),
                "postgresql.conf settings that override Bascule's"),
        ]
    }
}

extension PostgreSQL.Database: Declared {
    static var about: String { "A database" }
    static var fields: [Field<PostgreSQL.Database>] {
        [
            .key("owner", \.owner, .name(.postgres), "The role that owns it; the database's name if absent"),
            .key("extensions", \.extensions, .list(.name(.postgres)), "Extensions to create in it"),
            .key("encoding", \.encoding, .name(.locale), "Its encoding"),
            .key("locale", \.locale, .name(.locale), "Its collation and character classes"),
        ]
    }
}
