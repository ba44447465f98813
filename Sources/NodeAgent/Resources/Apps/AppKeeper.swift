import BasculeCrypto
import BasculeModel
import Glibc

/// Running apps: which release, which instances, which of them take requests.
enum AppKeeper {
    static func unit(_ spec: AppSpec, _ port: Int) -> String { "\(spec.unit)@\(port).service" }
    static func link(_ root: String) -> String { "\(root)/current" }

    /// The release that `current` points to, by its directory name.
    static func current(_ root: String) -> String? {
        let target = try? ParentDirectory.find(link(root))?.linkTarget()
        return target?.split(separator: "/").last.map(String.init)
    }

    static func observe(
        _ spec: AppSpec, _ statuses: [String: UnitStatus], _ context: NodeContext
    ) throws -> AppObserved {
        let release = current(spec.root)
        let state = AppState.load(spec.app, context)
        let digest = try unitDigest(spec)
        let changed = release == nil ? .max : try changeTime(spec)
        let upToDate = spec.ports.filter { port in
            guard let status = statuses[unit(spec, port)], status.isActive, !status.needsDaemonReload else {
                return false
            }
            if let known = state?.instances["\(port)"], known.invocation == status.invocation {
                return known.release == release && known.unit == digest
            }
            return status.startBegan > changed
        }
        let healthy = upToDate.filter { HealthProbe.check(port: $0, path: spec.healthPath, seconds: 1) == nil }
        return AppObserved(
            current: release, upToDate: upToDate, healthy: healthy,
            upstreamPorts: try NginxUpstream(spec: spec, context: context).observe(),
            releasedBy: state?.token.flatMap { $0.release == release ? $0.token : nil })
    }

    static func apply(_ spec: AppSpec, _ context: NodeContext) throws {
        let wanted = String(spec.release.rawValue.prefix(16))
        guard try FileDigests.hash("\(spec.root)/releases/\(wanted)/.built") != nil else {
            throw BasculeError(
                .missingPrerequisite, "The release \(wanted) of \(spec.app) is not built on this node",
                at: .thing(spec.app))
        }
        guard FileIdentity(path: "\(UnitKeeper.directory)/\(spec.unit)@.service") != nil else {
            throw BasculeError(
                .missingPrerequisite, "The unit template \(spec.unit)@.service is missing", at: .thing(spec.app))
        }
        let statuses = try UnitStatus.read(spec.ports.map { unit(spec, $0) })
        if statuses.values.contains(where: \.needsDaemonReload) { try SystemdChanges.take() }
        let seen = try observe(spec, try UnitStatus.read(spec.ports.map { unit(spec, $0) }), context)
        let rollout = AppRollout(spec, context)
        guard var previous = seen.current, seen.current != wanted || !seen.upToDate.isEmpty || isRunning(spec, statuses)
        else {
            return try rollout.first(release: wanted)
        }
        // A rollout that a crash cut short still knows where to go back to.
        if let state = AppState.load(spec.app, context), let before = state.previous, previous == wanted,
            before != wanted,
            state.instances.values.contains(where: { $0.release == before })
        {
            previous = before
        }
        try rollout.roll(from: previous, to: wanted, healthy: seen.current == wanted ? Set(seen.healthy) : [])
    }

    /// The release of before an apply again; an app that was not there is stopped.
    static func restore(_ spec: AppSpec, _ release: String?, _ context: NodeContext) throws {
        guard let release else {
            _ = try Systemctl.attempt(["disable", "--now", "--"] + spec.ports.map { unit(spec, $0) })
            try ParentDirectory.find(link(spec.root))?.remove()
            return
        }
        guard let present = current(spec.root), present != release else { return }
        guard try FileDigests.hash("\(spec.root)/releases/\(release)/.built") != nil else {
            throw BasculeError(
                .missingPrerequisite, "The release \(release) of \(spec.app) is no longer on this node",
                at: .thing(spec.app),
                hint: "apply the fleet file that declares it: it is built again")
        }
        try AppRollout(spec, context).roll(from: present, to: release, healthy: [])
    }

    private static func isRunning(_ spec: AppSpec, _ statuses: [String: UnitStatus]) -> Bool {
        spec.ports.contains { statuses[unit(spec, $0)]?.isActive == true }
    }

    static func unitDigest(_ spec: AppSpec) throws -> Digest {
        Digest(rawValue: Hex.encode(try FileDigests.hash("\(UnitKeeper.directory)/\(spec.unit)@.service") ?? []))
    }

    /// When the link or the unit template last changed, microseconds since 1970.
    private static func changeTime(_ spec: AppSpec) throws -> UInt64 {
        var newest: Int64 = 0
        for path in [link(spec.root), "\(UnitKeeper.directory)/\(spec.unit)@.service"] {
            if let status = try ParentDirectory.find(path)?.status() {
                newest = max(newest, FileIdentity(status).modified)
            }
        }
        return UInt64(max(0, newest / 1000))
    }
}
