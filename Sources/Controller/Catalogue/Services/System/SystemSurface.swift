import BasculeFleet
import BasculeModel

/// What a node shows of itself to whoever got onto it as somebody else than root.
extension Compilation {
    /// Processes and their command lines are their owner's; nothing in shared memory or among devices is a program.
    mutating func placeMounts(on node: NodeName) throws {
        let origin = Self.systemOrigin
        let tool = "\(Self.toolFolder)/mounts"
        let group = Resource.group(GroupSpec("proc", system: true))
        try add(group, on: node, origin: origin)
        try systemFile(tool, "system-mounts.sh", mode: 0o755, on: node)
        // Without it nobody but root could open a session any more once /proc hides processes.
        let logind = Resource.unit(
            UnitSpec(
                "systemd-logind.service", dropIns: ["10-bascule.conf": try render("system-logind.conf", [:])],
                enabled: nil))
        try add(logind, on: node, requires: [group.id(on: node)], origin: origin)
        let unit = UnitSpec(
            "bascule-mounts.service", content: try render("system-mounts.service", [:]), restartOn: [tool])
        let needed = ResourceID(node: node, kind: "file", name: tool)
        try add(.unit(unit), on: node, requires: [needed, logind.id(on: node)], origin: origin)
    }

    /// Who ran what, and when, from the kernel itself.
    mutating func placeAccounting(on node: NodeName) throws {
        let origin = Self.systemOrigin
        try packages(["acct", "logrotate"], on: node, origin: origin)
        try systemFile("/etc/logrotate.d/bascule-accounting", "system-accounting-logrotate", on: node)
        let unit = UnitSpec(
            "acct.service", dropIns: ["10-bascule.conf": try render("system-accounting.conf", [:])])
        try add(.unit(unit), on: node, origin: origin)
    }

    /// Compilers are root's, but where an app of the node is built on it.
    mutating func placeCompilers(on node: NodeName) throws {
        let tool = "\(Self.toolFolder)/compilers"
        try systemFile(tool, "system-compilers.sh", mode: 0o755, on: node)
        let builds = topology.roles(of: node).contains(.app) && fleet.apps.values.contains { !$0.build.isEmpty }
        let who = builds ? "all" : "root"
        // One transaction installs all packages, and with them what they bring along.
        let needed = [
            ResourceID(node: node, kind: "file", name: tool), ResourceID(node: node, kind: "package", name: "apparmor"),
        ]
        try add(
            .command(CommandSpec("compilers", command: [tool, who], unless: [tool, who, "check"])), on: node,
            requires: needed, origin: Self.systemOrigin)
    }
}
