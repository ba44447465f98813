import BasculeModel
import BasculeNet
import FoundationEssentials

/// What decides whether somebody can log in: making it read what stands on disk, and putting it back.
package enum LoginServices {
    /// Refuses a configuration that sshd itself refuses: reloading it would leave the node without a login.
    package static func check(_ resources: [Resource]) throws {
        guard resources.contains(where: { $0.loginRisk == .sshd }) else { return }
        let outcome = try Subprocess.run(["sshd", "-t"], .init(deadline: .seconds(30)))
        guard outcome.status == 0 else {
            throw BasculeError(
                .checkFailed, "sshd refuses its new configuration", cause: outcome.cause(),
                hint: "correct the file; `sshd -t` on the node must succeed")
        }
    }

    /// Has the services of changed files read them now: what only comes into force at the next boot proves nothing.
    /// Those whose unit is among the resources did so with it.
    package static func bringIntoForce(_ resources: [Resource], _ context: NodeContext) throws {
        let units = resources.compactMap { if case .unit(let spec) = $0 { spec.name } else { nil } }
        for service in services(of: resources) where !units.contains(service) {
            switch service {
            case "systemd-networkd.service":
                guard try UnitStatus.read([service])[service]?.isActive == true else { continue }
                try Subprocess.require(["networkctl", "reload"], "reloading the network's configuration")
            case "netplan": try Subprocess.require(["netplan", "apply"], "applying netplan")
            default:
                try UnitRecord.rereading(service, context) {
                    try Systemctl.run(["try-reload-or-restart", "--", service])
                }
            }
        }
        // nftables' own file begins with emptying the whole rule set, ours included.
        if resources.contains(where: { $0.loginRisk == .firewall }) { try FirewallKeeper.load(context) }
    }

    /// How long to wait until a change is really in force, in seconds. Links are configured in the background.
    package static func settling(_ resources: [Resource]) -> Double {
        resources.contains { $0.loginRisk == .network } ? 2 : 0
    }

    /// Waits until sshd listens anew. It closes its sockets when it reads its configuration; until then a login would
    /// still be judged by the old one.
    package static func awaitSSHD(replacing before: Set<String>) {
        let deadline = Deadline.seconds(1)
        while !deadline.passed, !before.isEmpty {
            let now = SSHPorts.sockets()
            if !now.isEmpty, now.isDisjoint(with: before) { return }
            Monotonic.sleep(.milliseconds(10))
        }
    }

    /// The sockets on which sshd listens, by the kernel's names.
    package static func sshdSockets() -> Set<String> { SSHPorts.sockets() }

    /// What is on record of a unit's last start.
    package static func unitRecord(_ resource: Resource, _ context: NodeContext) -> [UInt8]? {
        guard case .unit(let spec) = resource else { return nil }
        return (try? AtomicFile.read(UnitRecord.path(spec.name, context))) ?? nil
    }

    /// Lets a unit run with the files that were put back: restarted where the change had restarted it.
    package static func bringBack(_ resource: Resource, record: [UInt8]?, _ context: NodeContext) throws {
        guard case .unit(let spec) = resource, !UnitKeeper.isTemplate(spec.name) else { return }
        let prior = record.flatMap { try? JSONDecoder().decode(UnitRecord.self, from: Data($0)) }
        let status = try UnitStatus.read([spec.name])[spec.name] ?? .unknown
        guard status.isActive else { return }
        let wasRestarted = UnitRecord.load(spec.name, context).map {
            $0.invocation == status.invocation && $0.invocation != prior?.invocation
        }
        try Systemctl.run([wasRestarted ?? false ? "restart" : "try-reload-or-restart", "--", spec.name])
        let after = try Systemctl.requireActive(spec.name, "restart")
        try UnitRecord(
            after, restart: UnitRecord.digests(UnitKeeper.restartFiles(spec), context),
            reload: UnitRecord.digests(spec.reloadOn, context)
        ).save(spec.name, context)
    }

    private static let byPath: [(prefix: String, service: String)] = [
        ("/etc/ssh/sshd_config", "ssh.service"), ("/etc/nftables", "nftables.service"), ("/etc/ufw", "ufw.service"),
        ("/etc/iptables", "netfilter-persistent.service"), ("/etc/fail2ban", "fail2ban.service"),
        ("/etc/systemd/network", "systemd-networkd.service"), ("/etc/netplan", "netplan"),
    ]

    private static func services(of resources: [Resource]) -> [String] {
        var found: [String] = []
        for resource in resources {
            let name: String? =
                switch resource {
                case .file(let spec): service(of: spec.path)
                case .directory(let spec): service(of: spec.path)
                case .symlink(let spec): service(of: spec.path)
                default: nil
                }
            if let name, !found.contains(name) { found.append(name) }
        }
        return found
    }

    private static func service(of path: String) -> String? { byPath.first { path.hasPrefix($0.prefix) }?.service }
}
