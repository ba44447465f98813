import BasculeFleet
import BasculeModel

/// What starts an app's instances, by its runtime. The agent rolls them all alike: one unit after the other, out of the
/// proxy, drained, started anew, healthy, back in.
struct AppRuntime {
    /// The unit template, one unit a port.
    var unit: Content
    /// Bytes that all units together may use, and the sum in words.
    var memory: Int
    var why: String
    /// What must be there before the first start.
    var needs: [ResourceID] = []

    /// The ports of an app, one unit each. With PM2 a unit is a set of workers that share its port: two sets, so that
    /// one serves while the other is replaced.
    static func ports(_ app: App) -> [Int] {
        let units = app.runtime == .pm2 ? min(2, app.instances) : app.instances
        return (0..<units).map { app.port + $0 }
    }

    /// Workers of each set, the larger ones first: 5 instances are 3 and 2.
    static func workers(_ app: App) -> [(port: Int, count: Int)] {
        let ports = ports(app)
        return ports.enumerated().map { index, port in
            (port, app.instances / ports.count + (index < app.instances % ports.count ? 1 : 0))
        }
    }
}

extension Compilation {
    mutating func runtime(_ name: AppName, _ app: App, user: String, root: String, on node: NodeName) throws
        -> AppRuntime
    {
        switch app.runtime {
        case .systemd:
            let memory = Int(app.memory.bytes)
            return AppRuntime(
                unit: try appUnit(
                    name, app, user: user, root: root, on: node,
                    start: SystemdCommand.line(app.start.words, directory: "\(root)/current/app"), memory: memory),
                memory: memory * app.instances,
                why: "\(app.instances) instances of \(memory >> 20) MiB, their units' MemoryMax")
        case .pm2: return try pm2(name, app, user: user, root: root, on: node)
        case .docker: return try docker(name, app, root: root, on: node)
        }
    }

    /// The packages of the programs that the app's commands name, in the version that it asks for.
    func interpreters(_ name: AppName, _ app: App, on node: NodeName) throws -> [String] {
        // In a container they are the image's.
        let commands = app.runtime == .docker ? app.build : [app.start] + app.build
        let programs = Set(commands.compactMap(\.words.first))
        let known = ["node": ["nodejs"], "npm": ["nodejs", "npm"], "npx": ["nodejs", "npm"], "python3": ["python3"]]
        var found = Set(programs.flatMap { known[$0] ?? [] })
        if app.runtime == .pm2 { found.insert("nodejs") }
        guard let wanted = app.node, app.runtime != .docker else { return found.sorted() }
        found.insert("nodejs")
        let ownVersion = release(node).nodejs
        guard wanted != ownVersion else { return found.sorted() }
        guard hasNodeSource(wanted, on: node) else {
            throw BasculeError(
                .invalidInput,
                "app \(name) needs Node.js \(wanted), and the Debian of node \(node) has \(ownVersion)",
                at: place("apps.\(name).node"),
                hint:
                    "write node: \(ownVersion), or declare NodeSource's repository under resources: {on: app, aptRepository: nodesource, uris: https://deb.nodesource.com/node_\(wanted).x, suites: [nodistro], components: [main], key: keys/nodesource.asc}"
            )
        }
        // NodeSource's package brings npm with it, and conflicts with Debian's.
        found.remove("npm")
        return found.sorted()
    }

    /// Whether a declared repository of the node brings this major version.
    private func hasNodeSource(_ major: Int, on node: NodeName) -> Bool {
        fleet.resources.contains { resource in
            guard case .aptRepository(let spec) = resource.kind, resource.on.nodes(in: topology).contains(node) else {
                return false
            }
            return spec.uris.contains { uri in
                let words = uri.split(separator: "/")
                return words.contains("node_\(major).x")
            }
        }
    }
}
