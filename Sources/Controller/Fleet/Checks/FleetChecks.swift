import BasculeModel
import Foundation

/// What no single key can tell: whether everything that is named exists, and whether two things collide.
struct FleetChecks {
    let reader: Reader

    func run(_ fleet: inout Fleet) {
        topologies(&fleet)
        services(fleet)
        apps(fleet)
        resources(fleet)
        if !(.seconds(1) ... .seconds(3600)).contains(fleet.caps.unconfirmed) {
            reader.error(
                .fleetBadValue, "a change may stand unconfirmed for 1s to 1h", at: value("caps.unconfirmed"),
                hint: "60s is enough for most")
        }
        if let migration = fleet.migration { self.migration(migration, fleet) }
        secrets(fleet)
    }

    /// Whether a key stands in the file, even where its value did not parse: one mistake gives one message.
    func declared(_ path: String) -> Bool { reader.keys[path] != nil }

    func value(_ path: String) -> Span { reader.values[path] ?? reader.keys[path] ?? Span.start }
    func key(_ path: String) -> Span { reader.keys[path] ?? Span.start }

    /// Reports a name that nothing declares.
    func dangling(_ what: String, _ name: String, at span: Span, among names: [String]) {
        let meant = NearMiss.suggestion(for: name, among: names)
        let list = names.isEmpty ? "none is declared" : "declared: \(names.sorted().prefix(12).joined(separator: ", "))"
        reader.error(
            .fleetDangling, "there is no \(what) \(quoted(name))", at: span,
            hint: meant.map { "did you mean '\($0)'?" } ?? list)
    }

    func node(_ name: NodeName, at span: Span, _ fleet: Fleet) {
        guard !name.rawValue.isEmpty, !declared("nodes.\(name)") else { return }
        dangling("node", name.rawValue, at: span, among: fleet.nodes.keys.map(\.rawValue))
    }

    func database(_ name: DatabaseName, at span: Span, _ fleet: Fleet) {
        guard !name.rawValue.isEmpty, !declared("services.postgresql.databases.\(name)") else { return }
        let names = fleet.services.postgresql?.databases.keys.map(\.rawValue) ?? []
        dangling("database", name.rawValue, at: span, among: names)
    }

    func redis(_ purpose: RedisPurpose, at span: Span) {
        guard !declared("services.redis.\(purpose.rawValue)") else { return }
        dangling("Redis instance", purpose.rawValue, at: span, among: [])
    }

    /// A file of the fleet's folder that must be there, and nothing else: no folder, no device, no link that leads out.
    @discardableResult
    func file(_ path: String, what: String, at span: Span, _ fleet: Fleet) -> Bool {
        let folder = Document.resolved(fleet.folder)
        let whole = Document.resolved(fleet.folder + "/" + path)
        guard let isFile = Document.isRegularFile(whole) else {
            reader.error(
                .fleetMissingFile, "\(what) \(quoted(path)) is not there", at: span,
                hint: "paths are relative to the fleet file's folder")
            return false
        }
        guard isFile else {
            reader.error(.fleetMissingFile, "\(what) \(quoted(path)) is not a file", at: span)
            return false
        }
        guard whole.hasPrefix(folder == "/" ? "/" : folder + "/") else {
            reader.error(
                .fleetBadPath, "\(what) \(quoted(path)) is a link that leads out of the fleet's folder", at: span,
                hint: "copy the file into the folder")
            return false
        }
        return true
    }

    private func topologies(_ fleet: inout Fleet) {
        for name in fleet.nodes.keys where name == "all" || Role(rawValue: name.rawValue) != nil {
            reader.error(
                .fleetBadName, "a node must not be called \(quoted(name.rawValue)): 'on' could mean both",
                at: key("nodes.\(name)"),
                hint: "the words all, \(Role.allCases.map(\.rawValue).joined(separator: ", ")) are taken")
        }
        for (name, topology) in fleet.topologies {
            for (node, roles) in topology.placements {
                self.node(node, at: key("topologies.\(name).\(node)"), fleet)
                var seen: Set<Role> = []
                for (index, role) in roles.enumerated() where !seen.insert(role).inserted {
                    reader.error(
                        .fleetDuplicateClaim, "the role '\(role.rawValue)' stands twice for one node",
                        at: value("topologies.\(name).\(node).\(index)"))
                }
            }
        }
        if !declared("topologies"), fleet.topologies.isEmpty {
            // Nothing to place: a fleet of resources alone needs no topology.
            fleet.topologies["all"] = Topology(fleet.nodes.mapValues { _ in [] })
        }
        if declared("topology") {
            let active = fleet.activeTopology
            if !active.rawValue.isEmpty, !declared("topologies.\(active)") {
                dangling(
                    "topology", active.rawValue, at: value("topology"), among: fleet.topologies.keys.map(\.rawValue))
            }
        } else if let only = fleet.topologies.keys.first, fleet.topologies.count == 1 {
            fleet.activeTopology = only
        } else if fleet.topologies.count > 1 {
            reader.error(
                .fleetMissingKey, "there are several topologies and no 'topology' that tells which is in force",
                at: key("topologies"), hint: "add for example topology: \(fleet.topologies.keys.min() ?? "")")
        }
    }

    private func services(_ fleet: Fleet) {
        let services = fleet.services
        if services.pgbouncer != nil, !declared("services.postgresql") {
            reader.error(
                .fleetDangling, "pgbouncer needs postgresql, which is not declared", at: key("services.pgbouncer"),
                hint: "add services.postgresql")
        }
        if declared("services.nginx"), declared("services.caddy") {
            reader.error(
                .fleetDuplicateClaim, "nginx and caddy would both listen on ports 80 and 443",
                at: key("services.caddy"),
                hint: "declare one of them")
        }
        if services.certificates != nil, !declared("services.nginx"), !declared("services.caddy") {
            reader.error(
                .fleetDangling, "certificates need a web server, and none is declared",
                at: key("services.certificates"), hint: "add services.nginx")
        }
        let needs: [(String, Role)] = [
            ("postgresql", .database), ("pgbouncer", .database), ("redis", .cache), ("nginx", .web), ("caddy", .web),
            ("certificates", .web),
            ("mail", .mail),
            ("monitoring", .monitoring), ("backup", .backup),
        ]
        for (service, role) in needs where declared("services.\(service)") {
            placed("the service '\(service)'", role, at: key("services.\(service)"), fleet)
        }
        if let redis = services.redis, redis.cache == nil, redis.durable == nil, !declared("services.redis.cache"),
            !declared("services.redis.durable"), !reader.doubted.contains("services.redis")
        {
            reader.error(
                .fleetMissingKey, "redis has neither 'cache' nor 'durable'", at: key("services.redis"),
                hint: "a cache may evict keys; durable is for queues and sessions")
        }
        if let mail = services.mail { self.mail(mail, fleet) }
        if let backup = services.backup { self.backup(backup, fleet) }
        ports(fleet)
    }

    /// Whether some node of the active topology carries a role.
    func placed(_ what: String, _ role: Role, at span: Span, _ fleet: Fleet) {
        guard fleet.topologies[fleet.activeTopology] != nil, fleet.active.nodes(with: role).isEmpty else { return }
        reader.error(
            .fleetDangling, "\(what) has no node: nobody has the role '\(role.rawValue)' in the topology in force",
            at: span, hint: "add \(role.rawValue) to a node under topologies.\(fleet.activeTopology)")
    }

    /// Two listeners on one port would fight wherever both land on one node.
    private func ports(_ fleet: Fleet) {
        var claims: [(range: ClosedRange<Int>, owner: String, path: String)] = []
        let services = fleet.services
        if let port = services.postgresql?.port { claims.append((port...port, "postgresql", "services.postgresql")) }
        if let port = services.pgbouncer?.port { claims.append((port...port, "pgbouncer", "services.pgbouncer")) }
        if let port = services.redis?.cache?.port {
            claims.append((port...port, "redis.cache", "services.redis.cache"))
        }
        if let port = services.redis?.durable?.port {
            claims.append((port...port, "redis.durable", "services.redis.durable"))
        }
        if services.mail != nil { claims.append((587...587, "mail", "services.mail")) }
        if services.mail?.receive != nil { claims.append((25...25, "mail", "services.mail.receive")) }
        if let port = services.monitoring?.grafana?.port {
            claims.append((port...port, "grafana", "services.monitoring.grafana"))
        }
        if services.monitoring != nil {
            claims += Monitoring.ports.map { ($0...$0, "monitoring", "services.monitoring") }
        }
        for (name, app) in fleet.apps.sorted(by: { $0.key < $1.key }) where app.port > 0 {
            let last = app.port + max(1, app.instances) - 1
            if last > 65535 {
                reader.error(
                    .fleetBadValue, "the ports of app '\(name)' go beyond 65535", at: value("apps.\(name).port"),
                    hint: "instances listen on port, port + 1, …")
            }
            claims.append((app.port...last, "app '\(name)'", "apps.\(name)"))
        }
        for (index, claim) in claims.enumerated() {
            guard let other = claims[..<index].first(where: { $0.range.overlaps(claim.range) }) else { continue }
            let path = declared("\(claim.path).port") ? "\(claim.path).port" : claim.path
            let port = max(other.range.lowerBound, claim.range.lowerBound)
            reader.error(
                .fleetDuplicateClaim, "\(claim.owner) and \(other.owner) both listen on port \(port)",
                at: declared("\(claim.path).port") ? value(path) : key(path),
                hint: "instances of an app listen on port, port + 1, …")
        }
    }
}
