import BasculeFleet
import BasculeModel

/// Metrics as text for node_exporter, where no packaged exporter will do: a script that prints them, and its timer.
extension Compilation {
    /// - Parameter name: of the template `monitoring-NAME.sh`, of the unit and of the file that it leaves.
    mutating func placeReader(
        _ name: String, user: String, variables: [String: Variable], every interval: Duration, on node: NodeName
    ) throws {
        let (origin, script) = (Self.monitoringOrigin, "/usr/local/lib/bascule/\(name)-metrics")
        let file = FileSpec(
            script, try render("monitoring-\(name).sh", variables), permissions: Permissions(mode: 0o755))
        try add(.file(file), on: node, origin: origin)
        let unit = UnitSpec(
            "bascule-\(name)-metrics.service",
            content: try render(
                "monitoring-reader.service",
                [
                    "name": .text(name), "script": .text(script), "user": .text(user), "isRoot": .flag(user == "root"),
                    "target": .text("\(Self.textMetrics)/bascule-\(name).prom"),
                ]),
            state: nil, enabled: nil)
        let timer = UnitSpec(
            "bascule-\(name)-metrics.timer",
            content: try render(
                "monitoring-timer.timer",
                [
                    "what": .text("Reads the metrics of \(name)"),
                    "seconds": .integer(max(5, Self.wholeSeconds(interval))),
                ]))
        try add(.unit(unit), on: node, requires: [Resource.file(file).id(on: node)], origin: origin)
        try add(.unit(timer), on: node, requires: [Resource.unit(unit).id(on: node)], origin: origin)
    }

    /// How much mail waits, and since when. The packaged exporter reads a log file and brings rsyslog to write it.
    mutating func placeMailReader(_ watch: inout Monitored) throws {
        guard let node = output.mail?.node else { return }
        watch.hasMail = true
        try placeReader("mail", user: "root", variables: [:], every: watch.service.interval, on: node)
    }
}
