import BasculeModel
import Glibc

/// What the agent may do by itself about a difference: less than an apply may.
extension ResourceKeeper {
    /// Brings a resource back without restarting, upgrading or rebuilding anything.
    /// - Parameter version: the version at which a package that is missing comes back.
    package static func heal(_ desired: DesiredResource, version: String?, _ context: NodeContext) throws {
        do {
            switch desired.resource {
            case .unit(let spec): try UnitKeeper.heal(spec, context)
            case .app(let spec): try AppKeeper.startStopped(spec, context)
            case .package(var spec):
                spec.version = spec.version ?? version
                try PackageKeeper.apply([spec], context)
            default: try apply([(desired, Change(.update, []))], context)
            }
        } catch {
            throw BasculeError.wrapping(error, "healing failed").placed(at: .thing(desired.id.rawValue))
        }
    }

    /// Notes with which files units run that somebody else has started since; only for units that are in order.
    package static func adopt(_ resources: [DesiredResource], _ context: NodeContext) throws {
        let units = resources.compactMap { desired -> UnitSpec? in
            guard case .unit(let spec) = desired.resource, spec.state == .running, !UnitKeeper.isTemplate(spec.name)
            else { return nil }
            return spec
        }
        let statuses = try UnitStatus.read(units.map(\.name))
        for spec in units {
            if let status = statuses[spec.name], status.isActive { try UnitRunner.adopt(spec, status, context) }
        }
    }

    /// The units of a resource, by the names that systemd knows them by.
    package static func units(of resource: Resource) -> [String] {
        switch resource {
        case .unit(let spec): UnitKeeper.isTemplate(spec.name) ? [] : [spec.name]
        case .timer(let spec): [TimerKeeper.unit(spec)]
        case .app(let spec): spec.ports.map { AppKeeper.unit(spec, $0) }
        default: []
        }
    }

    /// Whether one of a resource's units is what systemd calls failed.
    package static func hasFailed(_ resource: Resource) -> Bool {
        let names = units(of: resource)
        guard !names.isEmpty, let known = try? UnitStatus.read(names) else { return false }
        return known.values.contains { $0.active == "failed" }
    }

    /// The paths whose change may be a change of a resource.
    package static func paths(of resource: Resource) -> [String] {
        switch resource {
        case .file(let spec): [spec.path]
        case .directory(let spec): [spec.path]
        case .symlink(let spec): [spec.path]
        case .package: ["/var/lib/dpkg/status"]
        case .group: ["/etc/group"]
        case .user: ["/etc/passwd", "/etc/group"]
        case .unit(let spec):
            spec.dropIns.keys.map { UnitKeeper.dropIn(spec, $0) } + ["\(UnitKeeper.directory)/\(spec.name)"]
        case .timer(let spec): TimerKeeper.files(spec).map(\.path)
        case .aptRepository(let spec):
            [AptRepositoryKeeper.sourcePath(spec.name), AptRepositoryKeeper.keyPath(spec.name)]
        case .sysctl(let spec): [SysctlKeeper.file(spec.key)]
        case .firewall: [FirewallRules.path, FirewallKeeper.unitPath]
        case .certificate(let spec): [spec.certificatePath, spec.keyPath]
        case .app(let spec): [AppKeeper.link(spec.root)]
        case .release, .command, .probe, .postgresRole, .postgresDatabase, .postgresExtension, .postgresSetting: []
        }
    }

    /// The live value of a kernel setting, read without a process; nil where there is none.
    package static func liveValue(_ spec: SysctlSpec) -> String? {
        try? SysctlKeeper.liveValue(spec.key)
    }
}

extension UnitKeeper {
    /// What an apply does, but for restarts: a running unit keeps running.
    static func heal(_ spec: UnitSpec, _ context: NodeContext) throws {
        if try writeFiles(spec, context) { try SystemdChanges.take() }
        guard !isTemplate(spec.name) else { return }
        let names = [spec.name]
        if try UnitStatus.read(names)[spec.name]?.needsDaemonReload == true { try SystemdChanges.take() }
        let status = try UnitStatus.read(names)[spec.name] ?? .unknown
        try settle(spec, status)
        guard spec.state == .running, !spec.masked else {
            if spec.state == .stopped, status.isActive { try Systemctl.run(["stop", "--", spec.name]) }
            return
        }
        guard status.isActive else { return try UnitRunner.run(spec, context) }
        let seen = try observe(spec, [spec.name: status], context)
        guard seen.reloadPending, !seen.restartPending else { return }
        if let check = spec.check { try UnitRunner.check(check, spec.name) }
        let outcome = try Systemctl.attempt(["reload", "--", spec.name])
        guard outcome.status == 0 else { throw Systemctl.failure(spec.name, "reload", outcome) }
        let after = try Systemctl.requireActive(spec.name, "reload")
        let known = UnitRecord.load(spec.name, context).flatMap { $0.invocation == after.invocation ? $0 : nil }
        try UnitRecord(
            after, restart: known?.restart ?? UnitRecord.digests(restartFiles(spec), context),
            reload: UnitRecord.digests(spec.reloadOn, context)
        ).save(spec.name, context)
    }
}

extension AppKeeper {
    /// Starts the instances that do not run, if what they would run is the accepted release.
    static func startStopped(_ spec: AppSpec, _ context: NodeContext) throws {
        guard current(spec.root) == String(spec.release.rawValue.prefix(16)) else { return }
        let statuses = try UnitStatus.read(spec.ports.map { unit(spec, $0) })
        for port in spec.ports {
            let name = unit(spec, port)
            guard let status = statuses[name], ["failed", "inactive"].contains(status.active) else { continue }
            context.progress("start \(name)")
            if status.active == "failed" { _ = try Systemctl.attempt(["reset-failed", "--", name]) }
            let outcome = try Systemctl.attempt(["start", "--", name])
            guard outcome.status == 0 else { throw Systemctl.failure(name, "start", outcome) }
        }
    }
}
