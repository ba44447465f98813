import BasculeFleet
import BasculeModel

/// `services.monitoring`: Prometheus and Alertmanager on the node with the role `monitoring`, exporters everywhere.
extension Compilation {
    static var monitoringOrigin: String { "service monitoring" }
    static var prometheusFolder: String { "/etc/prometheus" }
    /// Where node_exporter reads metrics that other programs left as text.
    static var textMetrics: String { "/var/lib/prometheus/node-exporter" }

    /// To be called when everything else stands: what is watched is what was placed.
    mutating func placeMonitoring() throws {
        guard let service = fleet.services.monitoring, let home = single(.monitoring) else { return }
        var watch = Monitored(service: service, home: home)
        for (node, roles) in topology.placements.sorted(by: { $0.key < $1.key }) where !roles.isEmpty {
            try placeNodeExporter(on: node, &watch)
        }
        try placePostgresExporter(&watch)
        try placePgBouncerExporter(&watch)
        try placeRedisExporter(&watch)
        try placeNginxExporters(&watch)
        try placeMailReader(&watch)
        try placeBackupReaders(watch)
        try placeAppMetrics(&watch)
        try placeErrorTracking(&watch)
        try placeBlackboxExporter(&watch)
        try placeAlertmanager(&watch)
        try placeGrafana(watch)
        try placePrometheus(watch)
    }

    private mutating func placePrometheus(_ watch: Monitored) throws {
        let (origin, node, service) = (Self.monitoringOrigin, watch.home, watch.service)
        try packages(["prometheus"], on: node, origin: origin)
        let folder = Self.prometheusFolder
        let rules = try AlertRules.groups(watch, self).map { group -> String in
            let path = "\(folder)/rules/bascule-\(group.name).yml"
            try add(
                .file(FileSpec(path, try render("monitoring-rules-\(group.name).yml", group.variables))), on: node,
                origin: origin)
            return path
        }
        let jobs = watch.jobs.map { job -> Variable in
            .map([
                "name": .text(job.name), "path": .text(job.path), "hasPath": .flag(job.path != "/metrics"),
                "relabel": .flag(job.proxy != nil), "proxy": .text(job.proxy?.address ?? ""),
                "module": .text(job.proxy?.module ?? ""), "hasModule": .flag(job.proxy?.module != nil),
                "targets": .list(
                    job.targets.map { target in
                        .map([
                            "address": .text(target.address),
                            "labels": .list(
                                target.labels.sorted { $0.key < $1.key }.map {
                                    .map(["key": .text($0.key), "value": .text($0.value)])
                                }),
                        ])
                    }),
            ])
        }
        let config = "\(folder)/prometheus.yml"
        let interval = Self.wholeSeconds(service.interval)
        try add(
            .file(
                FileSpec(
                    config,
                    try render(
                        "monitoring-prometheus.yml",
                        [
                            "fleet": .text(fleet.name.description), "interval": .integer(interval),
                            "timeout": .integer(min(10, interval)), "rules": .texts(rules), "jobs": .list(jobs),
                        ]))),
            on: node, origin: origin)
        let options = [
            "--web.listen-address=127.0.0.1:9090",
            "--storage.tsdb.retention.time=\(Self.wholeSeconds(service.retention))s",
            "--storage.tsdb.retention.size=\(service.retentionSize.bytes)B",
        ]
        let share = PrometheusMemory.share(watch)
        try placeDaemon(
            Daemon(
                "prometheus", arguments: options, memory: share.bytes, why: share.why,
                writable: ["/var/lib/prometheus"],
                // Go collects garbage harder before the limit is reached, rather than being killed at it.
                environment: ["GOMEMLIMIT=\(share.bytes / 10 * 9)B"], reloadOn: [config] + rules,
                check: ["promtool", "check", "config", config]),
            on: node)
        try probe(
            "monitoring", on: node, .http(url: "http://127.0.0.1:9090/api/v1/query?query=up", host: nil, status: 200),
            unit: "prometheus.service", origin: origin)
    }
}

/// What Prometheus may use: measured with the whole stack on one node (docs/services/monitoring.md).
enum PrometheusMemory {
    /// What it takes with nothing to do, and for each series: its head chunks, labels and postings, and the collector's
    /// headroom.
    static let base = 160 << 20
    static let series = 12 << 10

    static func share(_ watch: Monitored) -> (bytes: Int, why: String) {
        let count = watch.jobs.reduce(0) { $0 + $1.targets.count * $1.series }
        let bytes = base + count * series
        return (bytes, "160 MiB + \(count) series × 12 KiB")
    }
}
