import BasculeFleet
import BasculeModel

/// Nginx, its access logs, and the sites as a customer sees them.
extension Compilation {
    /// Nginx's own counters, and from the access logs what they do not tell: statuses and latencies by app.
    mutating func placeNginxExporters(_ watch: inout Monitored) throws {
        guard fleet.services.nginx != nil else { return }
        for node in topology.nodes(with: .web) {
            let address = try placeExporter(
                "prometheus-nginx-exporter", port: 9113,
                arguments: ["--nginx.scrape-uri=http://127.0.0.1:\(Self.innerPort)/.bascule/nginx-status"],
                memory: 32 << 20, on: node, watch)
            watch.add(
                Monitored.Target(address: address, labels: ["node": node.rawValue]),
                to: Monitored.Job(name: "nginx", series: 60))
            try placeAccessLogs(on: node, &watch)
        }
    }

    private mutating func placeAccessLogs(on node: NodeName, _ watch: inout Monitored) throws {
        let sites = output.sites.filter { $0.node == node }
        guard !sites.isEmpty else { return }
        try packages(["mtail"], on: node, origin: Self.monitoringOrigin)
        let program = "/etc/mtail/bascule-access.mtail"
        let limits = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
        let target = Double(Self.milliseconds(watch.service.latency)) / 1000
        let buckets = (limits.contains(target) ? limits : (limits + [target]).sorted()).map { "\($0)" }
        try add(
            .file(
                FileSpec(
                    program,
                    try render("monitoring-access.mtail", ["buckets": .text(buckets.joined(separator: ", "))]))),
            on: node, origin: Self.monitoringOrigin)
        let (address, peers) = try listen(3903, "mtail", on: node, watch)
        let parts = address.split(separator: ":")
        let logs = sites.map(\.accessLog).joined(separator: ",")
        var daemon = Daemon(
            "mtail", arguments: [], memory: 64 << 20, why: "its measured peak, doubled", restartOn: [program])
        daemon.defaults = [
            "ENABLED=1", "PORT=3903", "HOST=\(parts.dropLast().joined(separator: ":"))", "LOGS=\(logs)",
            "EXTRA_ARGS=\"--progs=/etc/mtail --address=\(parts.dropLast().joined(separator: ":"))\"",
        ]
        daemon.peers = peers
        try placeDaemon(
            daemon, on: node, requires: [ResourceID(node: node, kind: "unit", name: "nginx.service")])
        watch.hasAccessLogs = true
        watch.add(
            Monitored.Target(address: address, labels: ["node": node.rawValue]),
            to: Monitored.Job(name: "access", series: 150))
    }

    static func milliseconds(_ duration: Duration) -> Int {
        let parts = duration.components
        return Int(parts.seconds) * 1000 + Int(parts.attoseconds / 1_000_000_000_000_000)
    }

    /// Every domain through TLS, as a customer comes to it, and every probe of the apps' health.
    mutating func placeBlackboxExporter(_ watch: inout Monitored) throws {
        let sites = output.sites
        guard !sites.isEmpty else { return }
        for node in Set(sites.map(\.node)).sorted() {
            let config = "\(Self.prometheusFolder)/blackbox.yml"
            try add(
                .file(FileSpec(config, try render("monitoring-blackbox.yml", [:]))), on: node,
                origin: Self.monitoringOrigin)
            let address = try placeExporter(
                "prometheus-blackbox-exporter", port: 9115, arguments: ["--config.file=\(config)"], memory: 48 << 20,
                on: node, watch
            ) {
                $0.reloadOn = [config]
                $0.check = ["prometheus-blackbox-exporter", "--config.check", "--config.file=\(config)"]
            }
            watch.hasSites = true
            for site in sites where site.node == node {
                let path = fleet.apps.first { $0.key.rawValue == site.app.rawValue }?.value.health?.path ?? "/"
                for domain in site.domains where !domain.hasPrefix("*") {
                    watch.add(
                        Monitored.Target(
                            address: "https://127.0.0.1\(path)",
                            labels: [
                                "node": node.rawValue, "app": site.app.rawValue, "domain": domain,
                                "__param_hostname": domain,
                            ]),
                        to: Monitored.Job(
                            name: nodes.count > 1 && node != watch.home ? "sites-\(node)" : "sites", path: "/probe",
                            series: 30, proxy: (address, "site")))
                }
            }
        }
    }
}
