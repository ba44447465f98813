import BasculeModel
import BasculePostgres

/// Whether a source can be followed. Changes nothing.
struct FollowPreflight {
    let sides: Sides
    let source: PGConnection
    /// Those that are moved.
    let schemas: [String]

    /// Whether what is written after T0 can be carried back.
    func back(_ target: PGConnection) throws -> [PostgresFinding] {
        guard sides.move.follow?.back != nil,
            let obstacle = try ReverseBegin.obstacle(sides, admin: target, source: source, schemas: schemas)
        else { return [] }
        return [
            PostgresFinding(
                "no-way-back", .refuse, "", "What is written after T0 could not be kept: \(obstacle)",
                hint: "Mend it, or declare migration.rollback.newWrites: journal or loss.")
        ]
    }

    /// What stands in the way, worst first; warnings alone do not.
    func findings(_ tables: [PGTable]) throws -> [PostgresFinding] {
        guard let follow = sides.move.follow, follow.mode != .never else { return [] }
        let obstacles = try obstacles(follow, count: tables.count)
        // Without following the tables that changed are copied again: slower, but nothing is lost.
        let severity: FindingSeverity = follow.mode == .always ? .refuse : .warn
        let named = obstacles.map { code, message, hint in
            PostgresFinding(
                code, severity, "",
                "The source cannot be followed: \(message)"
                    + (follow.mode == .always ? "" : "; tables that changed are copied again after the fence"),
                hint: hint)
        }
        guard named.isEmpty else { return named }
        return try FollowTables(tables, source: source).findings + unbounded(follow)
    }

    private func obstacles(_ follow: PostgresFollow, count: Int) throws -> [(String, String, String)] {
        var found: [(String, String, String)] = []
        let row = try source.query(
            """
            SELECT current_setting('wal_level'), pg_is_in_recovery(),
                current_setting('max_replication_slots')::int4 - (SELECT count(*) FROM pg_replication_slots
                    WHERE slot_name !~ '^bascule_'),
                current_setting('max_wal_senders')::int4 - (SELECT count(*) FROM pg_stat_replication
                    WHERE application_name !~ '^bascule'),
                (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = session_user)
                    OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname IN ('rds_replication', 'rds_superuser')
                        AND pg_has_role(session_user, r.oid, 'MEMBER')),
                has_database_privilege(current_database(), 'CREATE')
            """
        ).rows[0]
        if row[1] == "t" {
            found.append(
                ("follow-standby", "it is a standby", "Use the connection string of the primary."))
        } else if row[0] != "logical" {
            found.append(
                (
                    "follow-wal-level", "its wal_level is \(row[0] ?? ""), not logical",
                    "Set wal_level = logical at the source and restart it, or let the provider do it."
                ))
        }
        if number(row[2]) < 3 {
            found.append(
                (
                    "follow-no-slot", "it has no three replication slots free",
                    "Raise max_replication_slots, or drop slots that nobody reads."
                ))
        }
        if number(row[3]) < 2 {
            found.append(
                ("follow-no-sender", "it has no two WAL senders free", "Raise max_wal_senders."))
        }
        if row[4] != "t" {
            found.append(
                (
                    "follow-no-right", "the role of the connection string may not replicate",
                    "ALTER ROLE … REPLICATION, or give the migration a role that has it."
                ))
        }
        if row[5] != "t" {
            found.append(
                (
                    "follow-no-create", "the role of the connection string may not make a publication",
                    "GRANT CREATE ON DATABASE … to it; it must own the tables too."
                ))
        }
        let foreign = try source.query(
            """
            SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT pg_has_role(c.relowner, 'USAGE')
                AND n.nspname = ANY ($1::text[]) AND \(CatalogTables.notOfExtension("pg_class", "c.oid"))
            """, [PGQuote.array(schemas)])
        if number(foreign.scalar) > 0 {
            found.append(
                (
                    "follow-not-owner", "the role of the connection string does not own \(foreign.scalar ?? "") tables",
                    "Give the migration a role that is a member of the owner."
                ))
        }
        if found.isEmpty { found += sender() }
        return found
    }

    /// A pooler refuses such a connection, and so does a server whose access rules lack it.
    private func sender() -> [(String, String, String)] {
        do {
            let sender = try PGConnection(.conninfo(sides.secret), application: Sides.application, replication: true)
            _ = try sender.script("IDENTIFY_SYSTEM")
            return []
        } catch {
            let cause = (error as? BasculeError)?.cause ?? "\(error)"
            return [
                (
                    "follow-no-connection", "it takes no replication connection (\(cause))",
                    "Use a direct connection, not a pooler; pg_hba.conf must let the role replicate."
                )
            ]
        }
    }

    private func unbounded(_ follow: PostgresFollow) throws -> [PostgresFinding] {
        guard source.majorVersion >= 13 else { return [] }
        let kept = try source.query(
            "SELECT setting::int8 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'"
        ).scalar
        guard number(kept) < 0 else { return [] }
        return [
            PostgresFinding(
                "follow-wal-unbounded", .info, "",
                "The source keeps WAL for a slot without limit; Bascule gives its slot up beyond "
                    + "\(follow.walCap >> 20) MiB, as long as the node lives",
                hint: "Set max_slot_wal_keep_size at the source for the case that the node is lost.")
        ]
    }
}
