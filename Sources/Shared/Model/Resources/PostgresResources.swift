/// Which PostgreSQL server of the node is meant.
package struct PostgresServer: Hashable, Codable, Sendable {
    package var port: Int
    /// Directory of the unix socket.
    package var socket: String

    package init(port: Int = 5432, socket: String = "/var/run/postgresql") { (self.port, self.socket) = (port, socket) }
}

/// A role of PostgreSQL.
package struct PostgresRoleSpec: Hashable, Codable, Sendable {
    package var name: String
    package var login: Bool
    package var password: SecretName?
    package var memberOf: [String]
    package var createDatabase: Bool
    package var replication: Bool
    package var bypassRLS: Bool
    package var connectionLimit: Int?
    package var server: PostgresServer

    package init(
        _ name: String, login: Bool = true, password: SecretName? = nil, memberOf: [String] = [],
        createDatabase: Bool = false,
        replication: Bool = false, bypassRLS: Bool = false, connectionLimit: Int? = nil,
        server: PostgresServer = PostgresServer()
    ) {
        (self.name, self.login, self.password, self.memberOf) = (name, login, password, memberOf)
        (self.createDatabase, self.replication, self.bypassRLS) = (createDatabase, replication, bypassRLS)
        (self.connectionLimit, self.server) = (connectionLimit, server)
    }
}

/// A role as `pg_roles` and `pg_authid` know it.
package struct PostgresRoleObserved: Hashable, Codable, Sendable {
    package var exists: Bool
    package var login: Bool
    package var memberOf: [String]
    package var createDatabase: Bool
    package var replication: Bool
    package var bypassRLS: Bool
    package var connectionLimit: Int
    /// The SCRAM verifier in the server belongs to the desired password; nil where none is desired.
    package var passwordMatches: Bool?

    package init(
        exists: Bool, login: Bool = false, memberOf: [String] = [], createDatabase: Bool = false,
        replication: Bool = false,
        bypassRLS: Bool = false, connectionLimit: Int = -1, passwordMatches: Bool? = nil
    ) {
        (self.exists, self.login, self.memberOf, self.createDatabase) = (exists, login, memberOf, createDatabase)
        (self.replication, self.bypassRLS) = (replication, bypassRLS)
        (self.connectionLimit, self.passwordMatches) = (connectionLimit, passwordMatches)
    }
}

extension PostgresRoleSpec {
    package func verdict(_ observed: PostgresRoleObserved) -> Verdict {
        guard observed.exists else {
            return .change(Change(.create, [Difference("login", before: nil, after: "\(login)")]))
        }
        var list = DifferenceList()
        list.compare("login", observed.login, login)
        list.compare("createdb", observed.createDatabase, createDatabase)
        list.compare("replication", observed.replication, replication)
        list.compare("bypassrls", observed.bypassRLS, bypassRLS)
        list.compareWanted("connection limit", observed.connectionLimit, wanted: connectionLimit)
        let missing = Set(memberOf).subtracting(observed.memberOf).sorted()
        if !missing.isEmpty {
            list.add(Difference("member of", before: nil, after: "+" + missing.joined(separator: " +")))
        }
        if observed.passwordMatches == false { list.add(Difference("password", before: "another", after: "‹secret›")) }
        return list.verdict(.update, satisfied: "as declared")
    }
}

/// A database of PostgreSQL.
package struct PostgresDatabaseSpec: Hashable, Codable, Sendable {
    package var name: String
    package var owner: String
    package var encoding: String
    /// LC_COLLATE and LC_CTYPE, e.g. `C.UTF-8`.
    package var locale: String
    package var server: PostgresServer

    package init(
        _ name: String, owner: String, encoding: String = "UTF8", locale: String = "C.UTF-8",
        server: PostgresServer = PostgresServer()
    ) {
        (self.name, self.owner, self.encoding, self.locale, self.server) = (name, owner, encoding, locale, server)
    }
}

/// A database as `pg_database` knows it.
package struct PostgresDatabaseObserved: Hashable, Codable, Sendable {
    package var owner: String?
    package var encoding: String?
    package var locale: String?

    package init(owner: String?, encoding: String? = nil, locale: String? = nil) {
        (self.owner, self.encoding, self.locale) = (owner, encoding, locale)
    }
}

extension PostgresDatabaseSpec {
    package func verdict(_ observed: PostgresDatabaseObserved) -> Verdict {
        guard observed.owner != nil else {
            return .change(
                Change(
                    .create,
                    [Difference("owner", before: nil, after: owner), Difference("locale", before: nil, after: locale)]))
        }
        if observed.encoding != encoding || observed.locale != locale {
            return .unreachable(
                reason:
                    "encoding and locale of a database cannot change (\(observed.encoding ?? "?"), \(observed.locale ?? "?")); dump and create it anew"
            )
        }
        var list = DifferenceList()
        list.compareWanted("owner", observed.owner, wanted: owner)
        return list.verdict(.update, satisfied: "owned by \(owner)")
    }
}

/// An extension in a database.
package struct PostgresExtensionSpec: Hashable, Codable, Sendable {
    package var name: String
    package var database: String
    package var server: PostgresServer

    package init(_ name: String, database: String, server: PostgresServer = PostgresServer()) {
        (self.name, self.database, self.server) = (name, database, server)
    }
}

/// An extension as it is; `version` nil where it is not in the database.
package struct PostgresExtensionObserved: Hashable, Codable, Sendable {
    package var version: String?
    package init(version: String?) { self.version = version }
}

extension PostgresExtensionSpec {
    package func verdict(_ observed: PostgresExtensionObserved) -> Verdict {
        guard let version = observed.version else {
            return .change(Change(.create, [Difference("database", before: nil, after: database)]))
        }
        return .satisfied(reason: "version \(version)")
    }
}

/// A server setting through `ALTER SYSTEM`.
package struct PostgresSettingSpec: Hashable, Codable, Sendable {
    package var name: String
    package var value: String
    package var server: PostgresServer

    package init(_ name: String, _ value: String, server: PostgresServer = PostgresServer()) {
        (self.name, self.value, self.server) = (name, value, server)
    }
}

/// A setting as `pg_settings` knows it.
package struct PostgresSettingObserved: Hashable, Codable, Sendable {
    /// The value in `postgresql.auto.conf`; nil where none stands there.
    package var saved: String?
    /// The value in force, in the units that `SHOW` uses.
    package var live: String?
    /// It can only change with a restart of the server.
    package var needsRestart: Bool
    /// A restart is what is still missing.
    package var pendingRestart: Bool

    package init(saved: String?, live: String?, needsRestart: Bool, pendingRestart: Bool) {
        (self.saved, self.live, self.needsRestart, self.pendingRestart) = (saved, live, needsRestart, pendingRestart)
    }
}

extension PostgresSettingSpec {
    package func verdict(_ observed: PostgresSettingObserved) -> Verdict {
        var list = DifferenceList()
        list.compareWanted("value", observed.saved, wanted: value)
        if observed.pendingRestart {
            list.add(Difference("server", before: "runs the older value", after: "restarted"))
        }
        let restart = observed.pendingRestart || (!list.isEmpty && observed.needsRestart)
        return list.verdict(restart ? .restart : .update, satisfied: "\(observed.live ?? value)")
    }
}
