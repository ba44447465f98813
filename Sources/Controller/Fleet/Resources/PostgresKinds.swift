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

extension PostgresRoleResource: Declared {
    static var about: String { "A PostgreSQL role" }
    static var fields: [Field<PostgresRoleResource>] {
        [
            .key("postgresRole", \.name, .name(.postgres), required: true, "Its name"),
            .key("login", \.login, .flag, "May log in"),
            .key("password", \.password, .reference, "Its password"),
            .key("createDatabase", \.createDatabase, .flag, "May create databases"),
            .key("memberOf", \.memberOf, .list(.name(.postgres)), "Roles that it is a member of"),
            .key("connectionLimit", \.connectionLimit, .integer(-1...100_000), "Connections at once; -1 is no limit"),
            .key("state", \.state, .choice(), "Whether it shall be there"),
        ]
    }
}

extension PostgresDatabaseResource: Declared {
    static var about: String { "A PostgreSQL database" }
    static var fields: [Field<PostgresDatabaseResource>] {
        [
            .key("postgresDatabase", \.name, .name(.postgres), required: true, "Its name"),
            .key("owner", \.owner, .name(.postgres), "The role that owns it"),
            .key("encoding", \.encoding, .name(.locale), "Its encoding"),
            .key("locale", \.locale, .name(.locale), "Its collation and character classes"),
            .key("state", \.state, .choice(), "Whether it shall be there"),
        ]
    }
}

extension PostgresExtensionResource: Declared {
    static var about: String { "An extension in a database" }
    static var fields: [Field<PostgresExtensionResource>] {
        [
            .key("postgresExtension", \.name, .name(.postgres), required: true, "Its name"),
            .key("database", \.database, .name(.postgres), required: true, "The database"),
            .key("state", \.state, .choice(), "Whether it shall be there"),
        ]
    }
}

extension PostgresSettingResource: Declared {
    static var about: String { "A setting of postgresql.conf" }
    static var fields: [Field<PostgresSettingResource>] {
        [
            .key("postgresSetting", \.name, .name(.setting), required: true, "Its name"),
            .key("value", \.value, .line("a value"), required: true, "Its value"),
        ]
    }
}
