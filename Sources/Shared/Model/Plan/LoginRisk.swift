/// By which of its parts a change of a node can keep its administrator from logging in again.
package enum LoginRisk: String, Hashable, Codable, Sendable, CaseIterable {
    /// The SSH server, and what decides who may log in there.
    case sshd
    /// The packet filter, and what bans addresses in it.
    case firewall
    /// Addresses, routes, and the kernel's settings of them.
    case network
}

extension Resource {
    /// Set where a mistake in this resource can lock the administrator out. Such a change reverts by itself unless a
    /// fresh login confirms it.
    package var loginRisk: LoginRisk? {
        switch self {
        case .firewall: .firewall
        case .file(let spec): LoginRisk.of(path: spec.path)
        case .directory(let spec): LoginRisk.of(path: spec.path)
        case .symlink(let spec): LoginRisk.of(path: spec.path)
        case .unit(let spec): LoginRisk.of(unit: spec.name)
        case .sysctl(let spec): LoginRisk.of(sysctl: spec.key)
        case .package, .group, .user, .timer, .aptRepository, .certificate, .command, .postgresRole,
            .postgresDatabase, .postgresExtension, .postgresSetting, .release, .app, .probe:
            nil
        }
    }
}

extension LoginRisk {
    private static let paths: [(LoginRisk, [String])] = [
        (
            .sshd,
            [
                "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d", "/etc/default/ssh", "/etc/pam.d/sshd",
                "/etc/hosts.allow", "/etc/hosts.deny", "/etc/security", "/etc/nologin",
            ]
        ),
        (.firewall, ["/etc/nftables.conf", "/etc/nftables.d", "/etc/ufw", "/etc/iptables", "/etc/fail2ban"]),
        (.network, ["/etc/systemd/network", "/etc/netplan", "/etc/network", "/etc/NetworkManager"]),
    ]
    private static let units: [String: LoginRisk] = [
        "ssh": .sshd, "sshd": .sshd, "nftables": .firewall, "ufw": .firewall, "netfilter-persistent": .firewall,
        "fail2ban": .firewall, "systemd-networkd": .network, "networking": .network, "NetworkManager": .network,
        "netplan": .network,
    ]
    private static let settings = ["net.ipv4.conf.", "net.ipv6.conf.", "net.ipv4.ip_", "net.ipv4.route."]

    static func of(path: String) -> LoginRisk? {
        if let (risk, _) = paths.first(where: { $0.1.contains { path == $0 || path.hasPrefix("\($0)/") } }) {
            return risk
        }
        // A drop-in or a unit of one's own for one of these services.
        let parts = path.split(separator: "/")
        guard parts.count > 3, parts[0] == "etc", parts[1] == "systemd", parts[2] == "system" else { return nil }
        let name = parts[3].hasSuffix(".d") ? String(parts[3].dropLast(2)) : String(parts[3])
        return of(unit: name)
    }

    static func of(unit: String) -> LoginRisk? {
        units[String(unit.split(separator: ".").first ?? "").split(separator: "@").first.map(String.init) ?? ""]
    }

    static func of(sysctl key: String) -> LoginRisk? {
        let dotted = key.replacing("/", with: ".")
        return settings.contains { dotted.hasPrefix($0) } ? .network : nil
    }
}
