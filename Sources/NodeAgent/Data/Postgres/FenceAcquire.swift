import BasculeModel
import BasculePostgres
import Glibc

/// Takes every right to write at the source, then waits for those who were writing. May run again at any time.
struct FenceAcquire {
    let sides: Sides
    let fence: PostgresFence
    let isCancelled: @Sendable () -> Bool

    func run() throws -> PostgresFenceReport {
        let start = MoveClock.now()
        let source = try sides.source()
        do {
            try check(source)
            let probe = PooledProbe(try sides.source(), fence)
            var findings = try source.transaction { try revoke(source) }
            let drained = try Straddlers(source: source).drain(grace: sides.move.fenceGrace)
            findings += drained.findings
            return PostgresFenceReport(
                drained: drained.ended, terminated: drained.terminated, pooled: probe.tryAgain(), findings: findings,
                seconds: MoveClock.now() - start)
        } catch let error as PGError {
            throw error.basculeError(
                "fencing the source", at: .thing(source.place),
                hint: "The fence needs a role that owns the source's objects, or a superuser.")
        }
    }

    private func check(_ source: PGConnection) throws {
        let database = try source.query("SELECT current_database()").scalar
        guard database == fence.database else {
            throw BasculeError(
                .fenceFailed, "The captured rights are of another database", at: .thing(source.place),
                cause: "captured \(fence.database)")
        }
        if let other = try FenceCapture.settings(source, role: nil)[FenceCapture.marker], other != fence.id {
            throw BasculeError(
                .fenceFailed, "The source is fenced by somebody else", at: .thing(source.place),
                cause: "fence \(other)", hint: "Release that fence first.")
        }
        let prepared = try source.query("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
        if let gid = prepared.scalar {
            throw BasculeError(
                .fenceFailed, "A prepared transaction could still write after the fence", at: .thing(source.place),
                cause: gid, hint: "COMMIT PREPARED or ROLLBACK PREPARED it, then run again.")
        }
    }

    private func revoke(_ source: PGConnection) throws -> [PostgresFinding] {
        let database = PGQuote.identifier(fence.database)
        var findings: [PostgresFinding] = []
        // Another session must not wait for a lock of ours behind a long statement of its own.
        try source.query("SET LOCAL lock_timeout = '10s'")
        try attempt(source, "the database's marker", &findings) {
            try source.query("ALTER DATABASE \(database) SET \(FenceCapture.marker) = \(PGQuote.literal(fence.id))")
        }
        let present = try FenceRights(source: source).read().filter { !$0.rights.isEmpty }
        // What was granted since the capture is taken too, and kept at the source, with the marker.
        try FenceLate.keep(present, fence, source)
        // In one round trip, since customers wait; one by one where something is beyond our rights, to name it.
        let all = present.flatMap(\.revocations).joined(separator: ";\n")
        if try source.attempt({ try source.script(all) }) != nil {
            for object in present {
                try attempt(source, object.word, &findings) {
                    for statement in object.revocations { try source.query(statement) }
                }
            }
        }
        for membership in fence.memberships {
            try attempt(source, "membership of \(membership.member) in \(membership.role)", &findings) {
                try source.query(
                    "REVOKE \(membership.role) FROM \(PGQuote.identifier(membership.member))\(membership.by) CASCADE")
            }
        }
        try attempt(source, "the database's default", &findings) {
            try source.query("ALTER DATABASE \(database) SET default_transaction_read_only = on")
        }
        let me = try source.query("SELECT session_user").scalar ?? ""
        for role in fence.roles where role.isSuperuser && role.name != me {
            findings.append(
                PostgresFinding(
                    "superuser-not-fenced", .warn, PGQuote.identifier(role.name),
                    "A superuser's writes cannot be refused by rights; its transactions are read-only by default",
                    hint: "Keep applications from using it; its sessions were ended."))
            try attempt(source, "role \(role.name)", &findings) {
                try source.query(
                    """
                    ALTER ROLE \(PGQuote.identifier(role.name)) IN DATABASE \(database)
                    SET default_transaction_read_only = on
                    """)
            }
            try attempt(source, "sessions of \(role.name)", &findings) {
                try source.query(
                    """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
                    AND usename = $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend'
                    """, [role.name])
            }
        }
        return findings
    }

    /// One thing that may be beyond our rights: undone by itself and named.
    private func attempt(
        _ source: PGConnection, _ object: String, _ findings: inout [PostgresFinding], _ body: () throws -> Void
    ) throws {
        guard let said = try source.attempt(body) else { return }
        findings.append(
            PostgresFinding(
                "fence-incomplete", .refuse, object, "The fence could not take it: \(said)",
                hint: "Use a role that owns it, or a superuser, for the migration."))
    }
}

extension PGConnection {
    /// Something that may be beyond our rights, inside a transaction: undone by itself where it fails.
    /// - Returns: what the server said against it; nil where it was done.
    func attempt(_ body: () throws -> Void) throws -> String? {
        try query("SAVEPOINT one")
        do {
            try body()
            try query("RELEASE SAVEPOINT one")
            return nil
        } catch let error as PGError {
            guard !error.isConnection else { throw error }
            try query("ROLLBACK TO SAVEPOINT one")
            return error.message
        }
    }
}

/// A session opened before the fence with a prepared write for each login role: what a connection pool holds.
final class PooledProbe {
    private let session: PGConnection
    private var prepared: [(role: String, object: String, name: String)] = []

    init(_ session: PGConnection, _ fence: PostgresFence) {
        self.session = session
        guard let first = fence.objects.first(where: { $0.kind == .table }) else { return }
        for role in fence.roles where role.canLogin && !role.isSuperuser {
            let own = fence.objects.first { object in
                object.kind == .table && object.rights.contains { $0.grantee == role.name && $0.privilege == "DELETE" }
            }
            let object = own ?? first
            let name = "bascule_probe_\(prepared.count)"
            guard (try? session.query("PREPARE \(name) AS DELETE FROM \(object.name) WHERE false")) != nil else {
                continue
            }
            prepared.append((role.name, object.name, name))
        }
    }

    func tryAgain() -> [PostgresFenceAttempt] {
        prepared.compactMap { probe in
            guard let result = try? FenceAttempt(source: session).run(role: probe.role, sql: "EXECUTE \(probe.name)"),
                let outcome = result.outcome
            else { return nil }
            return PostgresFenceAttempt(
                role: probe.role, pooled: true, kind: .delete, object: probe.object, outcome: outcome,
                answer: result.answer)
        }
    }
}

/// Transactions that had written, or were about to, when the rights went.
struct Straddlers {
    let source: PGConnection

    /// Every writer holds such a lock on its table until its transaction ends; a new one is refused before it gets far.
    private static let query = """
        SELECT DISTINCT l.virtualtransaction, l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
            JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
            AND n.nspname !~ '^pg_' AND c.relkind IN ('r', 'p', 'S')
        """

    func drain(grace: Double) throws -> (ended: Int, terminated: Int, findings: [PostgresFinding]) {
        func holders() throws -> [String: String] {
            Dictionary(
                try source.query(Self.query).rows.map { ($0[0] ?? "", $0[1] ?? "") },
                uniquingKeysWith: { one, _ in one })
        }
        let first = try holders()
        var left = first
        let start = MoveClock.now()
        func wait(_ seconds: Double) throws {
            let until = MoveClock.now() + seconds
            while !left.isEmpty, MoveClock.now() < until {
                usleep(50_000)
                let now = try holders()
                left = left.filter { now[$0.key] != nil }
            }
        }
        try wait(grace)
        let stubborn = left
        var findings: [PostgresFinding] = []
        for pid in Set(stubborn.values) where !pid.isEmpty {
            do { try source.query("SELECT pg_terminate_backend($1::int4)", [pid]) } catch {
                findings.append(
                    PostgresFinding(
                        "writer-not-ended", .refuse, "session \(pid)", "It holds a write and could not be ended",
                        hint: "End it at the source, then take the fence again."))
            }
        }
        try wait(5)
        guard left.isEmpty else {
            throw BasculeError(
                .fenceFailed, "\(left.count) writing transaction(s) outlive the fence", at: .thing(source.place),
                cause: left.values.sorted().map { "session \($0)" }.joined(separator: ", "),
                hint: "End them at the source, then run again; waited \(Int(MoveClock.now() - start)) s.")
        }
        return (first.count - stubborn.count, stubborn.count, findings)
    }
}
