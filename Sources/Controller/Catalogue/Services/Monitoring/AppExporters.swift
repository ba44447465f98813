import BasculeFleet
import BasculeModel

/// What the apps tell by themselves: their metrics, and the errors in their journals.
extension Compilation {
    mutating func placeAppMetrics(_ watch: inout Monitored) throws {
        for (name, app) in fleet.apps.sorted(by: { $0.key < $1.key }) {
            guard let path = app.metrics else { continue }
            for node in topology.nodes(with: .app) {
                guard node == watch.home else {
                    output.warnings.append(
                        BasculeError(
                            .catalogueLater,
                            "the metrics of app \(name) on \(node) are not read: its instances listen on that node alone",
                            at: place("apps.\(name).metrics"),
                            hint: "give \(node) the role monitoring; errors and access logs are watched anyway"))
                    continue
                }
                for port in 0..<app.instances {
                    watch.add(
                        Monitored.Target(
                            address: "127.0.0.1:\(app.port + port)",
                            labels: ["node": node.rawValue, "app": name.rawValue]),
                        to: Monitored.Job(name: "app-\(name)", path: path, series: 300))
                }
            }
        }
    }

    /// A timer has the agent group the errors in the apps' journals.
    mutating func placeErrorTracking(_ watch: inout Monitored) throws {
        let apps = fleet.apps.keys.sorted()
        guard !apps.isEmpty else { return }
        watch.appsOfErrors = apps
        for node in topology.nodes(with: .app) {
            let origin = Self.monitoringOrigin
            let service = UnitSpec(
                "bascule-errors.service",
                content: try render(
                    "monitoring-errors.service", ["apps": .text(apps.map(\.rawValue).joined(separator: " "))]),
                state: nil, enabled: nil)
            let timer = UnitSpec(
                "bascule-errors.timer",
                content: try render(
                    "monitoring-timer.timer",
                    [
                        "what": "Groups the errors of the apps",
                        "seconds": .integer(max(5, Self.wholeSeconds(watch.service.interval))),
                    ]))
            try add(.unit(service), on: node, origin: origin)
            try add(.unit(timer), on: node, requires: [Resource.unit(service).id(on: node)], origin: origin)
        }
    }
}
