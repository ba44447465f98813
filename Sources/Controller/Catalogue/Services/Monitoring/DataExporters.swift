import BasculeFleet
import BasculeModel

/// PostgreSQL, PgBouncer and Redis.
extension Compilation {
    /// Reads PostgreSQL's statistics as the system's user `prometheus`, who is the role `prometheus`: no password.
    mutating func placePostgresExporter(_ watch: inout Monitored) throws {
        guard let service = fleet.services.postgresql, let node = single(.database) else { return }
        let server = PostgresServer(port: service.port)
        try add(
            .postgresRole(PostgresRoleSpec("prometheus", memberOf: ["pg_monitor"], connectionLimit: 4, server: server)),
            on: node, origin: Self.monitoringOrigin)
        let source =
            "postgresql:///postgres?host=/var/run/postgresql&port=\(service.port)&user=prometheus&sslmode=disable"
        let address = try placeExporter(
            "prometheus-postgres-exporter", port: 9187, arguments: [], memory: 48 << 20, on: node, watch
        ) {
            $0.defaults = ["DATA_SOURCE_NAME='\(source)'"]
        }
        watch.add(
            Monitored.Target(address: address, labels: ["node": node.rawValue]),
            to: Monitored.Job(name: "postgresql", series: 700))
    }

    /// Reads PgBouncer's console as its own user through its unix socket, where PgBouncer asks for no password.
    mutating func placePgBouncerExporter(_ watch: inout Monitored) throws {
        guard let service = fleet.services.pgbouncer, let node = single(.database) else { return }
        watch.hasPgBouncer = true
        guard release(node).pgbouncerExporterWorks else {
            // The same metrics as text. PgBouncer's own user here is postgres, whom its console knows by the socket.
            return try placeReader(
                "pgbouncer", user: "postgres", variables: ["port": .integer(service.port)],
                every: watch.service.interval, on: node)
        }
        let source =
            "postgres:///pgbouncer?host=/var/run/postgresql&port=\(service.port)&user=pgbouncer&sslmode=disable"
        let address = try placeExporter(
            "prometheus-pgbouncer-exporter", port: 9127, arguments: [], memory: 48 << 20, on: node, watch
        ) {
            $0.defaults = ["PGBOUNCER_EXPORTER_CONNECTION_STRING='\(source)'"]
            // It runs as postgres: with its end the shared memory of PostgreSQL would go.
            $0.unitLines = ["RemoveIPC=false"]
            // Debian's unit starts PgBouncer with it: before its files are there, that fails.
            $0.requires = [ResourceID(node: node, kind: "unit", name: "pgbouncer.service")]
        }
        watch.add(
            Monitored.Target(address: address, labels: ["node": node.rawValue]),
            to: Monitored.Job(name: "pgbouncer", series: 150))
    }

    /// One exporter looks at every instance; passwords stand in a file that only it reads.
    mutating func placeRedisExporter(_ watch: inout Monitored) throws {
        guard let node = output.redis.values.first?.node else { return }
        let passwords = "\(Self.prometheusFolder)/redis-passwords.json"
        var parts: [Content.Part] = [.text("{")]
        let instances = output.redis.sorted { $0.key.rawValue < $1.key.rawValue }
        // Debian 12's release looks a password up by address alone, later ones by the login's name, too.
        let keys = instances.flatMap { _, endpoint in
            ["127.0.0.1:\(endpoint.port)", "\(RedisInstance.monitor)@127.0.0.1:\(endpoint.port)"]
        }
        for (index, key) in keys.enumerated() {
            parts += [
                .text("\(index == 0 ? "" : ",")\n  \"redis://\(key)\": \""), .secret(RedisInstance.monitorPassword),
                .text("\""),
            ]
        }
        parts.append(.text("\n}\n"))
        let owned = Permissions(owner: "root", group: "prometheus", mode: 0o640)
        try add(
            .file(FileSpec(passwords, .parts(parts), permissions: owned)), on: node, origin: Self.monitoringOrigin)
        let address = try placeExporter(
            "prometheus-redis-exporter", port: 9121,
            arguments: [
                // Debian 12's release takes the login's name from here alone, not from the target.
                "--redis.addr=", "--redis.user=\(RedisInstance.monitor)", "--redis.password-file=\(passwords)",
                "--set-client-name=false",
            ],
            memory: 48 << 20, on: node, watch
        ) { $0.restartOn = [passwords] }
        for (purpose, endpoint) in instances {
            let target = "redis://127.0.0.1:\(endpoint.port)"
            watch.add(
                Monitored.Target(address: target, labels: ["node": node.rawValue, "instance": purpose.rawValue]),
                to: Monitored.Job(name: "redis", path: "/scrape", series: 350, proxy: (address, nil)))
        }
    }
}
