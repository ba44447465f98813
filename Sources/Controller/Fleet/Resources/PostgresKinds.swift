import BasculeModel

/// `postgresRole:`
package struct PostgresRoleResource: Sendable, Equatable {
    package var name = ""
    /// Default true.
    package var login = true
    package var password: Reference?
    package var createDatabase = false
    package var memberOf: [String] = []
    /// -1 is no limit, the default.
    package var connectionLimit = -1
    package var state = Presence.present
    package init() {}
}

/// `postgresDatabase:`
package struct PostgresDatabaseResource: Sendable, Equatable {
    package var name = ""
    package var owner = "postgres"
    package var encoding = "UTF8"
    package var locale = "C.UTF-8"
    package var state = Presence.present
    package init() {}
}

/// `postgresExtension:`
package struct PostgresExtensionResource: Sendable, Equatable {
    package var name = ""
    package var database = ""
    package var state = Presence.present
    package init() {}
}

/// `postgresSetting:`
package struct PostgresSettingResource: Sendable, Equatable {
    package var name = ""
    package var value = ""
    package init() {}
}
