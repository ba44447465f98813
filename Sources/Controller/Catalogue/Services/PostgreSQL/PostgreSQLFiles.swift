import BasculeFleet
import BasculeModel

/// The server's files and its unit, once it is known who comes from elsewhere.
extension Compilation {
    mutating func finishPostgreSQL() throws {
        guard let service = fleet.services.postgresql, let node = single(.database) else { return }
        let origin = Self.postgresOrigin
        let version = postgresVersion(service, on: node)
        let remotes = try peers(.postgresql)
        let tuning = postgresTuning(service, on: node)
        let folder = "/etc/postgresql/\(version)/main"
        let owned = Permissions(owner: "postgres", group: "postgres", mode: 0o640)
        let restart = "\(folder)/conf.d/50-bascule-restart.conf"
        let reload = "\(folder)/conf.d/60-bascule.conf"
        let hba = "\(folder)/pg_hba.conf"
        let certificate = postgresCertificate(on: node)
        try add(.certificate(certificate), on: node, origin: origin)
        let listen = try listenAddresses(on: node, peers: remotes)
        var variables = tuning.variables
        variables["port"] = .integer(service.port)
        variables["listen"] = .text((["localhost"] + listen).joined(separator: ", "))
        variables["walCompression"] = version >= 15 ? "lz4" : "on"
        variables["libraries"] = .text(PostgreSQLExtensions.libraries(service).joined(separator: ","))
        variables["statements"] = .flag(service.statements)
        variables["certificate"] = .text(certificate.certificatePath)
        variables["key"] = .text(certificate.keyPath)
        // What the libraries become stands above already, with the fleet file's own among them.
        let settings = service.settings.filter { $0.key != "shared_preload_libraries" }
        variables["settings"] = PostgreSQLSettings.lines(settings, restart: true)
        try add(
            .file(FileSpec(restart, try render("postgresql-restart.conf", variables), permissions: owned)), on: node,
            origin: origin)
        variables["settings"] = PostgreSQLSettings.lines(settings, restart: false)
        try add(
            .file(FileSpec(reload, try render("postgresql-reload.conf", variables), permissions: owned)), on: node,
            origin: origin)
        try add(
            .file(FileSpec(hba, try render("pg_hba.conf", hbaVariables(remotes)), permissions: owned)), on: node,
            origin: origin)
        // Whether it starts at boot is start.conf's word (Debian's generator), which says auto.
        let unit = UnitSpec(
            "postgresql@\(version)-main.service",
            dropIns: ["10-bascule.conf": try render("postgresql-unit.conf", [:])], enabled: nil,
            reloadOn: [reload, hba, certificate.certificatePath], restartOn: [restart],
            // Reads every file as a start would, and fails on the first setting that the server would refuse.
            check: ["/usr/lib/postgresql/\(version)/bin/postgres", "-C", "config_file", "-D", folder])
        try add(.unit(unit), on: node, requires: postgresNeeds.sorted(), origin: origin)
        open(service.port, to: remotes, on: node, purpose: "postgresql")
        reserve(tuning.reservedMiB << 20, for: "postgresql", on: node, why: tuning.reservedWhy)
        try probe(
            "postgresql", on: node,
            .postgres(PostgresServer(port: service.port), database: "postgres", user: "postgres", password: nil),
            unit: unit.name, origin: origin)
    }

    /// The server's settings that follow from the node.
    func postgresTuning(_ service: PostgreSQL, on node: NodeName) -> PostgreSQLTuning {
        let sizes = fleet.services.pgbouncer.map { pgbouncerSizes($0, on: node) }
        return PostgreSQLTuning(
            memory: memory(node), cpus: cpus(node), pools: sizes?.serverConnections, disk: service.disk,
            settings: service.settings)
    }

    /// The node's own certificate: clients encrypt with it; it proves no name to anybody.
    func postgresCertificate(on node: NodeName) -> CertificateSpec {
        CertificateSpec(
            "postgresql", domains: [node.rawValue], certificatePath: "/etc/postgresql/node.crt",
            keyPath: "/etc/postgresql/node.key", days: 3650, owner: "postgres")
    }

    private func hbaVariables(_ remotes: [Peer]) -> [String: Variable] {
        ["remotes": hbaLines(remotes), "monitored": .flag(fleet.services.monitoring != nil)]
    }

    private func hbaLines(_ remotes: [Peer]) -> Variable {
        .list(
            output.databases.sorted { $0.key < $1.key }.flatMap { name, endpoint in
                remotes.map { peer -> Variable in
                    .map([
                        "node": .text(peer.node.rawValue), "database": .text("\"\(name)\""),
                        "role": .text("\"\(endpoint.owner)\""), "address": .text(peer.network),
                    ])
                }
            })
    }
}
