import BasculeModel

/// The text of the packet filter: pure, so that it can be read and tested.
enum FirewallRules {
    static let path = "/etc/nftables.d/bascule.nft"

    /// One transaction for `nft -f`: the table is made, so that deleting it works, then made anew.
    /// - Parameter sshPorts: always let in, whatever is declared: nobody locks the administrator out.
    static func text(_ spec: FirewallSpec, sshPorts: [Int]) throws -> String {
        var lines = [
            "# Managed by Bascule: what comes in is dropped but for what stands here.", "table inet bascule {}",
            "delete table inet bascule", "table inet bascule {", "    chain input {",
            "        type filter hook input priority filter; policy drop;",
            "        ct state established,related accept",
            "        ct state invalid drop", "        iif \"lo\" accept",
            "        meta l4proto { icmp, ipv6-icmp } accept",
            "        tcp dport { \(sshPorts.sorted().map(String.init).joined(separator: ", ")) } accept comment \"ssh\"",
        ]
        for rule in spec.rules { lines += try self.lines(rule) }
        return (lines + ["    }", "}"]).joined(separator: "\n") + "\n"
    }

    private static func lines(_ rule: FirewallSpec.Rule) throws -> [String] {
        guard (1...65535).contains(rule.port), rule.from.allSatisfy(isNetwork) else {
            throw BasculeError(.invalidInput, "A firewall rule has a wrong port or network", at: .thing(rule.purpose))
        }
        let comment = String(
            rule.purpose.filter { $0.isASCII && ($0.isLetter || $0.isNumber || " -_.".contains($0)) }.prefix(60))
        let tail = "\(rule.transport.rawValue) dport \(rule.port) accept comment \"\(comment)\""
        if rule.from.isEmpty { return ["        " + tail] }
        let four = rule.from.filter { !$0.contains(":") }
        let six = rule.from.filter { $0.contains(":") }
        return [("ip", four), ("ip6", six)].filter { !$0.1.isEmpty }.map {
            "        \($0.0) saddr { \($0.1.joined(separator: ", ")) } \(tail)"
        }
    }

    private static func isNetwork(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 102) || ($0 >= 65 && $0 <= 70) || ".:/".utf8.contains($0)
            }
    }

    /// Loads the rules early at boot. A unit of its own: the node's `/etc/nftables.conf` stays as it is.
    ///
    /// nft talks to the kernel over netlink and reads one file, so that is all that the unit leaves it. Nothing here waits
    /// for a file system that is not mounted yet (as `PrivateTmp` would): the filter stands before the network does. The
    /// kernel loads modules of its own accord: that needs no right of nft's.
    static let unit = """
        [Unit]
        Description=Packet filter (managed by Bascule)
        DefaultDependencies=no
        Wants=network-pre.target
        Before=network-pre.target shutdown.target
        After=local-fs.target
        Conflicts=shutdown.target
        ConditionPathExists=\(path)

        [Service]
        Type=oneshot
        RemainAfterExit=yes
        ExecStart=/usr/sbin/nft -f \(path)
        CapabilityBoundingSet=CAP_NET_ADMIN
        NoNewPrivileges=yes
        ProtectSystem=strict
        ProtectHome=yes
        PrivateDevices=yes
        ProtectClock=yes
        ProtectControlGroups=yes
        ProtectHostname=yes
        ProtectKernelLogs=yes
        ProtectKernelModules=yes
        ProtectKernelTunables=yes
        ProtectProc=invisible
        LockPersonality=yes
        MemoryDenyWriteExecute=yes
        RestrictAddressFamilies=AF_NETLINK
        RestrictNamespaces=yes
        RestrictRealtime=yes
        RestrictSUIDSGID=yes
        SystemCallArchitectures=native
        SystemCallFilter=@system-service
        SystemCallFilter=~@privileged @resources
        SystemCallErrorNumber=EPERM
        UMask=0077

        [Install]
        WantedBy=sysinit.target

        """
}
