import BasculeModel

/// One entry under `resources`. An entry that names several things (`package: [a, b]`) stays one entry.
package struct CustomResource: Sendable, Equatable {
    package var on = Placement.all
    package var kind = Kind.package(PackageResource())
    /// Where it stands in the fleet file.
    package var place = Place.thing("")
    package init() {}

    package enum Kind: Sendable, Equatable {
        case package(PackageResource)
        case file(FileResource)
        case directory(DirectoryResource)
        case symlink(SymlinkResource)
        case user(UserResource)
        case group(GroupResource)
        case unit(UnitResource)
        case aptRepository(AptRepositoryResource)
        case timer(TimerResource)
        case sysctl(SysctlResource)
        case postgresRole(PostgresRoleResource)
        case postgresDatabase(PostgresDatabaseResource)
        case postgresExtension(PostgresExtensionResource)
        case postgresSetting(PostgresSettingResource)
        case firewall(FirewallResource)
        case probe(ProbeResource)
    }
}

/// On which nodes an entry applies.
package enum Placement: Sendable, Equatable {
    /// Every node of the active topology.
    case all
    /// Any of these.
    case some([Target])

    package enum Target: Sendable, Hashable {
        case node(NodeName)
        case role(Role)
    }

    /// The nodes meant in a topology, sorted by name. A node named outright need not be in the topology.
    package func nodes(in topology: Topology) -> [NodeName] {
        switch self {
        case .all: topology.placements.keys.sorted()
        case .some(let targets):
            Set(
                targets.flatMap { target in
                    switch target {
                    case .node(let name): [name]
                    case .role(let role): topology.nodes(with: role)
                    }
                }
            ).sorted()
        }
    }
}

extension Codec where Value == Placement {
    static var placement: Codec {
        let one = Codec<String>.name(.node)
        let list = Codec<[String]>.oneOrMore(one)
        return Codec(
            "all, a node, a role, or a list of them", schema: list.schema,
            read: { node, reader in
                guard let words = list.read(node, reader) else { return nil }
                if words.isEmpty {
                    reader.error(
                        .fleetBadValue, "\(reader.subject) names no node", at: node.span,
                        hint: "write all, a node, a role, or a list of them")
                    return nil
                }
                if words.contains("all") { return .all }
                return .some(words.map { word in Role(rawValue: word).map { .role($0) } ?? .node(NodeName(word)) })
            })
    }
}

extension Codec where Value == CustomResource {
    static var customResource: Codec {
        let on = Codec<Placement>.placement
        let kind = Codec<CustomResource.Kind>.variant(
            "a mapping with 'on' and a kind of resource", CustomResource.variants, common: [("on", on.schema())],
            commonRequired: ["on"])
        return Codec(
            kind.expected, schema: kind.schema,
            read: { node, reader in
                guard let read = kind.read(node, reader) else { return nil }
                var resource = CustomResource()
                resource.kind = read
                resource.place = reader.place(of: node.span)
                guard case .mapping(let pairs) = node.content,
                    let pair = pairs.first(where: { $0.key.text == "on" })
                else {
                    reader.error(
                        .fleetMissingKey, "\(reader.subject) lacks the key 'on'", at: node.span,
                        hint: "'on' is \(on.expected)")
                    return nil
                }
                let placement = reader.inside("on", key: pair.key.span, pair.value) { on.read(pair.value, reader) }
                guard let placement else { return nil }
                resource.on = placement
                return resource
            })
    }
}

extension CustomResource {
    static var variants: [Variant<Kind>] {
        [
            Variant("package", PackageResource.self) { .package($0) },
            .file,
            Variant("directory", DirectoryResource.self) { .directory($0) },
            Variant("symlink", SymlinkResource.self) { .symlink($0) },
            Variant("user", UserResource.self) { .user($0) },
            Variant("group", GroupResource.self) { .group($0) },
            Variant("unit", UnitResource.self) { .unit($0) },
            Variant("aptRepository", AptRepositoryResource.self) { .aptRepository($0) },
            Variant("timer", TimerResource.self) { .timer($0) },
            Variant("sysctl", SysctlResource.self) { .sysctl($0) },
            Variant("postgresRole", PostgresRoleResource.self) { .postgresRole($0) },
            Variant("postgresDatabase", PostgresDatabaseResource.self) { .postgresDatabase($0) },
            Variant("postgresExtension", PostgresExtensionResource.self) { .postgresExtension($0) },
            Variant("postgresSetting", PostgresSettingResource.self) { .postgresSetting($0) },
            Variant("firewall", FirewallResource.self) { .firewall($0) },
            .probe,
        ]
    }
}
