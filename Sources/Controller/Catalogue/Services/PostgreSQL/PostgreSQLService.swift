import BasculeFleet
import BasculeModel

/// `services.postgresql` on the node with the role `database`.
extension Compilation {
    static var postgresOrigin: String { "service postgresql" }

    /// Names what others bind to, installs the server, its roles, databases and extensions.
    mutating func placePostgreSQL() throws {
        guard let service = fleet.services.postgresql, let node = single(.database) else { return }
        let origin = Self.postgresOrigin
        let version = try postgresVersion(service, on: node)
        try packages(["postgresql-\(version)", "postgresql-client-\(version)"], on: node, origin: origin)
        try keepFromUnattendedUpgrades("postgresql", "postgresql", on: node, origin: origin)
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
            try add(
                .postgresDatabase(
                    PostgresDatabaseSpec(
                        name.rawValue, owner: owner, encoding: database.encoding, locale: database.locale,
                        server: server)),
                on: node, origin: origin)
            for wanted in database.extensions.sorted() {
                if let package = try PostgreSQLExtensions.package(
                    wanted, version: version, release: release(node),
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

    /// The server's files, once it is known who comes from elsewhere.
    mutating func finishPostgreSQL() throws {
        guard let service = fleet.services.postgresql, let node = single(.database) else { return }
        let origin = Self.postgresOrigin
        let version = try postgresVersion(service, on: node)
        let remotes = try peers(.postgresql)
        let listen = try listenAddresses(on: node, peers: remotes)
        let tuning = PostgreSQLTuning(
            memory: memory(node), cpus: cpus(node),
            pools: fleet.services.pgbouncer.map { $0.poolSize * max(1, service.databases.count) },
            settings: service.settings)
        var common = tuning.variables
        common["port"] = .integer(service.port)
        common["listen"] = .text((["localhost"] + listen).joined(separator: ", "))
        common["walCompression"] = version >= 15 ? "lz4" : "on"
        let folder = "/etc/postgresql/\(version)/main"
        let owned = Permissions(owner: "postgres", group: "postgres", mode: 0o640)
        func settings(restart: Bool) -> Variable { PostgreSQLSettings.lines(service.settings, restart: restart) }
        let restart = "\(folder)/conf.d/50-bascule-restart.conf"
        let reload = "\(folder)/conf.d/60-bascule.conf"
        let hba = "\(folder)/pg_hba.conf"
        common["settings"] = settings(restart: true)
        try add(
            .file(FileSpec(restart, try render("postgresql-restart.conf", common), permissions: owned)), on: node,
            origin: origin)
        common["settings"] = settings(restart: false)
        try add(
            .file(FileSpec(reload, try render("postgresql-reload.conf", common), permissions: owned)), on: node,
            origin: origin)
        let lines = output.databases.sorted { $0.key < $1.key }.flatMap { name, endpoint in
            remotes.map { peer -> Variable in
                .map([
                    "node": .text(peer.node.rawValue), "database": .text("\"\(name)\""),
                    "role": .text("\"\(endpoint.owner)\""),
                    "address": .text(peer.network),
                ])
            }
        }
        try add(
            .file(FileSpec(hba, try render("pg_hba.conf", hbaVariables(lines)), permissions: owned)), on: node,
            origin: origin)
        // Whether it starts at boot is start.conf's word (Debian's generator), which says auto.
        try add(
            .unit(
                UnitSpec(
                    "postgresql@\(version)-main.service", enabled: nil, reloadOn: [reload, hba], restartOn: [restart])),
            on: node, origin: origin)
        open(service.port, to: remotes, on: node, purpose: "postgresql")
        try probe(
            "postgresql", on: node,
            .postgres(PostgresServer(port: service.port), database: "postgres", user: "postgres", password: nil),
            unit: postgresUnit(on: node), origin: origin)
    }

    private func hbaVariables(_ remotes: [Variable]) -> [String: Variable] {
        ["remotes": .list(remotes), "monitored": .flag(fleet.services.monitoring != nil)]
    }

    /// The declared major version, which the node's release must have.
    func postgresVersion(_ service: PostgreSQL, on node: NodeName) throws -> Int {
        let own = release(node).postgresql
        guard let version = service.version, version != own else { return own }
        let elsewhere = DebianRelease.allCases.first { $0.postgresql == version }
        let image = elsewhere.map { "; Debian \($0.rawValue) has \(version)" } ?? ""
        throw BasculeError(
            .catalogueVersion,
            "node \(node) runs Debian \(release(node).rawValue), whose PostgreSQL is \(own), not \(version)",
            at: place("services.postgresql.version"),
            hint: "write version: \(own), or leave it out\(image)")
    }

    /// The unit that apps on the same node start after; nil where there is none.
    func postgresUnit(on node: NodeName) -> String? {
        guard let service = fleet.services.postgresql, single(.database) == node,
            let version = try? postgresVersion(service, on: node)
        else { return nil }
        return "postgresql@\(version)-main.service"
    }
}

/// Extensions that are not part of Debian's server package.
enum PostgreSQLExtensions {
    private static let suffixes = [
        "vector": "pgvector", "postgis": "postgis-3", "pg_cron": "cron", "pg_repack": "repack", "hypopg": "hypopg",
        "pg_partman": "partman", "pgaudit": "pgaudit", "pg_hint_plan": "pg-hint-plan", "hll": "hll", "rum": "rum",
    ]

    /// nil for what the server's own package brings (pgcrypto, citext, pg_trgm, …).
    static func package(_ name: String, version: Int, release: DebianRelease, place: Place) throws -> String? {
        guard let suffix = suffixes[name] else { return nil }
        guard name != "vector" || release.hasPgVector else {
            throw BasculeError(
                .catalogueVersion, "Debian \(release.rawValue) has no package for the extension vector", at: place,
                hint: "use a Debian trixie node, or declare PostgreSQL's own apt repository under resources")
        }
        return "postgresql-\(version)-\(suffix)"
    }
}
