import BasculeFleet
import BasculeModel

/// `services.postgresql` on the node with the role `database`.
extension Compilation {
    static var postgresOrigin: String { "service postgresql" }

    /// Names what others bind to, installs the server, its roles, databases and extensions.
    mutating func placePostgreSQL() throws {
        guard let service = fleet.services.postgresql, let node = single(.database) else { return }
        let origin = Self.postgresOrigin
        let version = postgresVersion(service, on: node)
        try placePostgresRepository(service, on: node)
        try packages(["postgresql-\(version)", "postgresql-client-\(version)", "openssl"], on: node, origin: origin)
        try keepFromUnattendedUpgrades("postgresql", "postgresql", on: node, origin: origin)
        try placeChecksums(version, on: node)
        let server = PostgresServer(port: service.port)
        for (name, database) in service.databases.sorted(by: { $0.key < $1.key }) {
            let owner = database.owner ?? name.rawValue
            let password = owner == "postgres" ? nil : SecretName("generated.postgresql.\(owner)")
            if let password {
                try note(password, .generated(length: Self.passwordLength))
                try add(
                    .postgresRole(PostgresRoleSpec(owner, password: password, server: server)), on: node, origin: origin
                )
            }
            try placeLocale(database.locale, on: node)
            try add(
                .postgresDatabase(
                    PostgresDatabaseSpec(
                        name.rawValue, owner: owner, encoding: database.encoding, locale: database.locale,
                        server: server)),
                on: node, origin: origin)
            let extensions = Set(database.extensions + (service.statements ? ["pg_stat_statements"] : []))
            for wanted in extensions.sorted() {
                if let package = try PostgreSQLExtensions.package(
                    wanted, version: version, hasPgVector: release(node).hasPgVector || isForeign(service, on: node),
                    place: place("services.postgresql.databases.\(name)"))
                {
                    try packages([package], on: node, origin: origin)
                }
                try add(
                    .postgresExtension(PostgresExtensionSpec(wanted, database: name.rawValue, server: server)),
                    on: node,
                    origin: origin)
            }
            output.databases[name] = DatabaseEndpoint(node: node, owner: owner, port: service.port, password: password)
        }
    }

    /// The unit that apps on the same node start after; nil where there is none.
    func postgresUnit(on node: NodeName) -> String? {
        guard let service = fleet.services.postgresql, single(.database) == node else { return nil }
        return "postgresql@\(postgresVersion(service, on: node))-main.service"
    }

    /// Page checksums from the first start on: a page that the disk changed is found when it is read, and by every base
    /// backup, instead of being backed up.
    private mutating func placeChecksums(_ version: Int, on node: NodeName) throws {
        let (origin, program) = (Self.postgresOrigin, "/usr/local/lib/bascule/postgresql-checksums")
        let file = Resource.file(
            FileSpec(
                program, try render("postgresql-checksums", ["version": .integer(version)]),
                permissions: Permissions(mode: 0o755)))
        try add(file, on: node, origin: origin)
        let command = Resource.command(
            CommandSpec(
                "postgresql-checksums", command: [program, "enable"], unless: [program, "settled"], timeout: 120))
        try add(command, on: node, requires: [file.id(on: node)], origin: origin)
        postgresNeeds.insert(command.id(on: node))
    }

    /// A locale of the C library that a database sorts by: made before the server starts, which would not see it later.
    private mutating func placeLocale(_ locale: String, on node: NodeName) throws {
        guard !["C", "POSIX", "C.UTF-8", "C.utf8"].contains(locale) else { return }
        let origin = Self.postgresOrigin
        try packages(["locales"], on: node, origin: origin)
        let parts = locale.split(separator: ".", maxSplits: 1).map(String.init)
        let modifier = locale.split(separator: "@").dropFirst().first.map { "@\($0)" } ?? ""
        let charset = parts.count > 1 ? parts[1].split(separator: "@").first.map(String.init) ?? "UTF-8" : "ISO-8859-1"
        let source = (parts[0].split(separator: "@").first.map(String.init) ?? locale) + modifier
        let probe = "use POSIX; exit(defined(setlocale(LC_ALL, $ARGV[0])) ? 0 : 1)"
        let command = CommandSpec(
            "locale.\(locale)", command: ["localedef", "-i", source, "-f", charset, locale],
            unless: ["perl", "-e", probe, locale], timeout: 60)
        try add(.command(command), on: node, origin: origin)
        postgresNeeds.insert(ResourceID(node: node, kind: "command", name: command.name))
    }
}

/// Extensions that are not part of Debian's server package.
enum PostgreSQLExtensions {
    private static let suffixes = [
        "vector": "pgvector", "postgis": "postgis-3", "pg_cron": "cron", "pg_repack": "repack", "hypopg": "hypopg",
        "pg_partman": "partman", "pgaudit": "pgaudit", "pg_hint_plan": "pg-hint-plan", "hll": "hll", "rum": "rum",
    ]

    /// Extensions that do nothing, or do not load, unless the server loads them when it starts.
    private static let preloaded: Set<String> = ["pg_cron", "pg_stat_statements", "pgaudit"]

    /// What the server loads when it starts: what the extensions need, then what the fleet file asks for.
    static func libraries(_ service: PostgreSQL) -> [String] {
        var list = service.statements ? ["pg_stat_statements"] : []
        let asked = service.databases.values.flatMap(\.extensions).filter { preloaded.contains($0) }.sorted()
        let own = (service.settings["shared_preload_libraries"] ?? "").split(separator: ",").map {
            $0.filter { !$0.isWhitespace && $0 != "\"" && $0 != "'" }
        }
        for name in asked + own where !name.isEmpty && !list.contains(name) { list.append(name) }
        return list
    }

    /// nil for what the server's own package brings (pgcrypto, citext, pg_trgm, …).
    static func package(_ name: String, version: Int, hasPgVector: Bool, place: Place) throws -> String? {
        guard let suffix = suffixes[name] else { return nil }
        guard name != "vector" || hasPgVector else {
            throw BasculeError(
                .catalogueVersion, "Debian bookworm has no package for the extension vector", at: place,
                hint: "use a Debian trixie node, or a PostgreSQL version that comes from PostgreSQL's own repository")
        }
        return "postgresql-\(version)-\(suffix)"
    }
}
