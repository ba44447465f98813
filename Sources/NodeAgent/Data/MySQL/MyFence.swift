import BasculeModel
import BasculeMySQL
import Glibc

/// The fence of a MySQL source: rights to write are taken from every account that reaches the database, accounts that
/// may write everywhere are locked out, and every session of theirs is ended, because a server looks at rights anew only
/// when a session does. Each part may run again at any time.
struct MyFence {
    let address: MyAddress

    private func connect() throws -> MyConnection { try MyConnection(address) }

    private func explained<T>(_ doing: String, _ source: MyConnection, _ body: () throws -> T) throws -> T {
        do { return try body() } catch let error as MyError {
            throw error.basculeError(
                doing, at: .thing(source.place),
                hint: "The fence needs an account that may see and change the rights of others (CREATE USER, GRANT "
                    + "OPTION, CONNECTION ADMIN, SELECT on mysql.*): give its URL as `fence` of the source.")
        }
    }

    // MARK: - Capture

    func capture() throws -> MySQLFence {
        let source = try connect()
        return try explained("reading the rights of the source", source) {
            let accounts = MyAccounts(source: source)
            let captured = try accounts.list().compactMap { account -> MySQLFencedAccount? in
                let writing = try accounts.grants(account.name).filter {
                    !$0.isRole && !$0.writes.isEmpty && $0.reaches(address.database)
                }
                guard !writing.isEmpty else { return nil }
                // A role has no login: its rights everywhere are taken like any others.
                let isGlobal = !account.isRole && writing.contains { $0.isGlobal }
                let taken = writing.filter { !isGlobal || !$0.isGlobal }
                return MySQLFencedAccount(
                    name: account.name, isRole: account.isRole, isGlobal: isGlobal,
                    wasLocked: try accounts.isLocked(account),
                    revokes: taken.map { $0.revoke(from: account.name, isMariaDB: source.isMariaDB) },
                    grants: taken.map { $0.grant(to: account.name) })
            }
            let events = try source.query(
                """
                SELECT EVENT_NAME FROM information_schema.EVENTS
                WHERE EVENT_SCHEMA = \(MyQuote.literal(address.database)) AND STATUS = 'ENABLED' ORDER BY 1
                """)
            return MySQLFence(
                database: address.database, accounts: captured, events: events.compactMap { $0[0] })
        }
    }

    // MARK: - Acquire

    func acquire(_ fence: MySQLFence) throws -> MySQLReport {
        let source = try connect()
        var report = MySQLReport()
        try explained("fencing the source", source) {
            guard fence.database == address.database else {
                throw BasculeError(
                    .fenceFailed, "The captured rights are of another database", at: .thing(source.place),
                    cause: "captured \(fence.database)")
            }
            try refuseSharedAccount(source)
            let twin = try MyTwin(source, address)
            defer { twin.drop() }
            try source.query(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON \(MyQuote.identifier(address.database)).* TO \(twin.name)")
            let pooled = try twin.login()
            let table = try firstTable(source)
            for account in fence.accounts {
                for statement in account.revokes { try attempt(source, statement) }
                if account.isGlobal { try attempt(source, "ALTER USER \(account.name) ACCOUNT LOCK") }
            }
            try source.query(
                "REVOKE INSERT, UPDATE, DELETE ON \(MyQuote.identifier(address.database)).* FROM \(twin.name)")
            for event in fence.events {
                try source.query("ALTER EVENT \(quoted(event)) DISABLE")
            }
            let users = Set(
                try MyAccounts(source: source).list().filter { one in fence.accounts.contains { $0.name == one.name } }
                    .map(\.user))
            report.sessionsEnded = try end(source, users.union([MyAccounts.twin]))
            if let table {
                report.attempts.append(
                    Self.tried("a session of a pool", "pooled") {
                        try pooled.query("DELETE FROM \(table.name) WHERE 1 = 0")
                    })
            }
        }
        return report
    }

    private func quoted(_ name: String) -> String {
        "\(MyQuote.identifier(address.database)).\(MyQuote.identifier(name))"
    }

    /// What is gone already, or an account that was dropped since, is no failure.
    private func attempt(_ source: MyConnection, _ statement: String) throws(MyError) {
        do { try source.query(statement) } catch {
            guard [1141, 1147, 1403, 1396].contains(error.number) else { throw error }
        }
    }

    /// A fence by rights cannot tell the migration's own account from an app that uses it too.
    private func refuseSharedAccount(_ source: MyConnection) throws {
        let sql = """
            SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND COMMAND <> 'Daemon'
            AND USER = SUBSTRING_INDEX(CURRENT_USER(), '@', 1)
            """
        var others: [[String?]] = []
        for _ in 0..<40 {
            others = try source.query(sql)
            if others.isEmpty { return }
            // A mover's session that just ended may still be listed.
            usleep(50_000)
        }
        throw BasculeError(
            .fenceFailed, "\(others.count) session(s) of others use the migration's own account",
            at: .thing(source.place), cause: others.compactMap { $0[0] }.prefix(8).joined(separator: ", "),
            hint: "Give the migration an account of its own (`fence` of the source): the app's can then be fenced.")
    }

    /// Ends the sessions and waits until the server has rolled back what they were doing. Gives how many there were.
    private func end(_ source: MyConnection, _ users: Set<String>) throws -> Int {
        let accounts = MyAccounts(source: source)
        let first = try accounts.sessions(users)
        var left = first
        for _ in 0..<1200 {
            for id in left { _ = try? source.query("KILL \(UInt64(id) ?? 0)") }
            left = try accounts.sessions(users)
            if left.isEmpty { return first.count }
            usleep(50_000)
        }
        throw BasculeError(
            .fenceFailed, "\(left.count) writing session(s) outlive the fence", at: .thing(source.place),
            cause: left.joined(separator: ", "), hint: "End them at the source, then run again.")
    }

    private func firstTable(_ source: MyConnection) throws(MyError) -> (name: String, column: String)? {
        try source.query(
            """
            SELECT t.TABLE_NAME, c.COLUMN_NAME FROM information_schema.TABLES t JOIN information_schema.COLUMNS c
                ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
            WHERE t.TABLE_SCHEMA = \(MyQuote.literal(address.database)) AND t.TABLE_TYPE = 'BASE TABLE'
                AND IFNULL(c.GENERATION_EXPRESSION, '') = '' ORDER BY 1, c.ORDINAL_POSITION LIMIT 1
            """
        ).first.map { (quoted($0[0] ?? ""), MyQuote.identifier($0[1] ?? "")) }
    }

    // MARK: - Prove

    /// Each account gets a twin with the very rights that it has now; the twin logs in and tries to write.
    func prove(_ fence: MySQLFence) throws -> MySQLReport {
        let source = try connect()
        var report = MySQLReport()
        try explained("proving the fence", source) {
            let accounts = MyAccounts(source: source)
            let table = try firstTable(source)
            for account in try accounts.list() {
                let grants = try accounts.grants(account.name)
                let writing = grants.filter { !$0.isRole && !$0.writes.isEmpty && $0.reaches(address.database) }
                let isLocked = try accounts.isLocked(account)
                if !writing.isEmpty, !isLocked {
                    report.holes.append(
                        "\(account.name): \(writing.map { "\($0.writes.joined(separator: ", ")) ON \($0.object)" }.joined(separator: "; "))"
                    )
                }
                guard fence.accounts.contains(where: { $0.name == account.name }) else { continue }
                report.attempts += try attempts(account, grants, isLocked, table, accounts)
            }
            for statement in ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"] {
                guard let rows = try? source.query(statement), !rows.isEmpty else { continue }
                report.holes.append("replication: this server takes writes from another one")
                break
            }
            if fence.accounts.isEmpty {
                report.attempts.append(
                    MySQLFenceAttempt(
                        account: "(no account but the migration's own)", kind: "login", refused: true,
                        answer: "the server's list has no account with a right to write"))
            }
        }
        return report
    }

    private func attempts(
        _ account: MyAccounts.Account, _ grants: [MyGrant], _ isLocked: Bool, _ table: (name: String, column: String)?,
        _ accounts: MyAccounts
    ) throws -> [MySQLFenceAttempt] {
        let source = accounts.source
        let twin = try MyTwin(source, address)
        defer { twin.drop() }
        // What comes by a role is given directly: handing roles on is a right of its own.
        for grant in try accounts.expanded(grants) where !(grant.isGlobal && grant.privileges == ["USAGE"]) {
            try source.query(grant.grant(to: twin.name))
        }
        if isLocked { try source.query("ALTER USER \(twin.name) ACCOUNT LOCK") }
        let session: MyConnection
        do { session = try twin.login() } catch let error as BasculeError {
            let number = Int((error.cause ?? "").split(separator: " ").dropFirst().first?.dropLast() ?? "") ?? 0
            let said = MyError(number: number, message: "")
            return [
                MySQLFenceAttempt(
                    account: account.name, kind: "login", refused: said.isRefusedRight, answer: error.cause ?? "")
            ]
        }
        guard let table else { return [] }
        let probe = quoted("\(MyAccounts.twin)_probe")
        return [
            Self.tried(account.name, "insert") {
                try session.query(
                    "INSERT INTO \(table.name) (\(table.column)) SELECT \(table.column) FROM \(table.name) WHERE 1 = 0")
            },
            Self.tried(account.name, "update") {
                try session.query("UPDATE \(table.name) SET \(table.column) = \(table.column) WHERE 1 = 0")
            },
            Self.tried(account.name, "delete") { try session.query("DELETE FROM \(table.name) WHERE 1 = 0") },
            Self.tried(account.name, "create") {
                try session.query("CREATE TABLE \(probe) (i INT)")
                _ = try? source.query("DROP TABLE IF EXISTS \(probe)")
            },
        ]
    }

    private static func tried(
        _ account: String, _ kind: String, _ body: () throws -> Void
    ) -> MySQLFenceAttempt {
        do {
            try body()
            return MySQLFenceAttempt(account: account, kind: kind, refused: false, answer: "the server took it")
        } catch {
            guard let said = error as? MyError else {
                return MySQLFenceAttempt(account: account, kind: kind, refused: false, answer: "\(error)")
            }
            // A session that was ended proves as much as a refused one.
            let refused = said.isRefusedRight || (kind == "pooled" && said.isConnection)
            return MySQLFenceAttempt(
                account: account, kind: kind, refused: refused, answer: "error \(said.number): \(said.message)")
        }
    }

    // MARK: - Release

    func release(_ fence: MySQLFence) throws {
        let source = try connect()
        try explained("giving the rights back", source) {
            MyTwin.dropLeftovers(source)
            for account in fence.accounts {
                for statement in account.grants { try attempt(source, statement) }
                if account.isGlobal, !account.wasLocked {
                    try attempt(source, "ALTER USER \(account.name) ACCOUNT UNLOCK")
                }
            }
            for event in fence.events { try attempt(source, "ALTER EVENT \(quoted(event)) ENABLE") }
        }
    }
}

/// A short-lived account that stands in for another one, with a password that only this process knows.
struct MyTwin {
    let name: String
    private let source: MyConnection
    private let address: MyAddress

    init(_ source: MyConnection, _ address: MyAddress) throws(MyError) {
        Self.dropLeftovers(source)
        var generator = SystemRandomNumberGenerator()
        // Long and mixed enough for any server's rules about passwords.
        let password = "Aa1-" + (0..<4).map { _ in String(generator.next() as UInt64, radix: 36) }.joined()
        name = "\(MyQuote.literal(MyAccounts.twin))@'%'"
        self.source = source
        var own = address
        (own.user, own.password) = (MyAccounts.twin, Secret(password))
        self.address = own
        try source.query("CREATE USER \(name) IDENTIFIED BY \(MyQuote.literal(password))")
    }

    func login() throws -> MyConnection {
        var bare = address
        // Without a right on it, a login that names the database is refused before anything was tried.
        bare.database = ""
        return try MyConnection(bare)
    }

    func drop() { Self.dropLeftovers(source) }

    /// Also those of a run that was killed.
    static func dropLeftovers(_ source: MyConnection) {
        _ = try? source.query("DROP USER IF EXISTS \(MyQuote.literal(MyAccounts.twin))@'%'")
    }
}
