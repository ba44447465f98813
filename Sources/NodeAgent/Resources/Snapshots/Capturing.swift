import BasculeModel

extension ResourceKeeper {
    /// Notes what is there before a change, so that `restore` can put it back. Changes nothing but the object store.
    package static func capture(_ desired: DesiredResource, _ context: NodeContext) throws -> Capture {
        Capture(id: desired.id, resource: desired.resource, prior: try prior(desired.resource, context))
    }

    private static func prior(_ resource: Resource, _ context: NodeContext) throws -> Capture.Prior {
        let store = ObjectStore(context: context)
        switch resource {
        case .package(let spec):
            let seen = try PackageKeeper.observe(spec)
            return .package(version: ["not-installed", "config-files"].contains(seen.status) ? nil : seen.version)
        case .file(let spec): return .paths(try store.snapshots([spec.path]))
        case .directory(let spec): return .paths(try store.snapshots([spec.path]))
        case .symlink(let spec): return .paths(try store.snapshots([spec.path]))
        case .group(let spec): return .group(try AccountKeeper.observe(spec))
        case .user(let spec): return .user(try AccountKeeper.observe(spec))
        case .unit(let spec):
            var files = spec.dropIns.keys.map { UnitKeeper.dropIn(spec, $0) }
            if spec.content != nil { files.append("\(UnitKeeper.directory)/\(spec.name)") }
            return .unit(try unit(spec.name, files, store))
        case .timer(let spec):
            return .unit(try unit(TimerKeeper.unit(spec), TimerKeeper.files(spec).map(\.path), store))
        case .aptRepository(let spec):
            return .paths(
                try store.snapshots([AptRepositoryKeeper.sourcePath(spec.name), AptRepositoryKeeper.keyPath(spec.name)])
            )
        case .sysctl(let spec):
            let live = try SysctlKeeper.observe(spec, context).live
            return .sysctl(try store.snapshots([SysctlKeeper.file(spec.key)]), live: live)
        case .firewall: return .paths(try store.snapshots([FirewallRules.path]))
        case .certificate(let spec): return .paths(try store.snapshots([spec.certificatePath, spec.keyPath]))
        case .probe: return .paths([:])
        case .command: return .irreversible(reason: "an opaque command has no known inverse")
        case .release(let spec): return .release(try ReleaseKeeper.observe(spec))
        case .app(let spec): return .app(current: AppKeeper.current(spec.root))
        case .postgresRole, .postgresDatabase, .postgresExtension, .postgresSetting:
            return try PostgresCapture.prior(resource, store, context)
        }
    }

    private static func unit(_ name: String, _ files: [String], _ store: ObjectStore) throws -> UnitSnapshot {
        let known = UnitKeeper.isTemplate(name) ? [:] : (try? UnitStatus.read([name])) ?? [:]
        let status = known[name] ?? .unknown
        return UnitSnapshot(files: try store.snapshots(files), active: status.active, unitFile: status.unitFile)
    }

    /// Puts back what was captured, in the given order: the caller gives the newest change first. Packages go last, in
    /// one transaction, so that the services which were added with them are stopped before.
    /// - Throws: the first failure, after everything else was tried.
    package static func restore(_ captures: [Capture], _ context: NodeContext) throws {
        var failure: BasculeError?
        var packages: [PackageSpec] = []
        for capture in captures {
            if case .package(let version) = capture.prior, case .package(let spec) = capture.resource {
                packages.append(PackageSpec(spec.name, state: version == nil ? .absent : .present, version: version))
                continue
            }
            do { try restore(capture, context) } catch {
                let known = BasculeError.wrapping(error, "It could not be put back").placed(
                    at: .thing(capture.id.rawValue))
                context.progress("\(capture.id): \(known.message)")
                failure = failure ?? known
            }
        }
        let changed = try packages.filter {
            if case .change = $0.verdict(try PackageKeeper.observe($0)) { true } else { false }
        }
        if !changed.isEmpty { try PackageKeeper.apply(changed, context) }
        if let failure { throw failure }
    }

    /// Puts one resource back.
    package static func restore(_ capture: Capture, _ context: NodeContext) throws {
        let store = ObjectStore(context: context)
        switch (capture.resource, capture.prior) {
        case (.firewall, .paths(let paths)):
            if paths.values.allSatisfy({ $0.type == .nothing }) { return try FirewallKeeper.unload(context) }
            for (path, snapshot) in paths { try store.restore(path, snapshot) }
            try FirewallKeeper.load(context)
        case (_, .paths(let paths)):
            for (path, snapshot) in paths.sorted(by: { $0.key < $1.key }) { try store.restore(path, snapshot) }
        case (_, .package(let version)):
            guard case .package(let spec) = capture.resource else { return }
            try PackageKeeper.apply(
                [PackageSpec(spec.name, state: version == nil ? .absent : .present, version: version)], context)
        case (.unit(let spec), .unit(let unit)): try UnitRestore.run(spec.name, unit, store)
        case (.timer(let spec), .unit(let unit)): try UnitRestore.run(TimerKeeper.unit(spec), unit, store)
        case (.group(let spec), .group(let seen)):
            try AccountKeeper.apply(GroupSpec(spec.name, gid: seen.gid, state: seen.gid == nil ? .absent : .present))
        case (.user(let spec), .user(let seen)):
            try AccountKeeper.apply(
                UserSpec(
                    spec.name, uid: seen.uid, group: seen.group, groups: seen.groups, home: seen.home,
                    shell: seen.shell,
                    state: seen.uid == nil ? .absent : .present))
        case (.sysctl(let spec), .sysctl(let paths, let live)):
            for (path, snapshot) in paths { try store.restore(path, snapshot) }
            if let live { try SysctlKeeper.restoreLive(spec.key, live) }
        case (.release, .release): break  // A release stands beside the others; pruning takes it away.
        case (.app(let spec), .app(let current)): try AppKeeper.restore(spec, current, context)
        case (_, .irreversible(let reason)): context.progress("\(capture.id) stays as it is: \(reason)")
        default: try PostgresCapture.restore(capture, store, context)
        }
    }
}
