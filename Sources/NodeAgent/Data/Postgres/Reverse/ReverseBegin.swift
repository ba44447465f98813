import BasculeModel
import BasculePostgres

/// Before T0: from here on everything that the target writes can be decoded. The source, which may be a managed one
/// that would subscribe to nobody, is written to from here.
struct ReverseBegin {
    let sides: Sides

    func run() throws -> PostgresFollowReport {
        let start = MoveClock.now()
        let admin = try sides.admin()
        let source = try sides.source()
        do {
            if let obstacle = try Self.obstacle(
                sides, admin: admin, source: source,
                schemas: CatalogReader(source, sides.move, target: admin).selectedSchemas())
            {
                throw BasculeError(
                    .followFailed, "What is written after T0 could not be carried back: \(obstacle)",
                    at: .thing(source.place),
                    hint: "Mend it, or declare migration.rollback.newWrites: journal or loss.")
            }
            let names = try FollowNames(admin)
            let slots = Slots(connection: admin)
            if try Ledger.value(admin, "back") == nil || slots.view(names.back) == nil {
                try make(admin, source, names, slots)
            }
            let position = try slots.view(names.back)?.confirmed ?? 0
            return PostgresFollowReport(
                isFollowing: true, position: WALPosition.text(position), seconds: MoveClock.now() - start)
        } catch let error as PGError {
            throw error.basculeError("preparing the way back", at: .thing(admin.place))
        }
    }

    /// Why the way back is closed; nil where it is open. Changes nothing.
    static func obstacle(
        _ sides: Sides, admin: PGConnection, source: PGConnection, schemas: [String]
    ) throws -> String? {
        let level = try admin.query("SHOW wal_level").scalar
        if level != "logical" { return "wal_level is \(level ?? "") on the node, not logical" }
        guard sides.move.follow?.back == .replicate else { return nil }
        let row = try source.query(
            """
            SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user),
                has_database_privilege(current_database(), 'CREATE'),
                EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1::text[])
                        AND NOT pg_has_role(c.relowner, 'USAGE')),
                EXISTS (SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                    JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE t.tgenabled <> 'D' AND n.nspname = ANY ($1::text[]))
            """, [PGQuote.array(schemas)]
        ).rows[0]
        if row[0] == "t" { return nil }
        if row[1] != "t" { return "the role of the connection string may make no schema at the source" }
        if row[2] == "t" { return "the role of the connection string does not own every table of the source" }
        // In a session of its own: this one may hold a copy's snapshot.
        if row[3] == "t", !Self.mayReplicate(try sides.source()) {
            // The server checks a foreign key as the table's owner, whose right the fence has taken.
            return "the source's triggers and foreign keys would act again, because its role may not set "
                + "session_replication_role (GRANT SET ON PARAMETER session_replication_role TO it)"
        }
        return nil
    }

    /// Whether rows can be written without firing the source's triggers.
    static func mayReplicate(_ source: PGConnection) -> Bool {
        defer { _ = try? source.query("ROLLBACK") }
        guard (try? source.query("BEGIN")) != nil else { return false }
        return (try? source.query("SET LOCAL session_replication_role = replica")) != nil
    }

    private func make(_ admin: PGConnection, _ source: PGConnection, _ names: FollowNames, _ slots: Slots) throws {
        try slots.drop(names.back)
        try slots.dropPublication(names.back)
        let catalog = try CatalogReader(admin, sides.move, target: admin).read()
        let tables = try FollowTables(catalog.loadable, source: admin)
        // The node's own tables: what has no key is told apart by all of its columns. Remembered, to be put back.
        var whole: [String] = []
        for table in tables.inserts {
            try admin.query("ALTER TABLE \(table.quoted) REPLICA IDENTITY FULL")
            whole.append(table.quoted)
        }
        try Ledger.set(admin, "back.full", PGQuote.array(whole))
        let published = (tables.published + tables.inserts + tables.left.map(\.table).filter { $0.persistence == "p" })
        let list = published.map { "ONLY \($0.quoted)" }.joined(separator: ", ")
        try admin.query("CREATE PUBLICATION \(names.back)\(list.isEmpty ? "" : " FOR TABLE \(list)")")
        try Touched.prepare(admin, place: "pushed")
        try admin.query("TRUNCATE bascule.pushed")
        if sides.move.follow?.back == .replicate { try ReverseTarget(source: source, names: names).prepare() }
        try admin.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [names.back])
        try Ledger.set(admin, "back", "on")
    }
}

/// The old side of the way back: where it is remembered how far it is, so that nothing is written twice.
struct ReverseTarget {
    let source: PGConnection
    let names: FollowNames

    func prepare() throws(PGError) {
        try source.script(
            """
            SET client_min_messages = error;
            CREATE SCHEMA IF NOT EXISTS bascule;
            CREATE TABLE IF NOT EXISTS bascule.back (slot text PRIMARY KEY, position pg_lsn NOT NULL);
            CREATE TABLE IF NOT EXISTS bascule.back_rights (statement text PRIMARY KEY);
            REVOKE ALL ON SCHEMA bascule FROM PUBLIC;
            """)
        try source.query("DELETE FROM bascule.back WHERE slot = $1", [names.back])
        try source.query("INSERT INTO bascule.back VALUES ($1, '0/0')", [names.back])
    }

    func position() throws(PGError) -> UInt64 {
        WALPosition.number(
            try source.query("SELECT position FROM bascule.back WHERE slot = $1", [names.back]).scalar)
    }

    /// The fence took the rights of every role, ours too, where it is no superuser: given to it alone, after T0, and
    /// noted in the same transaction.
    func exempt(_ tables: [PGTable], _ sequences: [PGSequence]) throws {
        try source.transaction {
            for table in tables {
                for right in ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"] {
                    try allow("\(right) ON \(table.quoted)", "has_table_privilege", table.quoted, right)
                }
            }
            for sequence in sequences {
                try allow("UPDATE ON SEQUENCE \(sequence.quoted)", "has_sequence_privilege", sequence.quoted, "UPDATE")
            }
        }
    }

    private func allow(_ what: String, _ function: String, _ object: String, _ right: String) throws(PGError) {
        guard try source.query("SELECT \(function)($1, $2)", [object, right]).scalar != "t" else { return }
        try source.query("GRANT \(what) TO CURRENT_USER")
        try source.query(
            "INSERT INTO bascule.back_rights VALUES ($1) ON CONFLICT DO NOTHING",
            ["REVOKE \(what) FROM CURRENT_USER"])
    }

    /// Takes back what `exempt` gave, and goes.
    func remove() throws {
        guard try source.query("SELECT to_regclass('bascule.back')").scalar != nil else { return }
        try source.transaction {
            for row in try source.query("SELECT statement FROM bascule.back_rights").rows {
                try source.query(row[0] ?? "")
            }
            try source.script(
                """
                SET LOCAL client_min_messages = error;
                DROP TABLE bascule.back, bascule.back_rights; DROP SCHEMA bascule RESTRICT;
                """)
        }
    }
}
