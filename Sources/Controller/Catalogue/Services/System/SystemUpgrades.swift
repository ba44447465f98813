import BasculeFleet
import BasculeModel

/// Upgrades: those that install themselves, those that wait for an apply, and restarts.
extension Compilation {
    mutating func placeUpgrades(_ upgrades: System.Upgrades, on node: NodeName) throws {
        let origin = Self.systemOrigin
        try packages(["apt-listchanges", "needrestart", "unattended-upgrades"], on: node, origin: origin)
        // After Debian's 50unattended-upgrades, whose list of origins it clears.
        try systemFile(
            "/etc/apt/apt.conf.d/51bascule-upgrades", "system-upgrades.conf",
            ["all": .flag(upgrades.from == .all)], on: node)
        try systemFile("/etc/needrestart/conf.d/50-bascule.conf", "system-needrestart.conf", on: node)
        for timer in ["apt-daily.timer", "apt-daily-upgrade.timer"] {
            try add(.unit(UnitSpec(timer)), on: node, origin: origin)
        }
        let gentle = UnitSpec(
            "apt-daily-upgrade.service", dropIns: ["10-bascule.conf": try render("system-apt-upgrade.conf", [:])],
            state: nil, enabled: nil)
        try add(.unit(gentle), on: node, origin: origin)
        try placeOtherUpgrades(upgrades, on: node)
        guard let window = upgrades.reboot else { return }
        let tool = "\(Self.toolFolder)/reboot-if-required"
        try systemFile(tool, "system-reboot.sh", mode: 0o755, on: node)
        try placeTimer("reboot", ["calendar": .text(window)], on: node)
    }

    /// A new node's first upgrades begin with its first apply, which does not wait for them. What unattended upgrades leave
    /// alone is noted when apt fetches its lists: the next plan has it as a step.
    private mutating func placeOtherUpgrades(_ upgrades: System.Upgrades, on node: NodeName) throws {
        let tool = "\(Self.toolFolder)/upgrades"
        try systemFile(tool, "system-upgrades.sh", ["all": .flag(upgrades.from == .all)], mode: 0o755, on: node)
        let needed = [
            ResourceID(node: node, kind: "file", name: tool),
            ResourceID(node: node, kind: "file", name: "/etc/apt/apt.conf.d/51bascule-upgrades"),
            ResourceID(node: node, kind: "package", name: "unattended-upgrades"),
        ]
        for (name, words) in [("first-upgrades", ["begin", "begun"]), ("kept-upgrades", ["kept", "none"])] {
            let command = CommandSpec(name, command: [tool, words[0]], unless: [tool, words[1]], timeout: 1800)
            try add(.command(command), on: node, requires: needed, origin: Self.systemOrigin)
        }
    }
}
