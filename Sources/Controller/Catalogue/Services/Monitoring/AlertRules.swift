import BasculeFleet
import BasculeModel

/// Which groups of rules a fleet needs; each is a template of its own, `monitoring-rules-NAME.yml`.
enum AlertRules {
    struct Group {
        var name: String
        var variables: [String: Variable] = [:]
    }

    static func groups(_ watch: Monitored, _ compilation: Compilation) -> [Group] {
        let service = watch.service
        let units = compilation.topology.placements.keys.sorted().compactMap { node -> Variable? in
            let names = compilation.wantedUnits(on: node)
            guard !names.isEmpty else { return nil }
            return .map(["node": .text(node.rawValue), "units": .text(names.map(escaped).joined(separator: "|"))])
        }
        var groups = [
            Group(name: "watch"), Group(name: "node"), Group(name: "services", variables: ["nodes": .list(units)]),
            Group(name: "agent"),
            Group(
                name: "backup",
                variables: [
                    "expected": .list(
                        compilation.expectedBackups.map {
                            .map(["node": .text($0.node.rawValue), "kind": .text($0.kind), "target": .text($0.target)])
                        }),
                    "wal": compilation.archivedNode == nil
                        ? false : .map(["rpo": .integer(compilation.archiveDelay)]),
                ]),
        ]
        if watch.has("postgresql") { groups.append(Group(name: "postgresql")) }
        if watch.hasPgBouncer { groups.append(Group(name: "pgbouncer")) }
        if watch.has("redis") { groups.append(Group(name: "redis")) }
        if watch.has("nginx") { groups.append(Group(name: "nginx")) }
        if watch.hasAccessLogs {
            groups.append(
                Group(
                    name: "access",
                    variables: [
                        "latency": .text("\(Double(Compilation.milliseconds(service.latency)) / 1000)"),
                        "latencyText": .text("\(Compilation.milliseconds(service.latency)) ms"),
                        "critical": .text("\(service.serverErrors.fraction)"),
                        "warning": .text("\(service.serverErrors.fraction / 10)"),
                    ]))
        }
        if watch.hasSites { groups.append(Group(name: "sites")) }
        // Self-signed ones the agent makes anew by itself.
        if watch.hasSites, compilation.fleet.services.certificates != nil { groups.append(Group(name: "certificates")) }
        if !watch.appsOfErrors.isEmpty { groups.append(Group(name: "errors")) }
        if watch.hasMail { groups.append(Group(name: "mail")) }
        return groups
    }

    /// A unit's name inside a regular expression inside a text of PromQL inside single quotes of YAML.
    private static func escaped(_ unit: String) -> String { unit.replacing(".", with: "[.]") }
}
