import BasculeCatalogue
import BasculeFleet
import BasculeModel

/// How the fleet file's sources, edge and names become specs of the agents' tasks.
extension MigrationPlanner {
    /// A name of the fleet's nodes as its address; anything else as it is.
    func resolve(_ host: String) throws -> String {
        guard context.fleet.nodes[NodeName(host)] != nil else { return host }
        guard let address = context.addresses[NodeName(host)] else { return "address-of.\(host)" }
        return address
    }

    func postgresMoves() throws -> [(String, PostgresMove)] {
        try migration.sources.sorted { $0.key < $1.key }.compactMap { name, source in
            switch source {
            case .postgres(let source):
                guard let target = context.compiled.databases[source.into] else {
                    throw BasculeError(
                        .migrationRefused,
                        "the source \(name) goes into the database \(source.into), which no node has",
                        hint: "declare it under services.postgresql.databases")
                }
                var move = PostgresMove(
                    source: source.fence ?? source.url, targetDatabase: source.into.rawValue,
                    targetPort: target.port, owner: target.owner,
                    parallelism: source.jobs, schemas: source.schemas)
                move.exclude = source.exclude.isEmpty ? nil : source.exclude
                move.acceptedFindings = source.accept
                move.follow = PostgresFollow(
                    mode: PostgresFollow.Mode(rawValue: source.follow.rawValue) ?? .auto,
                    walCap: source.walCap.bytes, back: back)
                return (name.rawValue, move)
            case .mysql, .redis, .files: return nil
            }
        }
    }

    /// What becomes of what the new database is given after T0, if it goes back then.
    private var back: PostgresFollow.Back? {
        switch migration.rollback.newWrites {
        case .reverse?: .replicate
        case .journal?: .journal
        case .loss?, nil: nil
        }
    }

    func redisMoves() throws -> [(String, RedisMove)] {
        try migration.sources.sorted { $0.key < $1.key }.compactMap { name, source in
            guard case .redis(let source) = source else { return nil }
            guard let target = context.compiled.redis[source.into] else {
                throw BasculeError(
                    .migrationRefused,
                    "the source \(name) goes into redis.\(source.into.rawValue), which is not declared",
                    hint: "declare it under services.redis")
            }
            var move = RedisMove(
                source: source.url,
                target: RedisTarget(
                    .host("127.0.0.1", port: UInt16(target.port)), user: target.admin, password: target.adminPassword))
            move.purpose = source.into == .cache ? .cache : .durable
            move.keys = source.keys == "*" ? nil : source.keys
            move.maxCommandsPerSecond = source.rate
            move.accept = Set(source.accept)
            return (name.rawValue, move)
        }
    }

    /// Stands for a host key in plans of a node that is not up.
    static let unknownHostKey = "not-known-yet"

    func filesMoves() throws -> [(name: String, move: FilesMove, key: SecretName?)] {
        try migration.sources.sorted { $0.key < $1.key }.compactMap { name, source in
            guard case .files(let source) = source else { return nil }
            // A node of the fleet that is not there yet has no key yet: it is planned again once it is up.
            let later = context.fleet.nodes[NodeName(source.host)] == nil ? nil : Self.unknownHostKey
            guard let hostKey = source.hostKey?.text ?? context.hostKeys[NodeName(source.host)] ?? later else {
                throw BasculeError(
                    .migrationRefused, "the host key of \(source.host), the source of \(name), is not known",
                    hint: "write it as hostKey: in the fleet file")
            }
            let host = try resolve(source.host)
            var move = FilesMove(
                from: "\(source.user)@\(host.contains(":") ? "[\(host)]" : host):\(source.path)", hostKey: hostKey,
                identity: source.key == nil ? "/root/.ssh/id_ed25519" : "/run/bascule/sources/\(name)", to: source.to)
            move.owner = source.owner
            move.exclude = source.exclude.isEmpty ? nil : source.exclude
            move.maxKiBPerSecond = source.rate
            let references = source.references.map { item in
                FilesReference(
                    database: item.database.rawValue, port: context.compiled.databases[item.database]?.port ?? 5432,
                    column: item.column, prefix: item.prefix)
            }
            move.references = references.isEmpty ? nil : references
            return (name.rawValue, move, source.key)
        }
    }

    func edgeLink() throws -> EdgeLink? {
        guard case .node(let edge)? = migration.edge else {
            if migration.edge != nil {
                throw BasculeError(
                    .migrationRefused, "an edge with hooks comes with a later version",
                    hint: "declare edge: {node: NAME}")
            }
            return nil
        }
        return EdgeLink(
            host: try resolve(edge.node.rawValue), port: context.ports[edge.node] ?? 22, user: "bascule",
            hostKey: context.hostKeys[edge.node] ?? "", lease: 60)
    }

    func edgeSpec(_ domains: [String]) throws -> EdgeSpec {
        let site = context.compiled.sites.first
        var (certificate, upstream): ((String?, String?), String?) = ((nil, nil), nil)
        if case .node(let edge)? = migration.edge {
            (certificate, upstream) = ((edge.certificate, edge.certificateKey), edge.upstream)
        }
        return EdgeSpec(
            domains: domains, newAddress: try resolve(site?.node.rawValue ?? conductor.rawValue),
            certificate: certificate.0, key: certificate.1,
            challenges: context.compiled.challengesComeByTheOldEdge ? true : nil, upstream: upstream)
    }

    func dnsChanges() throws -> [DNSChange] {
        guard let dns = migration.dns else { return [] }
        var changes: [DNSChange] = []
        for (name, targets) in dns.records.sorted(by: { $0.key < $1.key }) {
            for (type, target) in [("A", targets.a), ("AAAA", targets.aaaa)] {
                guard let target else { continue }
                let address: String =
                    switch target {
                    case .address(let text): text
                    case .node(let node): try resolve(node.rawValue)
                    }
                changes.append(
                    DNSChange(
                        zone: dns.zone, server: try resolve(dns.server.host), port: dns.server.port,
                        tsig: dns.server.tsig, name: name, type: type,
                        from: context.records["\(name)/\(type)"] ?? [], to: [address], ttl: Int(dns.ttl.seconds)))
            }
        }
        return changes
    }

    func journeyGates() throws -> [(String, JourneyGate)] {
        // Two apps may share a journey, and two nodes an app: each walk is a step with an id of its own.
        var known: [String: Int] = [:]
        return context.compiled.sites.compactMap { site in
            guard let journey = context.journeys[site.app], let domain = site.domains.first else { return nil }
            known[journey.name, default: 0] += 1
            let number = known[journey.name] ?? 1
            return (
                number == 1 ? journey.name : "\(journey.name)-\(number)",
                JourneyGate(journey: journey, baseURL: site.innerURL, host: domain, timeout: 60)
            )
        }
    }
}
