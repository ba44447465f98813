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

/// Whether a thing shall be there.
package enum Presence: String, Sendable, Hashable, CaseIterable { case present, absent }
