import BasculeModel

/// PostgreSQL as it is, for one call of `observe`: one session a server and database, one query a kind.
final class PostgresObserver {
    private struct Target: Hashable {
        var server: PostgresServer
        var database: String
    }
    private let context: NodeContext
    private var sessions: [Target: Result<PostgresSession, any Error>] = [:]
    private var tables: [String: [[String?]]] = [:]

    /// Nothing is connected before the first question.
    init(_ resources: [Resource], _ context: NodeContext) { self.context = context }

    func observe(_ spec: PostgresRoleSpec) throws -> PostgresRoleObserved {
        let roles = try rows(spec.server, "postgres", Self.roles)
        guard let row = roles.first(where: { $0[0] == spec.name }) else { return PostgresRoleObserved(exists: false) }
        let groups = try rows(spec.server, "postgres", Self.memberships).filter { $0[0] == spec.name }.compactMap {
            $0[1]
        }
        var matches: Bool?
        if let name = spec.password {
            let password = try context.resolve(name)
            matches = row[6].map { ScramVerifier.matches($0, password, nodeKey: context.nodeKey) } ?? false
        }
        return PostgresRoleObserved(
            exists: true, login: row[1] == "t", memberOf: groups.sorted(), createDatabase: row[2] == "t",
            replication: row[3] == "t", bypassRLS: row[4] == "t", connectionLimit: row[5].flatMap { Int($0) } ?? -1,
            passwordMatches: matches)
    }

    func observe(_ spec: PostgresDatabaseSpec) throws -> PostgresDatabaseObserved {
        let row = try rows(spec.server, "postgres", Self.databases).first { $0[0] == spec.name }
        guard let row else { return PostgresDatabaseObserved(owner: nil) }
        let locale = row[3] == row[4] ? row[3] : "\(row[3] ?? "?")/\(row[4] ?? "?")"
        return PostgresDatabaseObserved(owner: row[1], encoding: row[2], locale: locale)
    }

    func observe(_ spec: PostgresExtensionSpec) throws -> PostgresExtensionObserved {
        let known = try rows(spec.server, "postgres", Self.databases).contains { $0[0] == spec.database }
        guard known else { return PostgresExtensionObserved(version: nil) }
        let row = try rows(spec.server, spec.database, Self.extensions).first { $0[0] == spec.name }
        return PostgresExtensionObserved(version: row?[1])
    }

    func observe(_ spec: PostgresSettingSpec) throws -> PostgresSettingObserved {
        let all = try rows(spec.server, "postgres", Self.settings)
        guard let row = all.first(where: { $0[0] == spec.name }) else {
            throw BasculeError(.postgresRefused, "PostgreSQL has no setting of this name", at: .thing(spec.name))
        }
        var saved = row[4]
        if let text = saved, PostgresKeeper.sameList(spec.name, text, spec.value) { saved = spec.value }
        // A crash between ALTER SYSTEM and the reload must stay visible.
        if row[5] == "t", saved == spec.value, row[3] == "f" { saved = "\(spec.value) (not loaded)" }
        return PostgresSettingObserved(
            saved: saved, live: row[1], needsRestart: row[2] == "postmaster", pendingRestart: row[3] == "t")
    }

    private func rows(_ server: PostgresServer, _ database: String, _ sql: String) throws -> [[String?]] {
        let key = "\(server.socket) \(server.port) \(database) \(sql)"
        if let known = tables[key] { return known }
        let target = Target(server: server, database: database)
        let session = sessions[target] ?? Result { try PostgresSession(server, database: database) }
        sessions[target] = session
        let found = try session.get().query(sql)
        tables[key] = found
        return found
    }

    private static let roles = """
        SELECT rolname, rolcanlogin, rolcreatedb, rolreplication, rolbypassrls, rolconnlimit, rolpassword FROM pg_authid
        """
    private static let memberships = """
        SELECT m.rolname, g.rolname FROM pg_auth_members a
        JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid
        """
    private static let databases = """
        SELECT datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database
        """
    private static let extensions = "SELECT extname, extversion FROM pg_extension"
    /// Name, live value, context, pending restart, value in postgresql.auto.conf, whether that file is newer than what
    /// was loaded.
    private static let settings = """
        SELECT s.name, current_setting(s.name, true), s.context, s.pending_restart,
          (SELECT f.setting FROM pg_file_settings f
           WHERE f.name = s.name AND f.sourcefile LIKE '%/postgresql.auto.conf' ORDER BY f.seqno DESC LIMIT 1),
          (pg_stat_file('postgresql.auto.conf', true)).modification > pg_conf_load_time()
        FROM pg_settings s
        """
}
