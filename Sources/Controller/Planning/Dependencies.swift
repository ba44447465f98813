import BasculeModel

/// Which resource of a node needs which, beyond what the catalogue says: what follows from paths, owners and kinds.
struct Dependencies {
    /// For each resource, those that must be as desired first. Only resources of the same node, never itself.
    let edges: [ResourceID: Set<ResourceID>]

    init(_ resources: [DesiredResource]) {
        var index = Index(resources)
        edges = Dictionary(
            resources.map { ($0.id, index.needs(of: $0)) }, uniquingKeysWith: { $0.union($1) })
    }

    /// Throws `invalid-input` naming a circle, where there is one.
    func check() throws {
        var state: [ResourceID: Bool] = [:]  // false: being visited, true: done
        func visit(_ id: ResourceID, _ path: [ResourceID]) throws {
            if state[id] == true { return }
            if state[id] == false {
                let circle = (path.drop { $0 != id } + [id]).map(\.rawValue).joined(separator: " → ")
                throw BasculeError(
                    .invalidInput, "resources need each other in a circle: \(circle)",
                    hint: "take one of the requirements away")
            }
            state[id] = false
            for need in (edges[id] ?? []).sorted() { try visit(need, path + [id]) }
            state[id] = true
        }
        for id in edges.keys.sorted() { try visit(id, []) }
    }
}

/// Look-ups by path, name and kind.
private struct Index {
    private var byPath: [String: ResourceID] = [:]
    private var users: [String: ResourceID] = [:]
    private var groups: [String: ResourceID] = [:]
    private var packages: [ResourceID] = []
    private var repositories: [ResourceID] = []
    private var roles: [String: ResourceID] = [:]
    private var databases: [String: ResourceID] = [:]
    private var postgresUnits: [ResourceID] = []
    private var releases: [String: ResourceID] = [:]
    private var units: [String: ResourceID] = [:]
    private var known: Set<ResourceID> = []

    init(_ resources: [DesiredResource]) {
        for desired in resources {
            known.insert(desired.id)
            switch desired.resource {
            case .file(let spec): byPath[spec.path] = desired.id
            case .directory(let spec): byPath[spec.path] = desired.id
            case .symlink(let spec): byPath[spec.path] = desired.id
            case .certificate(let spec):
                byPath[spec.certificatePath] = desired.id
                byPath[spec.keyPath] = desired.id
            case .user(let spec): users[spec.name] = desired.id
            case .group(let spec): groups[spec.name] = desired.id
            case .package: packages.append(desired.id)
            case .aptRepository: repositories.append(desired.id)
            case .postgresRole(let spec): roles[spec.name] = desired.id
            case .postgresDatabase(let spec): databases[spec.name] = desired.id
            case .release(let spec): releases[spec.app] = desired.id
            case .unit(let spec):
                units[spec.name] = desired.id
                if spec.name.hasPrefix("postgresql@") { postgresUnits.append(desired.id) }
            case .timer, .sysctl, .firewall, .command, .postgresExtension, .postgresSetting, .app, .probe:
                break
            }
        }
    }

    mutating func needs(of desired: DesiredResource) -> Set<ResourceID> {
        var needs = Set(desired.requires.filter(known.contains))
        func add(_ id: ResourceID?) { if let id { needs.insert(id) } }
        func path(_ path: String) {
            var parent = path
            while let slash = parent.lastIndex(of: "/"), slash != parent.startIndex {
                parent = String(parent[..<slash])
                if let id = byPath[parent] { return add(id) }
            }
        }
        func owner(_ permissions: Permissions) {
            add(users[permissions.owner])
            add(groups[permissions.group])
            // A user's own group comes with the user.
            add(users[permissions.group])
        }
        switch desired.resource {
        case .aptRepository: break
        // What it speaks for is installed where that is as desired.
        case .probe where !desired.requires.isEmpty: break
        case .package: needs.formUnion(repositories)
        default: if !isFreeOfPackages(desired.resource) { needs.formUnion(packages) }
        }
        switch desired.resource {
        case .file(let spec):
            path(spec.path)
            owner(spec.permissions)
        case .directory(let spec):
            path(spec.path)
            owner(spec.permissions)
        case .symlink(let spec): path(spec.path)
        case .certificate(let spec):
            path(spec.certificatePath)
            path(spec.keyPath)
        case .user(let spec):
            for name in spec.groups + [spec.group].compactMap({ $0 }) { add(groups[name]) }
        case .unit(let spec):
            for file in spec.restartOn + spec.reloadOn { add(byPath[file]) }
        case .timer(let spec): add(users[spec.user])
        case .command(let spec): add(users[spec.user])
        case .postgresRole(let spec):
            needs.formUnion(postgresUnits)
            for role in spec.memberOf { add(roles[role]) }
        case .postgresDatabase(let spec):
            needs.formUnion(postgresUnits)
            add(roles[spec.owner])
        case .postgresExtension(let spec):
            needs.formUnion(postgresUnits)
            add(databases[spec.database])
        case .postgresSetting: needs.formUnion(postgresUnits)
        case .release(let spec):
            add(users[spec.user])
            path(spec.directory)
        case .app(let spec):
            add(releases[spec.app])
            add(units["\(spec.unit)@.service"])
            add(units["nginx.service"])
        case .probe(let spec): add(spec.unit.flatMap { units[$0] })
        case .package, .aptRepository, .group, .sysctl, .firewall: break
        }
        needs.remove(desired.id)
        return needs
    }

    /// Folders in which no package of Debian puts anything (Filesystem Hierarchy Standard 3.0, 3.8, 3.13, 3.14, 3.17).
    private static let local = ["/home/", "/opt/", "/root/", "/srv/"]

    /// Whether no package can have a say in it, so that one that fails does not hold it up.
    private func isFreeOfPackages(_ resource: Resource) -> Bool {
        func isLocal(_ path: String) -> Bool { Self.local.contains { path.hasPrefix($0) } }
        func isKnown(_ permissions: Permissions) -> Bool {
            (permissions.owner == "root" || users[permissions.owner] != nil)
                && (permissions.group == "root" || groups[permissions.group] != nil || users[permissions.group] != nil)
        }
        return switch resource {
        case .file(let spec): isLocal(spec.path) && isKnown(spec.permissions)
        case .directory(let spec): isLocal(spec.path) && isKnown(spec.permissions)
        case .symlink(let spec): isLocal(spec.path)
        // Not accounts: a package's script and useradd would lock each other out.
        default: false
        }
    }
}
