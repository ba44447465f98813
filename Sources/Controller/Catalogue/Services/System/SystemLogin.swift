import BasculeFleet
import BasculeModel

/// Who may log in, and who is kept from trying.
extension Compilation {
    mutating func placeAdministrators(_ service: System, on node: NodeName) throws {
        let origin = Self.systemOrigin
        for (name, person) in service.users.sorted(by: { $0.key < $1.key }) {
            let path = "services.system.users.\(name)"
            guard name != "root", name != "bascule" else {
                throw BasculeError(
                    .invalidInput, "\(name) is no account of a person", at: place(path),
                    hint: "give each administrator an account of their own; services.system.ssh.root is about root")
            }
            guard !person.keys.isEmpty else {
                throw BasculeError(
                    .invalidInput, "\(name) has no key, and passwords let nobody in", at: place(path),
                    hint: "add the line of their .pub file under keys")
            }
            let home = "/home/\(name)"
            let owned = Permissions(owner: name, group: name, mode: 0o700)
            let account = UserSpec(
                name, groups: person.groups, home: home, createHome: true, shell: person.shell)
            try add(.user(account), on: node, origin: origin)
            try add(.directory(DirectorySpec("\(home)/.ssh", permissions: owned)), on: node, origin: origin)
            let keys =
                "# Managed by Bascule: services.system.users.\(name).keys\n"
                + person.keys.map { "\($0)\n" }.joined()
            try add(
                .file(
                    FileSpec(
                        "\(home)/.ssh/authorized_keys", Content(keys),
                        permissions: Permissions(owner: name, group: name, mode: 0o600))), on: node, origin: origin)
            let sudoers = "/etc/sudoers.d/bascule-\(name)"
            if person.sudo {
                try packages(["sudo"], on: node, origin: origin)
                try systemFile(sudoers, "system-sudoers", ["user": .text(name)], mode: 0o440, on: node)
            } else {
                try add(.file(FileSpec(sudoers, "", state: .absent)), on: node, origin: origin)
            }
        }
    }

    mutating func placeSSHServer(_ service: System, on node: NodeName) throws {
        let origin = Self.systemOrigin
        let path = "/etc/ssh/sshd_config.d/20-bascule-hardening.conf"
        let administrators = administrators(service, on: node)
        let hostKeys = hostKeys(node)
        try systemFile(
            path, "system-sshd.conf",
            [
                "hostKeys": .texts(hostKeys.map(\.file)),
                "hostKeyAlgorithms": .text(hostKeys.map(\.algorithm).joined(separator: ",")),
                "kex": .text(release(node).sshKeyExchanges.joined(separator: ",")),
                "users": .text(
                    (["bascule"] + administrators + service.ssh.allow + (vaults.contains(node) ? [Self.vaultUser] : [])
                        + (copyVaults.contains(node) ? [Self.copyUser] : []))
                        .uniqued().joined(separator: " ")),
                "rootLogin": .text(service.ssh.root ? "prohibit-password" : "no"),
                "tunnels": .flag(service.ssh.tunnels && !administrators.isEmpty),
                "administrators": .text(administrators.joined(separator: ",")),
            ], mode: 0o600, on: node)
        try systemFile("/etc/issue", "system-banner", ["text": .text(service.banner)], on: node)
        try systemFile("/etc/issue.net", "system-banner", ["text": .text(service.banner)], on: node)
        try add(
            .unit(
                UnitSpec("ssh.service", enabled: nil, reloadOn: [path], check: ["/usr/sbin/sshd", "-t"])), on: node,
            origin: origin)
    }

    /// People who may log in to a shell: the declared ones, the login that the bootstrap uses, and root where it may.
    private func administrators(_ service: System, on node: NodeName) -> [String] {
        var names = service.users.keys.sorted()
        if case .existing(let spec)? = fleet.nodes[node], spec.user != "root" { names.append(spec.user) }
        if service.ssh.root { names.append("root") }
        return names.uniqued()
    }

    /// Ed25519, and the type that the fleet file pins where that is another one.
    private func hostKeys(_ node: NodeName) -> [(file: String, algorithm: String)] {
        var keys = [("ed25519", "ssh-ed25519")]
        if case .existing(let spec)? = fleet.nodes[node], let type = spec.hostKey?.type, type.hasPrefix("ecdsa") {
            keys.append(("ecdsa", type))
        }
        return keys
    }

    /// `["status", "sshd"]` as fail2ban's own client says it: a pickle, in its oldest form, which is text. The client
    /// itself is a Python program that takes longer to start than a probe may last on a busy node.
    private static var jailQuestion: String { "(lp0\nVstatus\np1\naVsshd\np2\na.<F2B_END_COMMAND>" }

    mutating func placeBans(_ bans: System.Bans, on node: NodeName) throws {
        let origin = Self.systemOrigin
        try packages(["fail2ban", "nftables", "python3-systemd"], on: node, origin: origin)
        try systemFile(
            "\(Self.toolFolder)/known-address", "system-known-address.sh", mode: 0o755, on: node)
        let path = "/etc/fail2ban/jail.local"
        try systemFile(
            path, "system-jail.local",
            [
                "failures": .integer(bans.failures), "within": .integer(Self.wholeSeconds(bans.within)),
                "time": .integer(Self.wholeSeconds(bans.time)), "never": .texts(bans.never),
                "sshPort": .integer(sshPort(node)),
            ], on: node)
        let tool = ResourceID(node: node, kind: "file", name: "\(Self.toolFolder)/known-address")
        try add(
            .unit(
                UnitSpec(
                    "fail2ban.service", dropIns: ["10-bascule.conf": try render("system-fail2ban.conf", [:])],
                    reloadOn: [path], check: ["fail2ban-client", "--test"])), on: node, requires: [tool],
            origin: origin)
        try probe(
            "fail2ban", on: node,
            .dialogue(
                host: "/run/fail2ban/fail2ban.sock", port: 0,
                exchanges: [.init(send: Content(Self.jailQuestion), expect: "Currently banned")]),
            unit: "fail2ban.service", origin: origin)
        reserve(40 << 20, for: "fail2ban", on: node, why: "Python and one jail, measured: 32 MiB")
    }
}

extension Array where Element: Hashable {
    /// The same without what already came.
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
