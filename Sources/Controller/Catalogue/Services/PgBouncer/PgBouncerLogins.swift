import BasculeFleet
import BasculeModel

/// How PgBouncer learns who may log in: by asking PostgreSQL, as a role of its own, through one function.
extension Compilation {
    /// PgBouncer's role in PostgreSQL: it may log in and call one function a database.
    static var poolUser: String { "pgbouncer" }
    static var poolSecret: SecretName { "generated.postgresql.pgbouncer" }

    /// The function's body; one line without quotes, so that it can be compared with what the server has.
    private static var body: String {
        "SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin AND NOT rolsuper AND NOT"
            + " rolreplication AND (rolvaliduntil IS NULL OR rolvaliduntil > now())"
    }

    /// The role, and the function in every database: PgBouncer 1.18 asks in the database that its client wants.
    /// - Returns: what PgBouncer must not start before.
    mutating func placePoolLogins(on node: NodeName) throws -> [ResourceID] {
        let origin = Self.pgbouncerOrigin
        let server = PostgresServer(port: fleet.services.postgresql?.port ?? 5432)
        try note(Self.poolSecret, .generated(length: Self.passwordLength))
        let role = Resource.postgresRole(PostgresRoleSpec(Self.poolUser, password: Self.poolSecret, server: server))
        try add(role, on: node, origin: origin)
        let path = "\(Self.pgbouncerFolder)/pool-login.sql"
        let sql = try render("pgbouncer-login.sql", ["user": .text(Self.poolUser), "body": .text(Self.body)])
        let file = Resource.file(
            FileSpec(path, sql, permissions: Permissions(owner: "postgres", group: "postgres", mode: 0o640)))
        try add(file, on: node, origin: origin)
        var list: [ResourceID] = []
        for name in output.databases.keys.sorted() {
            let psql = [
                "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", server.socket, "-p", "\(server.port)", "-d",
                name.rawValue,
            ]
            let command = Resource.command(
                CommandSpec(
                    "pool-login.\(name)", command: psql + ["-f", path], unless: psql + ["-c", Self.check],
                    user: "postgres", timeout: 60))
            let database = ResourceID(node: node, kind: "postgresDatabase", name: name.rawValue)
            try add(
                command, on: node, requires: [role.id(on: node), file.id(on: node), database], origin: origin)
            list.append(command.id(on: node))
        }
        return list
    }

    /// Fails, by a division, unless the function is there as declared, for PgBouncer's role and nobody else.
    private static var check: String {
        """
        SELECT 1 / count(*) FROM pg_proc WHERE oid = to_regprocedure('bascule_pool.login(text)') AND prosecdef \
        AND prosrc = '\(body)' AND pg_get_userbyid(proowner) = 'postgres' \
        AND has_function_privilege('\(poolUser)', oid, 'EXECUTE') AND NOT has_function_privilege('public', oid, 'EXECUTE') \
        AND has_schema_privilege('\(poolUser)', 'bascule_pool', 'USAGE')
        """
    }
}
