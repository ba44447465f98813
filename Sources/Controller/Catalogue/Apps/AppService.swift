import BasculeFleet
import BasculeModel

/// `apps` on every node with the role `app`.
extension Compilation {
    mutating func placeApps() throws {
        for (name, app) in fleet.apps.sorted(by: { $0.key < $1.key }) {
            try check(name, app)
            let placed = topology.nodes(with: .app)
            for node in placed { try place(name, app, on: node) }
            if !placed.isEmpty, !app.domains.isEmpty, hasFront,
                let alone = placed.first(where: { !topology.roles(of: $0).contains(.web) })
            {
                throw BasculeError(
                    .catalogueLater,
                    "app \(name) runs on \(alone), which serves no web: traffic between nodes comes with a later version",
                    at: place("topologies.\(fleet.activeTopology).\(alone)"), hint: "give \(alone) the role web too")
            }
        }
    }

    private func check(_ name: AppName, _ app: App) throws {
        if app.env["PORT"] != nil {
            throw BasculeError(
                .invalidInput, "PORT is given to each instance by Bascule", at: place("apps.\(name).env.PORT"),
                hint: "remove it; the first instance gets \(app.port)")
        }
        guard let program = app.start.words.first, !"@-:+!".contains(program.prefix(1)) else {
            throw BasculeError(.invalidInput, "the start command names no program", at: place("apps.\(name).start"))
        }
    }

    private mutating func place(_ name: AppName, _ app: App, on node: NodeName) throws {
        let origin = "app \(name)"
        let user = app.user ?? name.rawValue
        let root = "/srv/apps/\(name)"
        try packages(app.packages + (try interpreters(name, app, on: node)), on: node, origin: origin)
        // Another app may run as the same user: its home is then the folder of both.
        let isShared = fleet.apps.values.count { $0.user == user } > 1
        let account = UserSpec(user, home: isShared ? "/srv/apps" : root, shell: "/usr/sbin/nologin", system: true)
        try add(.user(account), on: node, origin: origin)
        try add(.directory(DirectorySpec(root)), on: node, origin: origin)
        let unit = "bascule-\(name)"
        let runtime = try runtime(name, app, user: user, root: root, on: node)
        try add(
            .unit(UnitSpec("\(unit)@.service", content: runtime.unit, state: nil, enabled: nil)), on: node,
            origin: origin)
        reserve(runtime.memory, for: "app \(name)", on: node, why: runtime.why)
        let release = try release(of: name, app, user: user, root: root, on: node)
        try add(.release(release), on: node, origin: origin)
        let ports = AppRuntime.ports(app)
        try add(
            .app(
                AppSpec(
                    app: name.rawValue, release: release.release, root: root, ports: ports, unit: unit,
                    healthPath: app.health?.path ?? "/",
                    healthTimeout: Self.wholeSeconds(app.health?.timeout ?? .seconds(30)),
                    drain: Self.wholeSeconds(app.drain),
                    upstreamFile: isServed(app, on: node) ? upstreamFile(name) : nil, upstream: Self.upstream(name)
                )),
            on: node, requires: needs(app, on: node) + runtime.needs, origin: origin)
        try probe(
            "app.\(name)", on: node, check(app, on: node), unit: nil,
            after: [ResourceID(node: node, kind: "app", name: name.rawValue)], origin: origin)
    }

    /// The way that customers take, past TLS and the maintenance page; the first instance where no web server stands before it.
    private func check(_ app: App, on node: NodeName) -> ProbeSpec.Check {
        guard let health = app.health else {
            return .dialogue(host: "127.0.0.1", port: app.port, exchanges: [])
        }
        guard isServed(app, on: node) else {
            return .http(url: "http://127.0.0.1:\(app.port)\(health.path)", host: nil, status: nil)
        }
        let host = app.domains.first.map { $0.hasPrefix("*.") ? "www.\($0.dropFirst(2))" : $0 }
        return .http(url: "http://127.0.0.1:\(Self.innerPort)\(health.path)", host: host, status: nil)
    }

    /// The services of this node that the app binds, as its environment says.
    func boundUnits(_ app: App, on node: NodeName) -> [String] {
        let values = Array(app.env.values) + Array(app.buildEnv.values)
        let units = values.flatMap { value -> [String?] in
            guard case .reference(.binding(let binding)) = value else { return [] }
            switch binding.target {
            case .database(let name):
                guard output.databases[name]?.node == node else { return [] }
                let hasPool = fleet.services.pgbouncer != nil && binding.aspect != .direct
                return [postgresUnit(on: node), hasPool ? "pgbouncer.service" : nil]
            case .redis(let purpose): return [redisUnit(purpose, on: node)]
            case .mail: return [mailUnit(on: node)]
            // Apps of one node start together; each must bear the other's absence anyway.
            case .app: return []
            }
        }
        return Set(units.compactMap { $0 }).sorted()
    }

    /// What must be there before instances start: the services, the databases, their extensions, the folder of uploads.
    private func needs(_ app: App, on node: NodeName) -> [ResourceID] {
        var list = boundUnits(app, on: node).map { ResourceID(node: node, kind: "unit", name: $0) }
        for value in app.env.values {
            guard case .reference(.binding(let binding)) = value, case .database(let name) = binding.target,
                output.databases[name]?.node == node
            else { continue }
            list.append(ResourceID(node: node, kind: "postgresDatabase", name: name.rawValue))
            list += (fleet.services.postgresql?.databases[name]?.extensions ?? []).map {
                ResourceID(node: node, kind: "postgresExtension", name: "\(name).\($0)")
            }
        }
        list += uploads.map { ResourceID(node: node, kind: "directory", name: $0) }
        return Set(list).sorted()
    }

    /// The folders that the migration's file sources fill.
    var uploads: [String] {
        (fleet.migration?.sources.values.compactMap { if case .files(let source) = $0 { source.to } else { nil } } ?? [])
            .sorted()
    }
}
