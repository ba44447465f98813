import BasculeModel

/// Capturing and putting back what is in a PostgreSQL server. Databases and roles with content are never dropped.
enum PostgresCapture {
    static func prior(_ resource: Resource, _ store: ObjectStore, _ context: NodeContext) throws -> Capture.Prior {
        let observer = PostgresObserver([], context)
        switch resource {
        case .postgresRole(let spec):
            let seen = try observer.observe(spec)
            let session = try PostgresSession(spec.server, database: "postgres")
            let row = try session.query("SELECT rolpassword FROM pg_authid WHERE rolname = \(SQL.text(spec.name))")
            let verifier = (row.first?.first ?? nil).map { Array($0.utf8) }
            return .postgresRole(seen, verifier: try verifier.map(store.put))
        case .postgresDatabase(let spec): return .postgresDatabase(try observer.observe(spec))
        case .postgresExtension(let spec): return .postgresExtension(try observer.observe(spec))
        case .postgresSetting(let spec): return .postgresSetting(try observer.observe(spec))
        default: throw BasculeError(.defect, "This is no resource of PostgreSQL")
        }
    }

    static func restore(_ capture: Capture, _ store: ObjectStore, _ context: NodeContext) throws {
        switch (capture.resource, capture.prior) {
        case (.postgresRole(let spec), .postgresRole(let seen, let verifier)):
            try role(spec, seen, try verifier.map { String(decoding: try store.get($0), as: UTF8.self) })
        case (.postgresDatabase(let spec), .postgresDatabase(let seen)):
            if let owner = seen.owner {
                var old = spec
                old.owner = owner
                try PostgresKeeper.apply(old)
            } else {
                try dropIfEmpty(spec)
            }
        case (.postgresExtension(let spec), .postgresExtension(let seen)):
            guard seen.version == nil else { return }
            // Without CASCADE: where something uses it, the server refuses.
            _ = try PostgresSession(spec.server, database: spec.database).query(
                "DROP EXTENSION IF EXISTS \(SQL.name(spec.name))")
        case (.postgresSetting(let spec), .postgresSetting(let seen)):
            if let saved = seen.saved {
                var old = spec
                old.value = saved
                try PostgresKeeper.apply([old], context)
            } else {
                try PostgresKeeper.restore(spec, context)
            }
        default: throw BasculeError(.defect, "The capture does not fit its resource", at: .thing(capture.id.rawValue))
        }
    }

    private static func role(_ spec: PostgresRoleSpec, _ seen: PostgresRoleObserved, _ verifier: String?) throws {
        let session = try PostgresSession(spec.server, database: "postgres")
        let name = SQL.name(spec.name)
        // A role that owns something stays: the server refuses to drop it.
        guard seen.exists else { return _ = try session.query("DROP ROLE IF EXISTS \(name)") }
        func word(_ yes: Bool, _ text: String) -> String { yes ? text : "NO\(text)" }
        let password = verifier.map { SQL.text($0) } ?? "NULL"
        var sql = """
            ALTER ROLE \(name) WITH \(word(seen.login, "LOGIN")) \(word(seen.createDatabase, "CREATEDB")) \
            \(word(seen.replication, "REPLICATION")) \(word(seen.bypassRLS, "BYPASSRLS")) \
            CONNECTION LIMIT \(seen.connectionLimit) PASSWORD \(password);
            """
        for group in Set(spec.memberOf).subtracting(seen.memberOf).sorted() {
            sql += " REVOKE \(SQL.name(group)) FROM \(name);"
        }
        _ = try session.query(sql)
    }

    private static func dropIfEmpty(_ spec: PostgresDatabaseSpec) throws {
        let known = try PostgresSession(spec.server, database: "postgres").query(
            "SELECT 1 FROM pg_database WHERE datname = \(SQL.text(spec.name))")
        guard !known.isEmpty else { return }
        let objects = try PostgresSession(spec.server, database: spec.name).query(
            """
            SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
              AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') LIMIT 1
            """)
        guard objects.isEmpty else {
            throw BasculeError(
                .postgresRefused, "The database \(spec.name) is not empty: it stays", at: .thing(spec.name),
                hint: "drop it by hand if its data is not needed")
        }
        _ = try PostgresSession(spec.server, database: "postgres").query("DROP DATABASE \(SQL.name(spec.name))")
    }
}
