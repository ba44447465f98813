import BasculeModel
import BasculePostgres
import FoundationEssentials
import Glibc

/// The target's own subscription to the source. PostgreSQL's apply worker writes the rows: it has been in use for
/// years, keeps its position together with the rows, and goes on by itself after a restart.
struct Subscription {
    let sides: Sides
    let admin: PGConnection
    let names: FollowNames

    /// Makes it where it is missing, tells it what each table's copy already holds, and lets it run.
    func enable() throws {
        do {
            try makeRole()
            if try admin.query("SELECT FROM pg_subscription WHERE subname = $1", [names.slot]).isEmpty { try make() }
            try admin.query("ALTER ROLE \(names.role) NOSUPERUSER BYPASSRLS")
            try placeTables()
            try admin.query("ALTER SUBSCRIPTION \(names.slot) ENABLE")
        } catch let error as PGError {
            throw error.basculeError(
                "subscribing to the source", at: .thing(admin.place),
                hint: "The target's server itself must reach the source under the address of the connection string.")
        }
    }

    /// A role that the source's expressions and constraints may run as: it may write the owner's tables, no more.
    private func makeRole() throws(PGError) {
        if try admin.query("SELECT FROM pg_roles WHERE rolname = $1", [names.role]).isEmpty {
            // Before version 16 only a superuser can be given a subscription; it stops being one right after.
            try admin.query("CREATE ROLE \(names.role) LOGIN SUPERUSER")
        }
        try admin.query("GRANT \(PGQuote.identifier(sides.move.owner)) TO \(names.role)")
        try admin.query(
            "GRANT CREATE ON DATABASE \(PGQuote.identifier(sides.move.targetDatabase)) TO \(names.role)")
    }

    private func make() throws {
        try admin.script("SET log_statement = 'none'; SET log_min_duration_statement = -1")
        let parts = PGConnection.withoutPassword(sides.secret)
        var conninfo = parts.conninfo + " application_name='\(names.slot)'"
        if let password = parts.password {
            let path = try PassFile.write(password, names: names, admin: admin)
            conninfo += " passfile='\(path)'"
        }
        let more = admin.majorVersion >= 16 ? ", password_required = false" : ""
        try admin.query(
            """
            CREATE SUBSCRIPTION \(names.slot) CONNECTION \(PGQuote.literal(conninfo))
            PUBLICATION \(names.publications.joined(separator: ", "))
            WITH (enabled = false, create_slot = false, slot_name = '\(names.slot)', copy_data = false\(more))
            """)
        try admin.query("ALTER SUBSCRIPTION \(names.slot) OWNER TO \(names.role)")
    }

    /// A table copied at a later position than the slot's must not be given what its rows already hold. The worker has
    /// a word for this, because its own copies need it: state `s` with the position up to which a table is done.
    private func placeTables() throws(PGError) {
        try admin.query(
            """
            UPDATE pg_subscription_rel r SET srsubstate = 's', srsublsn = p.position
            FROM pg_subscription s, LATERAL (SELECT c.oid, coalesce(
                    (SELECT value::pg_lsn FROM bascule.move WHERE key = 'position "' || replace(n.nspname, '"', '""')
                        || '"."' || replace(c.relname, '"', '""') || '"'),
                    (SELECT value::pg_lsn FROM bascule.move WHERE key = 'position')) AS position
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace) p
            WHERE s.subname = $1 AND r.srsubid = s.oid AND p.oid = r.srrelid
                AND p.position > (SELECT value::pg_lsn FROM bascule.move WHERE key = 'follow.position')
                AND (r.srsublsn IS NULL OR r.srsublsn < p.position)
            """, [names.slot])
    }

    /// Stops the worker and waits until it has let go.
    func disable() throws {
        do {
            try admin.query("ALTER SUBSCRIPTION \(names.slot) DISABLE")
            let running = """
                SELECT FROM pg_stat_subscription WHERE subname = $1 AND pid IS NOT NULL
                """
            let until = MoveClock.now() + 30
            while try !admin.query(running, [names.slot]).isEmpty {
                guard MoveClock.now() < until else {
                    throw BasculeError(
                        .followFailed, "The subscription does not stop", at: .thing(admin.place),
                        hint: "Look at the target server's log.")
                }
                usleep(20_000)
            }
        } catch let error as PGError { throw error.basculeError("stopping the subscription", at: .thing(admin.place)) }
    }

    /// Removes it and what belongs to it, without asking the source.
    func drop() throws {
        do {
            if try !admin.query("SELECT FROM pg_subscription WHERE subname = $1", [names.slot]).isEmpty {
                try admin.query("ALTER SUBSCRIPTION \(names.slot) DISABLE")
                try admin.query("ALTER SUBSCRIPTION \(names.slot) SET (slot_name = NONE)")
                try admin.query("DROP SUBSCRIPTION \(names.slot)")
            }
            if try !admin.query("SELECT FROM pg_roles WHERE rolname = $1", [names.role]).isEmpty {
                try admin.query("DROP OWNED BY \(names.role)")
                try admin.query("DROP ROLE \(names.role)")
            }
        } catch {
            throw error.basculeError("removing the subscription", at: .thing(admin.place))
        }
        PassFile.remove(names: names, admin: admin)
    }
}

/// The source's password, where the target's server can read it and no backup of its data holds it.
enum PassFile {
    static func write(_ password: String, names: FollowNames, admin: PGConnection) throws -> String {
        let path = try self.path(names, admin)
        let escaped = password.map { $0 == ":" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined()
        let bytes = Array("*:*:*:*:\(escaped)\n".utf8)
        unlink(path)
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0, bytes.withUnsafeBytes({ Glibc.write(file, $0.baseAddress, $0.count) }) == bytes.count else {
            throw BasculeError(
                .followFailed, "The source's password could not be given to the target's server", at: .thing(path),
                cause: String(cString: strerror(errno)))
        }
        var status = stat()
        if getuid() == 0, stat(directory(path), &status) == 0 { fchown(file, status.st_uid, status.st_gid) }
        close(file)
        return path
    }

    static func remove(names: FollowNames, admin: PGConnection) {
        if let path = try? path(names, admin) { unlink(path) }
    }

    /// Beside the data directory, not in it: base backups take all that is in it.
    private static func path(_ names: FollowNames, _ admin: PGConnection) throws -> String {
        let data = try admin.query("SHOW data_directory").scalar ?? ""
        return "\(directory(data))/.\(names.slot).pass"
    }

    private static func directory(_ path: String) -> String {
        String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
    }
}

extension ErrorCode {
    /// A source could not be followed, or no longer.
    package static let followFailed: ErrorCode = "follow-failed"
}
