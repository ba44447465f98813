import BasculeModel

/// Observes and changes the resources of this node.
package enum ResourceKeeper {
    /// Looks at all resources, in their order. Never throws: what cannot be looked at says why.
    ///
    /// Units are asked in one connection to systemd, PostgreSQL in one session a server and database, everything else
    /// is read natively; probes ask all at once, on threads of their own, while the rest is looked at.
    package static func observe(_ resources: [DesiredResource], _ context: NodeContext) -> [Observation] {
        let specs = resources.map(\.resource)
        let probes = ProbeRound(specs, context)
        let units = Result { try UnitStatus.read(unitNames(specs)) }
        let postgres = PostgresObserver(specs, context)
        return resources.map { desired in
            do {
                return .make(desired.id, try look(desired.resource, units, postgres, probes, context))
            } catch {
                let reason = BasculeError.wrapping(error, "could not be observed")
                let text = reason.cause.map { "\(reason.message): \($0)" } ?? reason.message
                return .make(desired.id, .unobservable(reason: text))
            }
        }
    }

    /// The units whose state systemd has to tell.
    private static func unitNames(_ specs: [Resource]) -> [String] {
        var names: Set<String> = []
        for spec in specs {
            switch spec {
            case .unit(let unit) where !UnitKeeper.isTemplate(unit.name): names.insert(unit.name)
            case .timer(let timer): names.insert(TimerKeeper.unit(timer))
            case .app(let app): names.formUnion(app.ports.map { AppKeeper.unit(app, $0) })
            default: break
            }
        }
        return names.sorted()
    }

    private static func look(
        _ resource: Resource, _ units: Result<[String: UnitStatus], any Error>, _ postgres: PostgresObserver,
        _ probes: ProbeRound, _ context: NodeContext
    ) throws -> Observed {
        switch resource {
        case .package(let spec): .package(try PackageKeeper.observe(spec))
        case .file(let spec): .file(try FileKeeper.observe(spec, context))
        case .directory(let spec): .directory(try DirectoryKeeper.observe(spec))
        case .symlink(let spec): .symlink(try SymlinkKeeper.observe(spec))
        case .group(let spec): .group(try AccountKeeper.observe(spec))
        case .user(let spec): .user(try AccountKeeper.observe(spec))
        case .unit(let spec): .unit(try UnitKeeper.observe(spec, try units.get(), context))
        case .timer(let spec): .timer(try TimerKeeper.observe(spec, try units.get()))
        case .aptRepository(let spec): .aptRepository(try AptRepositoryKeeper.observe(spec, context))
        case .sysctl(let spec): .sysctl(try SysctlKeeper.observe(spec, context))
        case .firewall(let spec): .firewall(try FirewallKeeper.observe(spec, context))
        case .certificate(let spec): .certificate(try CertificateKeeper.observe(spec))
        case .command(let spec): .command(try CommandKeeper.observe(spec))
        case .postgresRole(let spec): .postgresRole(try postgres.observe(spec))
        case .postgresDatabase(let spec): .postgresDatabase(try postgres.observe(spec))
        case .postgresExtension(let spec): .postgresExtension(try postgres.observe(spec))
        case .postgresSetting(let spec): .postgresSetting(try postgres.observe(spec))
        case .release(let spec): .release(try ReleaseKeeper.observe(spec))
        case .app(let spec): .app(try AppKeeper.observe(spec, try units.get(), context))
        case .probe(let spec): .probe(probes.answer(spec))
        }
    }

    /// Brings resources to their state. apt repositories go first, then all packages in one transaction, then the rest
    /// in its order; neighbours of one family (units, PostgreSQL settings) share a daemon-reload or a restart. Stops at
    /// the first failure.
    ///
    /// Every keeper looks at the node again and does what is missing, so that a call may safely be repeated.
    /// - Throws: a `BasculeError` placed at the resource.
    package static func apply(_ changes: [(DesiredResource, Change)], _ context: NodeContext) throws {
        let resources = changes.map(\.0)
        for case .aptRepository(let spec) in resources.map(\.resource) { try AptRepositoryKeeper.apply(spec, context) }
        let packages = resources.compactMap { if case .package(let spec) = $0.resource { spec } else { nil } }
        if !packages.isEmpty { try PackageKeeper.apply(packages, context) }
        var rest = resources.filter { ![.package, .aptRepository].contains($0.resource.kind) }[...]
        while let first = rest.first {
            let kind = first.resource.kind
            let family = rest.prefix { $0.resource.kind == kind && [.unit, .postgresSetting].contains(kind) }
            do {
                if family.count > 1 {
                    try change(family.map(\.resource), context)
                } else {
                    try change(first.resource, context)
                }
            } catch {
                throw BasculeError.wrapping(error, "The change failed").placed(at: .thing(first.id.rawValue))
            }
            rest = rest.dropFirst(max(1, family.count))
        }
    }

    /// Neighbours of one family, together.
    private static func change(_ family: [Resource], _ context: NodeContext) throws {
        let units = family.compactMap { if case .unit(let spec) = $0 { spec } else { nil } }
        if !units.isEmpty { try UnitKeeper.apply(units, context) }
        let settings = family.compactMap { if case .postgresSetting(let spec) = $0 { spec } else { nil } }
        if !settings.isEmpty { try PostgresKeeper.apply(settings, context) }
    }

    private static func change(_ resource: Resource, _ context: NodeContext) throws {
        switch resource {
        case .package(let spec): try PackageKeeper.apply([spec], context)
        case .file(let spec): try FileKeeper.apply(spec, context)
        case .directory(let spec): try DirectoryKeeper.apply(spec)
        case .symlink(let spec): try SymlinkKeeper.apply(spec)
        case .group(let spec): try AccountKeeper.apply(spec)
        case .user(let spec): try AccountKeeper.apply(spec)
        case .unit(let spec): try UnitKeeper.apply([spec], context)
        case .timer(let spec): try TimerKeeper.apply(spec)
        case .aptRepository(let spec): try AptRepositoryKeeper.apply(spec, context)
        case .sysctl(let spec): try SysctlKeeper.apply(spec, context)
        case .firewall(let spec): try FirewallKeeper.apply(spec, context)
        case .certificate(let spec): try CertificateKeeper.apply(spec)
        case .command(let spec): try CommandKeeper.apply(spec, context)
        case .postgresRole(let spec): try PostgresKeeper.apply(spec, context)
        case .postgresDatabase(let spec): try PostgresKeeper.apply(spec)
        case .postgresExtension(let spec): try PostgresKeeper.apply(spec)
        case .postgresSetting(let spec): try PostgresKeeper.apply([spec], context)
        case .release(let spec): try ReleaseKeeper.apply(spec, context)
        case .app(let spec): try AppKeeper.apply(spec, context)
        case .probe(let spec): try ProbeKeeper.apply(spec, context)
        }
    }

    /// Has running units run with files that were put back behind their backs.
    /// - Parameters:
    ///   - resources: what the node should be; only its units count, and of them those that read one of `paths`.
    ///   - paths: files, each absolute, that have another content now.
    /// - Returns: what became of each such unit; where that is bad, beginning with `not `.
    package static func renew(
        _ resources: [DesiredResource], reading paths: Set<String>, _ context: NodeContext
    ) -> [ResourceID: String] {
        var results: [ResourceID: String] = [:]
        for desired in resources {
            guard case .unit(let spec) = desired.resource, spec.state == .running, !UnitKeeper.isTemplate(spec.name),
                (UnitKeeper.restartFiles(spec) + spec.reloadOn).contains(where: { read in
                    paths.contains { $0 == read || $0.hasPrefix(read.hasSuffix("/") ? read : read + "/") }
                })
            else { continue }
            do {
                try UnitKeeper.apply([spec], context)
                results[desired.id] = "runs with it"
            } catch {
                results[desired.id] = "not started anew: \(BasculeError.wrapping(error, "unexpected").message)"
            }
        }
        return results
    }

    /// Puts right what a crash of the agent may have left behind. To be called when the agent starts.
    package static func repair(_ context: NodeContext) throws {
        try PolicyRC.repair()
        try SystemdReloads.catchUp()
    }
}
