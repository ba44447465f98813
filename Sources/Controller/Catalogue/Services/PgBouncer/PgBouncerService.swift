import BasculeFleet
import BasculeModel

/// `services.pgbouncer` beside PostgreSQL.
extension Compilation {
    static var pgbouncerOrigin: String { "service pgbouncer" }
    static var pgbouncerFolder: String { "/etc/pgbouncer" }

    mutating func placePgBouncer() throws {
        guard let service = fleet.services.pgbouncer, let node = single(.database) else { return }
        guard fleet.services.postgresql != nil else {
            throw BasculeError(
                .catalogueUnplaced, "pgbouncer is declared, but postgresql is not", at: place("services.pgbouncer"),
                hint: "declare services.postgresql")
        }
        for name in service.settings.keys.sorted() {
            guard let reason = PgBouncerSettings.decided[name] else { continue }
            throw BasculeError(
                .invalidInput, "\(name) is not set among PgBouncer's settings: \(reason)",
                at: place("services.pgbouncer.settings.\(name)"), hint: "take it out")
        }
        if service.poolMode == .session {
            output.warnings.append(
                BasculeError(
                    .cataloguePooling,
                    "in session mode a server connection belongs to its client until the client leaves, so that as many"
                        + " clients as poolSize work at once and the others wait",
                    at: place("services.pgbouncer.poolMode"),
                    hint: "use transaction, and database.NAME.direct for what needs a session"))
        }
        try packages(["pgbouncer"], on: node, origin: Self.pgbouncerOrigin)
        try keepFromUnattendedUpgrades("pgbouncer", "pgbouncer", on: node, origin: Self.pgbouncerOrigin)
    }

    mutating func finishPgBouncer() throws {
        guard let service = fleet.services.pgbouncer, let node = single(.database), let unit = postgresUnit(on: node)
        else { return }
        let origin = Self.pgbouncerOrigin
        let peers = try peers(.pgbouncer)
        let sizes = pgbouncerSizes(service, on: node)
        let logins = try placePoolLogins(on: node)
        // Debian's unit runs it as postgres.
        let owned = Permissions(owner: "postgres", group: "postgres", mode: 0o640)
        let program = Permissions(mode: 0o755)
        let files: [(path: String, content: Content, permissions: Permissions)] = [
            ("\(Self.pgbouncerFolder)/pgbouncer.ini", try mainFile(service, peers, sizes, on: node), owned),
            ("\(Self.pgbouncerFolder)/bascule-pools.ini", try poolsFile(service, peers, sizes, on: node), owned),
            ("\(Self.pgbouncerFolder)/userlist.txt", try userlist(), owned),
            (
                "/usr/local/lib/bascule/pgbouncer",
                try render("pgbouncer-service.sh", ["drains": .flag(sizes.drains)]), program
            ),
        ]
        for file in files {
            try add(
                .file(FileSpec(file.path, file.content, permissions: file.permissions)), on: node, origin: origin)
        }
        if sizes.drains {
            // Whoever is in the queue of a listener that closes goes to another one of the port (Linux 5.14).
            try add(.sysctl(SysctlSpec("net.ipv4.tcp_migrate_req", "1")), on: node, origin: origin)
        }
        let limits = try render("pgbouncer-unit.conf", ["descriptors": .integer(sizes.descriptors)])
        try add(
            .unit(UnitSpec("pgbouncer.service", dropIns: ["10-bascule.conf": limits], reloadOn: files.map(\.path))),
            on: node, requires: [ResourceID(node: node, kind: "unit", name: unit)] + logins, origin: origin)
        open(service.port, to: peers, on: node, purpose: "pgbouncer")
        reserve(sizes.reservedBytes, for: "pgbouncer", on: node, why: sizes.reservedWhy)
        try probePgBouncer(service, on: node)
    }

    /// A query that goes all the way through: as an app would, with its role and password, into its database.
    private mutating func probePgBouncer(_ service: PgBouncer, on node: NodeName) throws {
        let known = output.databases.sorted { $0.key < $1.key }.first { $0.value.password != nil }
        var check = ProbeSpec.Check.dialogue(host: "127.0.0.1", port: service.port, exchanges: [])
        var after: [ResourceID] = []
        if let (name, endpoint) = known {
            check = .postgres(
                PostgresServer(port: service.port), database: name.rawValue, user: endpoint.owner,
                password: endpoint.password)
            after = [
                ResourceID(node: node, kind: "postgresDatabase", name: name.rawValue),
                ResourceID(node: node, kind: "postgresRole", name: endpoint.owner),
            ]
        }
        try probe("pgbouncer", on: node, check, unit: "pgbouncer.service", after: after, origin: Self.pgbouncerOrigin)
    }

    private func mainFile(
        _ service: PgBouncer, _ peers: [Peer], _ sizes: PgBouncerSizes, on node: NodeName
    ) throws -> Content {
        let listen = ["127.0.0.1"] + (try listenAddresses(on: node, peers: peers))
        return try render(
            "pgbouncer.ini",
            [
                "listen": .text(listen.joined(separator: ",")), "port": .integer(service.port),
                "drains": .flag(sizes.drains),
                "settings": PgBouncerSettings.lines(service.settings, restart: true),
            ])
    }

    private func poolsFile(
        _ service: PgBouncer, _ peers: [Peer], _ sizes: PgBouncerSizes, on node: NodeName
    ) throws -> Content {
        let certificate = postgresCertificate(on: node)
        let databases = output.databases.sorted { $0.key < $1.key }
        return try render(
            "pgbouncer-pools.ini",
            [
                "authUser": .text(Self.poolUser), "poolMode": .text(service.poolMode.rawValue),
                "poolSize": .integer(sizes.poolSize), "poolWhy": .text(sizes.poolWhy),
                "maxClients": .integer(sizes.maxClients),
                "preparedStatements": .flag(release(node).pgbouncerHasPreparedStatements),
                "tls": .flag(!peers.isEmpty), "certificate": .text(certificate.certificatePath),
                "key": .text(certificate.keyPath),
                "settings": PgBouncerSettings.lines(service.settings, restart: false),
                "databases": .list(
                    databases.map { .map(["name": .text($0.key.rawValue), "port": .integer($0.value.port)]) }),
            ])
    }

    private func userlist() throws -> Content {
        try render(
            "pgbouncer-userlist.txt",
            ["user": .text(Self.poolUser), "password": .content(.parts([.secret(Self.poolSecret)]))])
    }
}
