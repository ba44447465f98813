import BasculeFleet
import BasculeModel

/// `services.pgbouncer` beside PostgreSQL.
extension Compilation {
    static var pgbouncerOrigin: String { "service pgbouncer" }

    mutating func placePgBouncer() throws {
        guard fleet.services.pgbouncer != nil, let node = single(.database) else { return }
        guard fleet.services.postgresql != nil else {
            throw BasculeError(
                .catalogueUnplaced, "pgbouncer is declared, but postgresql is not", at: place("services.pgbouncer"),
                hint: "declare services.postgresql")
        }
        try packages(["pgbouncer"], on: node, origin: Self.pgbouncerOrigin)
        try keepFromUnattendedUpgrades("pgbouncer", "pgbouncer", on: node, origin: Self.pgbouncerOrigin)
    }

    mutating func finishPgBouncer() throws {
        guard let service = fleet.services.pgbouncer, let node = single(.database), let unit = postgresUnit(on: node)
        else { return }
        let origin = Self.pgbouncerOrigin
        let peers = try peers(.pgbouncer)
        // Debian's unit runs it as postgres.
        let owned = Permissions(owner: "postgres", group: "postgres", mode: 0o640)
        let folder = "/etc/pgbouncer"
        let files = ["pgbouncer.ini", "bascule-pools.ini", "userlist.txt"].map { "\(folder)/\($0)" }
        let listen = ["127.0.0.1"] + (try listenAddresses(on: node, peers: peers))
        let main: [String: Variable] = [
            "listen": .text(listen.joined(separator: ",")), "port": .integer(service.port),
        ]
        let databases = output.databases.sorted { $0.key < $1.key }
        let pools: [String: Variable] = [
            "poolMode": .text(service.poolMode.rawValue), "poolSize": .integer(service.poolSize),
            "maxClients": .integer(service.maxClients),
            "preparedStatements": .flag(release(node).pgbouncerHasPreparedStatements),
            "databases": .list(
                databases.map { .map(["name": .text($0.key.rawValue), "port": .integer($0.value.port)]) }),
        ]
        var passwords: [String: SecretName] = [:]
        for endpoint in output.databases.values { passwords[endpoint.owner] = endpoint.password }
        let users = passwords.sorted { $0.key < $1.key }.map { name, password in
            Variable.map(["name": .text(name), "password": .content(.parts([.secret(password)]))])
        }
        let contents = [
            try render("pgbouncer.ini", main), try render("pgbouncer-pools.ini", pools),
            try render("pgbouncer-userlist.txt", ["users": .list(users)]),
        ]
        for (path, content) in zip(files, contents) {
            try add(.file(FileSpec(path, content, permissions: owned)), on: node, origin: origin)
        }
        // systemd gives 1024 descriptors unless told otherwise, and every connection is one.
        let connections = service.maxClients + service.poolSize * max(1, databases.count)
        let limits: Content = "# Managed by Bascule: one descriptor a connection.\n[Service]\nLimitNOFILE=65536\n"
        try add(
            .unit(
                UnitSpec(
                    "pgbouncer.service", dropIns: connections > 900 ? ["10-bascule.conf": limits] : [:],
                    reloadOn: [files[1], files[2]], restartOn: [files[0]])),
            on: node, requires: [ResourceID(node: node, kind: "unit", name: unit)], origin: origin)
        open(service.port, to: peers, on: node, purpose: "pgbouncer")
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
}
