import BasculeFleet
import BasculeModel

/// Kernel settings and modules, core files, account rules.
extension Compilation {
    mutating func placeKernel(_ service: System, on node: NodeName) throws {
        var settings = SystemKernel.settings
        // Containers are reached through the node: it has to forward.
        if fleet.apps.values.contains(where: { $0.runtime == .docker }), topology.roles(of: node).contains(.app) {
            for key in SystemKernel.forwarding { settings[key] = nil }
        }
        settings.merge(service.kernel) { $1 }
        for (key, value) in settings.sorted(by: { $0.key < $1.key }) {
            try add(.sysctl(SysctlSpec(key, value)), on: node, origin: Self.systemOrigin)
        }
        try systemFile("/etc/modprobe.d/bascule.conf", "system-modprobe.conf", on: node)
        try systemFile("/etc/security/limits.d/10-bascule.conf", "system-limits.conf", on: node)
        try systemFile("/etc/systemd/coredump.conf.d/10-bascule.conf", "system-coredump.conf", on: node)
        try packages(["apparmor"], on: node, origin: Self.systemOrigin)
        try add(.unit(UnitSpec("apparmor.service")), on: node, origin: Self.systemOrigin)
    }

    mutating func placeAccountRules(_ service: System, on node: NodeName) throws {
        let origin = Self.systemOrigin
        try packages(["libpam-passwdqc", "libpam-tmpdir"], on: node, origin: origin)
        try systemFile(
            "/etc/login.defs", "system-login.defs", ["faillog": .flag(release(node).loginHasFaillog)], on: node)
        try systemFile(
            "/etc/profile.d/bascule.sh", "system-profile.sh", ["idle": .integer(Self.wholeSeconds(service.idle))],
            on: node)
        for name in ["d", "hourly", "daily", "weekly", "monthly"] {
            let folder = DirectorySpec("/etc/cron.\(name)", permissions: Permissions(mode: 0o700))
            try add(.directory(folder), on: node, origin: origin)
        }
    }
}

/// The kernel's settings, each with a reason. Sources: the kernel's own Documentation/admin-guide/sysctl, the Kernel
/// Self-Protection Project's recommendations, and lynis 3.0 (KRNL-6000), which says what auditors expect.
enum SystemKernel {
    /// Only a router needs them.
    static let forwarding = ["net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding"]

    static let settings: [String: String] = [
        // Line disciplines are old code that any user could load.
        "dev.tty.ldisc_autoload": "0",
        // Somebody else's links, pipes and files in /tmp are no traps.
        "fs.protected_fifos": "2", "fs.protected_hardlinks": "1", "fs.protected_regular": "2",
        "fs.protected_symlinks": "1",
        "fs.suid_dumpable": "0",
        "kernel.core_uses_pid": "1", "kernel.ctrl-alt-del": "0",
        // Addresses and messages of the kernel help whoever attacks it.
        "kernel.dmesg_restrict": "1", "kernel.kptr_restrict": "2", "kernel.perf_event_paranoid": "3",
        "kernel.randomize_va_space": "2", "kernel.sysrq": "0", "kernel.unprivileged_bpf_disabled": "1",
        "kernel.yama.ptrace_scope": "1",
        "net.core.bpf_jit_harden": "2",
        // A server is no router, and nobody tells it where to send its packets.
        "net.ipv4.conf.all.forwarding": "0", "net.ipv6.conf.all.forwarding": "0",
        "net.ipv4.conf.all.accept_redirects": "0", "net.ipv4.conf.default.accept_redirects": "0",
        "net.ipv6.conf.all.accept_redirects": "0", "net.ipv6.conf.default.accept_redirects": "0",
        "net.ipv4.conf.all.secure_redirects": "0", "net.ipv4.conf.default.secure_redirects": "0",
        "net.ipv4.conf.all.send_redirects": "0", "net.ipv4.conf.default.send_redirects": "0",
        "net.ipv4.conf.all.accept_source_route": "0", "net.ipv4.conf.default.accept_source_route": "0",
        "net.ipv6.conf.all.accept_source_route": "0", "net.ipv6.conf.default.accept_source_route": "0",
        "net.ipv4.conf.all.log_martians": "1", "net.ipv4.conf.default.log_martians": "1",
        "net.ipv4.conf.all.rp_filter": "1", "net.ipv4.conf.default.rp_filter": "1",
        "net.ipv4.icmp_echo_ignore_broadcasts": "1", "net.ipv4.icmp_ignore_bogus_error_responses": "1",
        "net.ipv4.tcp_rfc1337": "1", "net.ipv4.tcp_syncookies": "1",
        // A shop opens many connections at once: the queue of a busy listener (default 4096) and its ports.
        "net.core.somaxconn": "4096", "net.ipv4.tcp_max_syn_backlog": "4096",
        // Swap is for what is hardly used; databases cache for themselves.
        "vm.swappiness": "10",
        "vm.max_map_count": "262144",
    ]
}
