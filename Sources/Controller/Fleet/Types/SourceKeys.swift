import BasculeModel
import Foundation

extension PostgresSource: Declared {
    static var about: String { "A PostgreSQL database to copy from" }
    static var fields: [Field<PostgresSource>] {
        [
            .key("postgres", \.url, .secret, required: true, "Holds its URL; a direct connection, not a pooler"),
            .key("into", \.into, .name(.postgres), required: true, "A database under services.postgresql"),
            .key("schemas", \.schemas, .list(.name(.table)), "Schemas to bring"),
            .key("exclude", \.exclude, .list(.name(.table)), "Tables whose rows are left behind, as schema.table"),
            .key("jobs", \.jobs, .integer(1...32), "Tables copied at once"),
            .key(
                "fence", \.fence, .secret, "Holds the URL of a role that may revoke rights; the source's if absent"),
            .key(
                "accept", \.accept, .list(.line("the code of a finding")),
                "Findings of 'bascule data check' that refuse the copy and are accepted, such as extension-missing"),
            .key(
                "follow", \.follow, .choice(),
                "Whether the live source is followed by logical replication until the freeze, so that the outage does not grow with its size"
            ),
            .key(
                "walCap", \.walCap, .size,
                "WAL that following may keep at the source; beyond it, it is given up and changed tables are copied again"
            ),
        ]
    }
}

extension RedisSource: Declared {
    static var about: String { "A Redis database to copy from" }
    static var fields: [Field<RedisSource>] {
        [
            .key("redis", \.url, .secret, required: true, "Holds its URL"),
            .key("into", \.into, .choice(), "An instance under services.redis"),
            .key("keys", \.keys, .line("a glob"), "A glob of the keys to copy"),
            .key(
                "rate", \.rate, .integer(1...1_000_000),
                "Commands a second that the source is asked at most; it is also waited for where it says that it is asked too often"
            ),
            .key(
                "accept", \.accept, .list(.choice()),
                "Findings of 'bascule data check' that refuse the copy and are accepted"),
        ]
    }
}

extension MySQLSource: Declared {
    static var about: String { "A MySQL or MariaDB database to copy from" }
    static var fields: [Field<MySQLSource>] {
        [
            .key(
                "mysql", \.url, .secret, required: true,
                "Holds its URL: mysql://USER:PASSWORD@HOST:PORT/DATABASE, TLS verified unless it says ?tls=unverified or off"
            ),
            .key("into", \.into, .name(.postgres), required: true, "A database under services.postgresql"),
            .key("schema", \.schema, .name(.postgres), "The schema that the tables go to; public if absent"),
            .key("exclude", \.exclude, .list(.name(.table)), "Tables left behind"),
            .key(
                "rules", \.rules, .map(.mysqlSelector, { $0 }, .mysqlRule),
                "What becomes of values, by MySQL type such as tinyint(1) or by table.column"),
            .key(
                "accept", \.accept, .list(.name(.finding)),
                "Findings that would refuse the move, such as view-not-carried"),
            .key("users", \.users, .object, "Where the app's users are"),
            .key("spotChecks", \.spotChecks, .integer(0...20), "Rows of each table that are shown side by side"),
            .key(
                "fence", \.fence, .secret,
                "Holds the URL of an account that may change the rights of others; the source's if absent"),
        ]
    }
}

extension MySQLUserTable: Declared {
    static var about: String { "Where a MySQL source keeps the app's users" }
    static var fields: [Field<MySQLUserTable>] {
        [
            .key("table", \.table, .name(.table), required: true, "Their table"),
            .key(
                "email", \.email, .name(.table), required: true, "The column of their addresses, which must not collide"
            ),
            .key("password", \.password, .name(.table), "The column of password hashes, whose formats are told"),
            .key(
                "metadata", \.metadata, .name(.table),
                "A jsonb column of the target that gets migratedFrom, migratedId and migratedAt"),
        ]
    }
}

extension TextRule {
    static let mysqlSelector = TextRule(
        what: "a MySQL type such as tinyint(1), or table.column", first: "A-Za-z_", rest: "A-Za-z0-9_.,() -", limit: 130
    )
    static let finding = TextRule(what: "a finding's code", first: "a-z", rest: "a-z0-9-", limit: 63)
}

extension Codec where Value == String {
    /// The words of a mapping rule.
    static var mysqlRule: Codec {
        .scalar(
            "words such as smallint, zero-null or timestamptz Europe/Paris",
            hint:
                "types: \(MySQLRuleWords.types.joined(separator: ", ")); values: \(MySQLRuleWords.values.joined(separator: ", "))",
            parse: { !$0.isEmpty && MySQLRuleWords.unknown(in: $0) == nil ? $0 : nil })
    }
}

/// Where files come from, as one text: `USER@HOST:/PATH`.
struct Remote {
    var user = ""
    var host = ""
    var path = ""
}

extension FilesSource: Declared {
    var remote: Remote {
        get { Remote(user: user, host: host, path: path) }
        set { (user, host, path) = (newValue.user, newValue.host, newValue.path) }
    }

    static var about: String { "A folder on another machine, fetched over SSH" }
    static var fields: [Field<FilesSource>] {
        [
            .key("files", \.remote, .remote, required: true, "USER@HOST:/PATH"),
            .key("to", \.to, .absolutePath, required: true, "The folder on the nodes with the role app"),
            .key("hostKey", \.hostKey, .hostKey, "The other machine's host key"),
            .key("key", \.key, .secret, "Holds a private key for the login"),
            .key("exclude", \.exclude, .list(.line("a pattern")), "Patterns left behind, as rsync takes them"),
            .key("owner", \.owner, .name(.account), "The owner of the files on the node"),
            .key("rate", \.rate, .integer(1...10_000_000), "KiB a second at most"),
            .key(
                "references", \.references, .list(.object),
                "Where databases name these files: each must have its file, and the other way round"),
        ]
    }
}

extension FileReference: Declared {
    static var about: String { "A column whose values name files" }
    static var fields: [Field<FileReference>] {
        [
            .key("database", \.database, .name(.postgres), required: true, "A database under services.postgresql"),
            .key(
                "column", \.column, .line("a column as table.column"), required: true,
                "The column, as table.column or schema.table.column"),
            .key("prefix", \.prefix, .line("a path or URL"), "What stands before the path in its values"),
        ]
    }
}

extension Codec where Value == Remote {
    static var remote: Codec {
        .scalar(
            "a remote folder such as deploy@old.example:/var/www/uploads", pattern: "^[^@:]+@[^@]+:/",
            parse: { text in
                guard let at = text.firstIndex(of: "@"), let colon = text.range(of: ":/", options: []) else {
                    return nil
                }
                guard at < colon.lowerBound else { return nil }
                let user = String(text[..<at])
                let host = String(text[text.index(after: at)..<colon.lowerBound])
                let path = String(text[text.index(after: colon.lowerBound)...])
                let fine = TextRule.account.accepts(user) && HostText.isHost(host) && PathText.isAbsolute(path)
                return fine ? Remote(user: user, host: host, path: path) : nil
            })
    }
}

extension Codec where Value == Source {
    static var source: Codec {
        .variant(
            "a mapping with 'postgres', 'redis', 'mysql' or 'files'",
            [
                Variant("postgres", PostgresSource.self) { .postgres($0) },
                Variant("redis", RedisSource.self) { .redis($0) },
                Variant("mysql", MySQLSource.self) { .mysql($0) },
                Variant("files", FilesSource.self) { .files($0) },
            ])
    }
}
