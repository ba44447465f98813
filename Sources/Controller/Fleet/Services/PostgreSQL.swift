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
