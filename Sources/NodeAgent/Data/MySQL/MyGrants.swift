import BasculeMySQL

/// One line of SHOW GRANTS.
struct MyGrant: Equatable {
    /// `SELECT`, `INSERT (a,b)`; empty for a role that is granted.
    var privileges: [String]
    /// As written: `*.*`, `` `shop`.* ``, `` PROCEDURE `shop`.`p` ``; for a role its name.
    var object: String
    var isRole: Bool
    var mayGrant: Bool

    private static let writing: Set<String> = [
        "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "TRIGGER", "REFERENCES", "CREATE VIEW",
        "CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE", "EVENT", "DELETE HISTORY", "ALL PRIVILEGES", "ALL",
    ]
    /// What a database's ALL PRIVILEGES holds of these; the two families share them.
    private static let all =
        "INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, TRIGGER, REFERENCES, CREATE VIEW, CREATE ROUTINE, "
        + "ALTER ROUTINE, EXECUTE, EVENT"
    private static let allOfTable =
        "INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, TRIGGER, REFERENCES, CREATE VIEW"

    /// nil for what is no right on an object: `GRANT PROXY`, `SET DEFAULT ROLE`.
    init?(_ line: String) {
        guard line.hasPrefix("GRANT "), !line.hasPrefix("GRANT PROXY"), let to = line.firstRange(of: " TO ") else {
            return nil
        }
        let head = line[line.index(line.startIndex, offsetBy: 6)..<to.lowerBound]
        mayGrant = line[to.upperBound...].contains("WITH GRANT OPTION")
        if let on = head.firstRange(of: " ON ") {
            privileges = Self.split(head[..<on.lowerBound])
            object = String(head[on.upperBound...])
            isRole = false
        } else {
            (privileges, object, isRole) = ([], String(head), true)
        }
    }

    /// At commas outside brackets.
    private static func split(_ text: Substring) -> [String] {
        var parts: [String] = []
        var depth = 0
        var part = ""
        for character in text {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == ",", depth == 0 {
                parts.append(part)
                part = ""
            } else if character != " " || !part.isEmpty {
                part.append(character)
            }
        }
        return parts + [part]
    }

    var isGlobal: Bool { object == "*.*" }

    /// Those that change data or its shape.
    var writes: [String] {
        privileges.filter { privilege in
            let name = privilege.split(separator: "(")[0].split(separator: " ").joined(separator: " ")
            return Self.writing.contains(name.uppercased())
        }
    }

    /// Whether it reaches the database: its name may hold wildcards.
    func reaches(_ database: String) -> Bool {
        if isGlobal { return true }
        var text = Array(object.unicodeScalars)[...]
        for kind in ["PROCEDURE ", "FUNCTION ", "PACKAGE BODY ", "PACKAGE ", "TABLE "] {
            if text.starts(with: Array(kind.unicodeScalars)) { text = text.dropFirst(kind.unicodeScalars.count) }
        }
        guard text.popFirst() == "`" else { return false }
        var pattern: [Unicode.Scalar] = []
        while let scalar = text.popFirst() {
            if scalar == "`" {
                guard text.first == "`" else { break }
                text.removeFirst()
            }
            pattern.append(scalar)
        }
        return Self.matches(pattern[...], Array(database.unicodeScalars)[...])
    }

    private static func matches(_ pattern: ArraySlice<Unicode.Scalar>, _ text: ArraySlice<Unicode.Scalar>) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        let rest = pattern.dropFirst()
        switch first {
        case "%": return (text.startIndex...text.endIndex).contains { matches(rest, text[$0...]) }
        case "\\":
            guard let next = rest.first, text.first == next else { return false }
            return matches(rest.dropFirst(), text.dropFirst())
        case "_": return !text.isEmpty && matches(rest, text.dropFirst())
        default: return text.first == first && matches(rest, text.dropFirst())
        }
    }

    /// Takes the rights to write, and leaves those to read.
    func revoke(from account: String, isMariaDB: Bool) -> String {
        let isWhole = writes.contains { $0.uppercased().hasPrefix("ALL") }
        let isTable = !object.hasSuffix(".*")
        // MariaDB counts the history of versioned tables among them.
        let whole = (isTable ? Self.allOfTable : Self.all) + (isMariaDB ? ", DELETE HISTORY" : "")
        let list = isWhole ? whole : writes.joined(separator: ", ")
        return "REVOKE \(list) ON \(object) FROM \(account)"
    }

    /// Gives them back as they were.
    func grant(to account: String) -> String {
        if isRole { return "GRANT \(object) TO \(account)" }
        return "GRANT \(privileges.joined(separator: ", ")) ON \(object) TO \(account)"
            + (mayGrant ? " WITH GRANT OPTION" : "")
    }
}

/// The accounts of a server, as far as we may see them.
struct MyAccounts {
    struct Account {
        /// As SQL names it.
        var name: String
        var user: String
        var isRole: Bool
    }
    static let twin = "bascule_twin"
    private static let system: Set<String> = ["mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema"]
    let source: MyConnection

    /// All but ours, the server's own, and our twins.
    func list() throws(MyError) -> [Account] {
        let me = try source.query("SELECT CURRENT_USER()").first?.first.flatMap { $0 } ?? ""
        let columns = source.isMariaDB ? "User, Host, is_role" : "User, Host, 'N'"
        return try source.query("SELECT \(columns) FROM mysql.user ORDER BY 1, 2").compactMap { row in
            let (user, host) = (row[0] ?? "", row[1] ?? "")
            guard "\(user)@\(host)" != me, !Self.system.contains(user), !user.hasPrefix(Self.twin) else { return nil }
            let isRole = row[2] == "Y"
            let name =
                user == "PUBLIC" && isRole
                ? "PUBLIC" : MyQuote.literal(user) + (isRole ? "" : "@\(MyQuote.literal(host))")
            return Account(name: name, user: user, isRole: isRole)
        }
    }

    func grants(_ account: String) throws(MyError) -> [MyGrant] {
        do {
            return try source.query("SHOW GRANTS FOR \(account)").compactMap { MyGrant($0[0] ?? "") }
        } catch {
            // It was dropped in between, or is PUBLIC without a right.
            guard error.number == 1141 || error.number == 1147 else { throw error }
            return []
        }
    }

    /// With the rights that come by roles in place of the roles.
    func expanded(_ grants: [MyGrant], depth: Int = 0) throws(MyError) -> [MyGrant] {
        var all: [MyGrant] = []
        for grant in grants {
            if !grant.isRole {
                all.append(grant)
            } else if depth < 8 {
                all += try expanded(try self.grants(grant.object), depth: depth + 1)
            }
        }
        return all
    }

    func isLocked(_ account: Account) throws(MyError) -> Bool {
        guard !account.isRole else { return false }
        return try source.query("SHOW CREATE USER \(account.name)").first?.first.flatMap { $0 }?
            .contains("ACCOUNT LOCK") ?? false
    }

    /// Sessions of these users, but for ours.
    func sessions(_ users: Set<String>) throws(MyError) -> [String] {
        try source.query(
            "SELECT ID, USER FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND COMMAND <> 'Daemon'"
        ).compactMap { users.contains($0[1] ?? "") ? $0[0] : nil }
    }
}
