import BasculeFleet
import BasculeModel

/// `services.system` on every node with a role.
extension Compilation {
    static var systemOrigin: String { "service system" }
    /// Programs of ours on a node.
    static var toolFolder: String { "/usr/local/lib/bascule" }

    /// Resident memory of what every node runs, measured on a blank Debian 12 and 13 and rounded up: kernel and its
    /// tables 64 MiB, systemd, journald, logind, networkd and D-Bus 56, sshd 8, the agent 16, room for a login and for
    /// apt 48.
    private static var baseMemory: Int { 192 << 20 }

    mutating func placeSystem() throws {
        for (node, roles) in topology.placements.sorted(by: { $0.key < $1.key }) where !roles.isEmpty {
            reserve(Self.baseMemory, for: "system", on: node, why: "kernel, systemd, journald, sshd and the agent")
            if let service = fleet.services.system { try placeSystem(service, on: node) }
        }
    }

    private mutating func placeSystem(_ service: System, on node: NodeName) throws {
        try placeAdministrators(service, on: node)
        try placeSSHServer(service, on: node)
        if let bans = service.bans { try placeBans(bans, on: node) }
        if let upgrades = service.upgrades { try placeUpgrades(upgrades, on: node) }
        if let time = service.time { try placeTime(time, on: node) }
        if let swap = service.swap { try placeSwap(swap, on: node) }
        if service.integrity { try placeIntegrity(on: node) }
        try placeJournal(service.journal, on: node)
        try placeKernel(service, on: node)
        try placeAccountRules(service, on: node)
        try placeMounts(on: node)
        if service.accounting { try placeAccounting(on: node) }
        try placeCompilers(on: node)
        try placeWhatIsNotNeeded(service, on: node)
    }

    /// A file of the service from a template.
    mutating func systemFile(
        _ path: String, _ template: String, _ variables: [String: Variable] = [:], mode: Int = 0o644,
        on node: NodeName
    ) throws {
        let file = FileSpec(path, try render(template, variables), permissions: Permissions(mode: mode))
        try add(.file(file), on: node, origin: Self.systemOrigin)
    }

    private mutating func placeTime(_ time: System.TimeSync, on node: NodeName) throws {
        let origin = Self.systemOrigin
        try packages(["chrony"], on: node, origin: origin)
        // One program sets the clock.
        for other in ["systemd-timesyncd", "ntpsec", "openntpd"] { try remove(other, on: node) }
        let servers = time.servers.map { name in
            Variable.map(["name": .text(name), "word": name.contains("pool.") ? "pool" : "server"])
        }
        let path = "/etc/chrony/sources.d/bascule.sources"
        try systemFile(
            path, "system-chrony.conf", ["servers": .list(servers), "authenticated": .flag(time.authenticated)],
            on: node)
        try add(.unit(UnitSpec("chrony.service", restartOn: [path])), on: node, origin: origin)
        reserve(8 << 20, for: "chrony", on: node, why: "measured: 5 MiB")
    }

    /// As much as memory up to 2 GiB: enough for what is hardly used to leave memory, not so much that a node that needs
    /// it all crawls for minutes instead of restarting what is too big.
    func swapSize(_ swap: System.Swap, on node: NodeName) -> Int {
        swap.size.map { Int($0.bytes) } ?? min(memory(node), 2 << 30)
    }

    private mutating func placeSwap(_ swap: System.Swap, on node: NodeName) throws {
        let tool = "\(Self.toolFolder)/swap-file"
        try systemFile(tool, "system-swap.sh", mode: 0o755, on: node)
        let unit = UnitSpec(
            "bascule-swap.service",
            content: try render(
                "system-swap.service", ["sizeMiB": .integer(max(64, swapSize(swap, on: node) >> 20))]))
        let needed = ResourceID(node: node, kind: "file", name: tool)
        try add(.unit(unit), on: node, requires: [needed], origin: Self.systemOrigin)
    }

    private mutating func placeIntegrity(on node: NodeName) throws {
        let origin = Self.systemOrigin
        try packages(["aide", "chkrootkit", "debsums"], on: node, origin: origin)
        try systemFile("/etc/aide/aide.conf", "system-aide.conf", mode: 0o600, on: node)
        try systemFile("\(Self.toolFolder)/integrity", "system-integrity.sh", mode: 0o755, on: node)
        try placeTimer("integrity", on: node)
        // Where cron is there it looks too.
        try add(.file(FileSpec("/etc/default/debsums", "CRON_CHECK=weekly\n")), on: node, origin: origin)
        // The package's own: every day, with the differences to the day before.
        try add(.unit(UnitSpec("chkrootkit.timer")), on: node, origin: origin)
    }

    /// `bascule-NAME.service` and its timer from the templates `system-NAME.service` and `.timer`.
    mutating func placeTimer(_ name: String, _ variables: [String: Variable] = [:], on node: NodeName) throws {
        let service = Resource.unit(
            UnitSpec(
                "bascule-\(name).service", content: try render("system-\(name).service", [:]), state: nil, enabled: nil)
        )
        try add(service, on: node, origin: Self.systemOrigin)
        let timer = UnitSpec("bascule-\(name).timer", content: try render("system-\(name).timer", variables))
        try add(.unit(timer), on: node, requires: [service.id(on: node)], origin: Self.systemOrigin)
    }

    private mutating func placeJournal(_ journal: System.Journal, on node: NodeName) throws {
        let path = "/etc/systemd/journald.conf.d/10-bascule.conf"
        try systemFile(
            path, "system-journald.conf",
            [
                "sizeMiB": .text("\(max(16, journal.size.bytes >> 20))"),
                "keepSeconds": .integer(Self.wholeSeconds(journal.keep)),
            ], on: node)
        let unit = UnitSpec("systemd-journald.service", enabled: nil, restartOn: [path])
        try add(.unit(unit), on: node, origin: Self.systemOrigin)
    }

    private mutating func placeWhatIsNotNeeded(_ service: System, on node: NodeName) throws {
        // Clear-text logins, shares, discovery and printing: none of them on a server of a shop.
        let unneeded = [
            "telnetd", "inetutils-telnetd", "rsh-client", "rsh-server", "rsh-redone-client", "rsh-redone-server", "nis",
            "talk", "tftpd-hpa", "atftpd", "xinetd", "inetutils-inetd", "openbsd-inetd", "rpcbind", "avahi-daemon",
            "cups-daemon", "snmpd", "vsftpd", "ftpd",
        ]
        for name in Set(unneeded + service.remove).sorted() { try remove(name, on: node) }
    }

    private mutating func remove(_ package: String, on node: NodeName) throws {
        try add(.package(PackageSpec(package, state: .absent)), on: node, origin: Self.systemOrigin)
    }
}
