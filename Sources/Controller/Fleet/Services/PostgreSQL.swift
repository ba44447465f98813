import BasculeModel

/// `services.postgresql`
package struct PostgreSQL: Sendable, Equatable {
    /// What the planner is told about the disk.
    package enum Disk: String, Sendable, Hashable, CaseIterable { case ssd, hdd }

    /// Major version; without it the distribution's own (15 on Debian 12, 17 on Debian 13).
    package var version: Int?
    /// Where another version than the distribution's comes from; without it PostgreSQL's own repository.
    package var repository: Repository?
    /// Default 5432.
    package var port = 5432
    package var databases: [DatabaseName: Database] = [:]
    /// Default ssd, which every virtual server has.
    package var disk = Disk.ssd
    /// Whether `pg_stat_statements` is loaded and in every declared database.
    package var statements = true
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

    /// An apt repository with PostgreSQL's packages, such as a mirror of one's own.
    package struct Repository: Sendable, Equatable {
        /// Default PostgreSQL's own.
        package var uri = "https://apt.postgresql.org/pub/repos/apt"
        /// Without it `RELEASE-pgdg`; one that ends in `/` is a repository without components.
        package var suite: String?
        /// The public key file, relative to the fleet's folder; without it the key of PostgreSQL's own repository.
        package var key: String?
        package init() {}
    }
}

extension PostgreSQL: Declared {
    static var about: String { "PostgreSQL on the node with the role database" }
    static var fields: [Field<PostgreSQL>] {
        [
            .key(
                "version", \.version, .integer(13...18, "a major version"),
                "Major version; the distribution's if absent, any other from PostgreSQL's own apt repository"),
            .key("repository", \.repository, .object, "Where another version than the distribution's comes from"),
            .key("port", \.port, .port, "Where it listens"),
            .key(
                "databases", \.databases, .map(.postgres, { DatabaseName($0) }, .object),
                "The databases to make, by name"),
            .key("disk", \.disk, .choice(), "What the planner is told about the disk"),
            .key(
                "statements", \.statements, .flag,
                "Loads pg_stat_statements, and creates it in every declared database"),
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

extension PostgreSQL.Repository: Declared {
    static var about: String { "An apt repository with PostgreSQL's packages" }
    static var fields: [Field<PostgreSQL.Repository>] {
        [
            .key("uri", \.uri, .repository, "Its address"),
            .key("suite", \.suite, .line("a suite"), "Its suite; the release's name and -pgdg if absent"),
            .key(
                "key", \.key, .fleetPath,
                "The public key file that signs it; the key of PostgreSQL's own repository if absent"),
        ]
    }
}
