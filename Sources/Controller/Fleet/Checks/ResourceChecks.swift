import BasculeModel

extension FleetChecks {
    func resources(_ fleet: Fleet) {
        // Entries that did not parse left gaps, so each is found again by its place.
        let indices = Dictionary(
            reader.values.compactMap { path, span -> (Place, String)? in
                let parts = path.split(separator: ".")
                return parts.count == 2 && parts[0] == "resources" ? (reader.place(of: span), path) : nil
            }, uniquingKeysWith: { first, _ in first })
        var claims: [String: String] = [:]
        for resource in fleet.resources {
            guard let path = indices[resource.place] else { continue }
            placement(resource.on, path, fleet)
            localFiles(resource.kind, path, fleet)
            let nodes = Set(fleet.topologies.values.flatMap { resource.on.nodes(in: $0) }).sorted()
            for id in resource.kind.identifiers {
                guard let node = nodes.first(where: { claims["\($0)/\(id)"] != nil }) else {
                    for node in nodes { claims["\(node)/\(id)"] = path }
                    continue
                }
                let first = claims["\(node)/\(id)"].map { key($0).start.line } ?? 0
                let kind = id.prefix { $0 != ":" }
                reader.error(
                    .fleetDuplicateClaim, "the resource \(quoted(id)) is declared twice for node '\(node)'",
                    at: reader.values["\(path).\(kind)"] ?? value(path), hint: "it is declared first at line \(first)")
                break
            }
            if case .package(let entry) = resource.kind, entry.version != nil, entry.names.count > 1 {
                reader.error(
                    .fleetBadValue, "a version goes with one package, and here are \(entry.names.count)",
                    at: value("\(path).version"), hint: "make one entry for each package with a version")
            }
        }
    }

    private func placement(_ on: Placement, _ path: String, _ fleet: Fleet) {
        guard case .some(let targets) = on else { return }
        for (index, target) in targets.enumerated() {
            guard case .node(let name) = target, !declared("nodes.\(name)") else { continue }
            let span = reader.values["\(path).on.\(index)"] ?? value("\(path).on")
            let names = fleet.nodes.keys.map(\.rawValue) + Role.allCases.map(\.rawValue) + ["all"]
            dangling("node or role", name.rawValue, at: span, among: names)
        }
    }

    private func localFiles(_ kind: CustomResource.Kind, _ path: String, _ fleet: Fleet) {
        switch kind {
        case .file(let file):
            switch file.content {
            case .template(let template, let vars):
                self.file(template, what: "the template", at: value("\(path).template"), fleet)
                for (name, variable) in vars { references(variable, at: value("\(path).vars.\(name)"), fleet) }
            case .upload(let source): self.file(source, what: "the file", at: value("\(path).source"), fleet)
            case .inline, nil: break
            }
        case .aptRepository(let repository):
            if !repository.key.isEmpty {
                file(repository.key, what: "the repository's key", at: value("\(path).key"), fleet)
            }
        case .postgresRole(let role):
            if case .binding? = role.password {
                reader.error(
                    .fleetBadValue, "a password is a secret, not a binding", at: value("\(path).password"),
                    hint: "write !generate NAME to have one made")
            }
        default: break
        }
    }

    private func references(_ value: TemplateValue, at span: Span, _ fleet: Fleet) {
        switch value {
        case .reference(let reference): self.reference(reference, at: span, fleet)
        case .list(let items): for item in items { references(item, at: span, fleet) }
        case .map(let items): for item in items.values { references(item, at: span, fleet) }
        case .text, .integer, .number, .flag: break
        }
    }
}

extension CustomResource.Kind {
    /// `kind:name` of everything that an entry declares; two entries with one of them on a node collide.
    var identifiers: [String] {
        switch self {
        case .package(let entry): entry.names.map { "package:\($0)" }
        case .file(let entry): ["file:\(entry.path)"]
        case .directory(let entry): ["directory:\(entry.path)"]
        case .symlink(let entry): ["symlink:\(entry.path)"]
        case .user(let entry): ["user:\(entry.name)"]
        case .group(let entry): ["group:\(entry.name)"]
        case .unit(let entry): ["unit:\(entry.name)"]
        case .aptRepository(let entry): ["aptRepository:\(entry.name)"]
        case .timer(let entry): ["timer:\(entry.name)"]
        case .sysctl(let entry): ["sysctl:\(entry.key)"]
        case .postgresRole(let entry): ["postgresRole:\(entry.name)"]
        case .postgresDatabase(let entry): ["postgresDatabase:\(entry.name)"]
        case .postgresExtension(let entry): ["postgresExtension:\(entry.database)/\(entry.name)"]
        case .postgresSetting(let entry): ["postgresSetting:\(entry.name)"]
        case .firewall(let entry): ["firewall:\(entry.name)"]
        case .probe(let entry): ["probe:\(entry.name)"]
        }
    }
}
