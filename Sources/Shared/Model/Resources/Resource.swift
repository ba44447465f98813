/// The kinds of resource. The raw value stands in resource ids, plans and the protocol.
package enum ResourceKind: String, Hashable, Codable, Sendable, CaseIterable {
    case package
    case file
    case directory
    case symlink
    case group
    case user
    case unit
    case timer
    case aptRepository
    case sysctl
    case firewall
    case certificate
    case command
    case postgresRole
    case postgresDatabase
    case postgresExtension
    case postgresSetting
    case release
    case app
    case probe
}

/// What one resource is to be. The smallest thing that converges on a node.
package enum Resource: Hashable, Sendable {
    case package(PackageSpec)
    case file(FileSpec)
    case directory(DirectorySpec)
    case symlink(SymlinkSpec)
    case group(GroupSpec)
    case user(UserSpec)
    case unit(UnitSpec)
    case timer(TimerSpec)
    case aptRepository(AptRepositorySpec)
    case sysctl(SysctlSpec)
    case firewall(FirewallSpec)
    case certificate(CertificateSpec)
    case command(CommandSpec)
    case postgresRole(PostgresRoleSpec)
    case postgresDatabase(PostgresDatabaseSpec)
    case postgresExtension(PostgresExtensionSpec)
    case postgresSetting(PostgresSettingSpec)
    case release(ReleaseSpec)
    case app(AppSpec)
    case probe(ProbeSpec)
}

/// What the agent saw of a resource.
package enum Observed: Hashable, Sendable {
    case package(PackageObserved)
    case file(FileObserved)
    case directory(DirectoryObserved)
    case symlink(SymlinkObserved)
    case group(GroupObserved)
    case user(UserObserved)
    case unit(UnitObserved)
    case timer(TimerObserved)
    case aptRepository(AptRepositoryObserved)
    case sysctl(SysctlObserved)
    case firewall(FirewallObserved)
    case certificate(CertificateObserved)
    case command(CommandObserved)
    case postgresRole(PostgresRoleObserved)
    case postgresDatabase(PostgresDatabaseObserved)
    case postgresExtension(PostgresExtensionObserved)
    case postgresSetting(PostgresSettingObserved)
    case release(ReleaseObserved)
    case app(AppObserved)
    case probe(ProbeObserved)
    /// It could not be looked at; the reason is for people.
    case unobservable(reason: String)
}

extension Resource {
    package var kind: ResourceKind {
        switch self {
        case .package: .package
        case .file: .file
        case .directory: .directory
        case .symlink: .symlink
        case .group: .group
        case .user: .user
        case .unit: .unit
        case .timer: .timer
        case .aptRepository: .aptRepository
        case .sysctl: .sysctl
        case .firewall: .firewall
        case .certificate: .certificate
        case .command: .command
        case .postgresRole: .postgresRole
        case .postgresDatabase: .postgresDatabase
        case .postgresExtension: .postgresExtension
        case .postgresSetting: .postgresSetting
        case .release: .release
        case .app: .app
        case .probe: .probe
        }
    }

    /// Its name among its kind on one node.
    package var name: String {
        switch self {
        case .package(let spec): spec.name
        case .file(let spec): spec.path
        case .directory(let spec): spec.path
        case .symlink(let spec): spec.path
        case .group(let spec): spec.name
        case .user(let spec): spec.name
        case .unit(let spec): spec.name
        case .timer(let spec): spec.name
        case .aptRepository(let spec): spec.name
        case .sysctl(let spec): spec.key
        case .firewall: "inbound"
        case .certificate(let spec): spec.name
        case .command(let spec): spec.name
        case .postgresRole(let spec): spec.name
        case .postgresDatabase(let spec): spec.name
        case .postgresExtension(let spec): "\(spec.database).\(spec.name)"
        case .postgresSetting(let spec): spec.name
        case .release(let spec): spec.app
        case .app(let spec): spec.app
        case .probe(let spec): spec.name
        }
    }

    /// Its stable id: `node/kind:name`.
    package func id(on node: NodeName) -> ResourceID { ResourceID(node: node, kind: kind.rawValue, name: name) }

    /// The one pure diff, for controller and agent alike.
    package func verdict(_ observed: Observed) -> Verdict {
        switch (self, observed) {
        case (.package(let spec), .package(let seen)): spec.verdict(seen)
        case (.file(let spec), .file(let seen)): spec.verdict(seen)
        case (.directory(let spec), .directory(let seen)): spec.verdict(seen)
        case (.symlink(let spec), .symlink(let seen)): spec.verdict(seen)
        case (.group(let spec), .group(let seen)): spec.verdict(seen)
        case (.user(let spec), .user(let seen)): spec.verdict(seen)
        case (.unit(let spec), .unit(let seen)): spec.verdict(seen)
        case (.timer(let spec), .timer(let seen)): spec.verdict(seen)
        case (.aptRepository(let spec), .aptRepository(let seen)): spec.verdict(seen)
        case (.sysctl(let spec), .sysctl(let seen)): spec.verdict(seen)
        case (.firewall(let spec), .firewall(let seen)): spec.verdict(seen)
        case (.certificate(let spec), .certificate(let seen)): spec.verdict(seen)
        case (.command(let spec), .command(let seen)): spec.verdict(seen)
        case (.postgresRole(let spec), .postgresRole(let seen)): spec.verdict(seen)
        case (.postgresDatabase(let spec), .postgresDatabase(let seen)): spec.verdict(seen)
        case (.postgresExtension(let spec), .postgresExtension(let seen)): spec.verdict(seen)
        case (.postgresSetting(let spec), .postgresSetting(let seen)): spec.verdict(seen)
        case (.release(let spec), .release(let seen)): spec.verdict(seen)
        case (.app(let spec), .app(let seen)): spec.verdict(seen)
        case (.probe(let spec), .probe(let seen)): spec.verdict(seen)
        case (_, .unobservable(let reason)): .unreachable(reason: "could not be observed: \(reason)")
        default: .unreachable(reason: "the observation is of another kind")
        }
    }
}

extension Resource: Codable {
    private enum Key: String, CodingKey { case kind, value }

    package init(from decoder: any Decoder) throws {
        let box = try decoder.container(keyedBy: Key.self)
        switch try box.decode(ResourceKind.self, forKey: .kind) {
        case .package: self = .package(try box.decode(PackageSpec.self, forKey: .value))
        case .file: self = .file(try box.decode(FileSpec.self, forKey: .value))
        case .directory: self = .directory(try box.decode(DirectorySpec.self, forKey: .value))
        case .symlink: self = .symlink(try box.decode(SymlinkSpec.self, forKey: .value))
        case .group: self = .group(try box.decode(GroupSpec.self, forKey: .value))
        case .user: self = .user(try box.decode(UserSpec.self, forKey: .value))
        case .unit: self = .unit(try box.decode(UnitSpec.self, forKey: .value))
        case .timer: self = .timer(try box.decode(TimerSpec.self, forKey: .value))
        case .aptRepository: self = .aptRepository(try box.decode(AptRepositorySpec.self, forKey: .value))
        case .sysctl: self = .sysctl(try box.decode(SysctlSpec.self, forKey: .value))
        case .firewall: self = .firewall(try box.decode(FirewallSpec.self, forKey: .value))
        case .certificate: self = .certificate(try box.decode(CertificateSpec.self, forKey: .value))
        case .command: self = .command(try box.decode(CommandSpec.self, forKey: .value))
        case .postgresRole: self = .postgresRole(try box.decode(PostgresRoleSpec.self, forKey: .value))
        case .postgresDatabase: self = .postgresDatabase(try box.decode(PostgresDatabaseSpec.self, forKey: .value))
        case .postgresExtension: self = .postgresExtension(try box.decode(PostgresExtensionSpec.self, forKey: .value))
        case .postgresSetting: self = .postgresSetting(try box.decode(PostgresSettingSpec.self, forKey: .value))
        case .release: self = .release(try box.decode(ReleaseSpec.self, forKey: .value))
        case .app: self = .app(try box.decode(AppSpec.self, forKey: .value))
        case .probe: self = .probe(try box.decode(ProbeSpec.self, forKey: .value))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var box = encoder.container(keyedBy: Key.self)
        switch self {
        case .package(let value):
            try box.encode(ResourceKind.package, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .file(let value):
            try box.encode(ResourceKind.file, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .directory(let value):
            try box.encode(ResourceKind.directory, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .symlink(let value):
            try box.encode(ResourceKind.symlink, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .group(let value):
            try box.encode(ResourceKind.group, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .user(let value):
            try box.encode(ResourceKind.user, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .unit(let value):
            try box.encode(ResourceKind.unit, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .timer(let value):
            try box.encode(ResourceKind.timer, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .aptRepository(let value):
            try box.encode(ResourceKind.aptRepository, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .sysctl(let value):
            try box.encode(ResourceKind.sysctl, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .firewall(let value):
            try box.encode(ResourceKind.firewall, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .certificate(let value):
            try box.encode(ResourceKind.certificate, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .command(let value):
            try box.encode(ResourceKind.command, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .postgresRole(let value):
            try box.encode(ResourceKind.postgresRole, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .postgresDatabase(let value):
            try box.encode(ResourceKind.postgresDatabase, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .postgresExtension(let value):
            try box.encode(ResourceKind.postgresExtension, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .postgresSetting(let value):
            try box.encode(ResourceKind.postgresSetting, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .release(let value):
            try box.encode(ResourceKind.release, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .app(let value):
            try box.encode(ResourceKind.app, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .probe(let value):
            try box.encode(ResourceKind.probe, forKey: .kind)
            try box.encode(value, forKey: .value)
        }
    }
}

extension Observed: Codable {
    private enum Key: String, CodingKey { case kind, value }

    package init(from decoder: any Decoder) throws {
        let box = try decoder.container(keyedBy: Key.self)
        let word = try box.decode(String.self, forKey: .kind)
        guard let kind = ResourceKind(rawValue: word) else {
            self = .unobservable(reason: try box.decode(String.self, forKey: .value))
            return
        }
        switch kind {
        case .package: self = .package(try box.decode(PackageObserved.self, forKey: .value))
        case .file: self = .file(try box.decode(FileObserved.self, forKey: .value))
        case .directory: self = .directory(try box.decode(DirectoryObserved.self, forKey: .value))
        case .symlink: self = .symlink(try box.decode(SymlinkObserved.self, forKey: .value))
        case .group: self = .group(try box.decode(GroupObserved.self, forKey: .value))
        case .user: self = .user(try box.decode(UserObserved.self, forKey: .value))
        case .unit: self = .unit(try box.decode(UnitObserved.self, forKey: .value))
        case .timer: self = .timer(try box.decode(TimerObserved.self, forKey: .value))
        case .aptRepository: self = .aptRepository(try box.decode(AptRepositoryObserved.self, forKey: .value))
        case .sysctl: self = .sysctl(try box.decode(SysctlObserved.self, forKey: .value))
        case .firewall: self = .firewall(try box.decode(FirewallObserved.self, forKey: .value))
        case .certificate: self = .certificate(try box.decode(CertificateObserved.self, forKey: .value))
        case .command: self = .command(try box.decode(CommandObserved.self, forKey: .value))
        case .postgresRole: self = .postgresRole(try box.decode(PostgresRoleObserved.self, forKey: .value))
        case .postgresDatabase: self = .postgresDatabase(try box.decode(PostgresDatabaseObserved.self, forKey: .value))
        case .postgresExtension:
            self = .postgresExtension(try box.decode(PostgresExtensionObserved.self, forKey: .value))
        case .postgresSetting: self = .postgresSetting(try box.decode(PostgresSettingObserved.self, forKey: .value))
        case .release: self = .release(try box.decode(ReleaseObserved.self, forKey: .value))
        case .app: self = .app(try box.decode(AppObserved.self, forKey: .value))
        case .probe: self = .probe(try box.decode(ProbeObserved.self, forKey: .value))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var box = encoder.container(keyedBy: Key.self)
        switch self {
        case .package(let value):
            try box.encode(ResourceKind.package, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .file(let value):
            try box.encode(ResourceKind.file, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .directory(let value):
            try box.encode(ResourceKind.directory, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .symlink(let value):
            try box.encode(ResourceKind.symlink, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .group(let value):
            try box.encode(ResourceKind.group, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .user(let value):
            try box.encode(ResourceKind.user, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .unit(let value):
            try box.encode(ResourceKind.unit, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .timer(let value):
            try box.encode(ResourceKind.timer, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .aptRepository(let value):
            try box.encode(ResourceKind.aptRepository, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .sysctl(let value):
            try box.encode(ResourceKind.sysctl, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .firewall(let value):
            try box.encode(ResourceKind.firewall, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .certificate(let value):
            try box.encode(ResourceKind.certificate, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .command(let value):
            try box.encode(ResourceKind.command, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .postgresRole(let value):
            try box.encode(ResourceKind.postgresRole, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .postgresDatabase(let value):
            try box.encode(ResourceKind.postgresDatabase, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .postgresExtension(let value):
            try box.encode(ResourceKind.postgresExtension, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .postgresSetting(let value):
            try box.encode(ResourceKind.postgresSetting, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .release(let value):
            try box.encode(ResourceKind.release, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .app(let value):
            try box.encode(ResourceKind.app, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .probe(let value):
            try box.encode(ResourceKind.probe, forKey: .kind)
            try box.encode(value, forKey: .value)
        case .unobservable(let reason):
            try box.encode("unobservable", forKey: .kind)
            try box.encode(reason, forKey: .value)
        }
    }
}
