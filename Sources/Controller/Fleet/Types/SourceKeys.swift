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
            .key("mysql", \.url, .secret, required: true, "Holds its URL"),
            .key("into", \.into, .name(.postgres), required: true, "A database under services.postgresql"),
            .key("exclude", \.exclude, .list(.name(.table)), "Tables left behind"),
            .key("jobs", \.jobs, .integer(1...32), "Tables copied at once"),
        ]
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
