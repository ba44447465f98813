import BasculeFleet
import BasculeModel
import Foundation

/// Grafana from its vendor's signed repository, with what it shows already in place.
extension Compilation {
    static var dashboards: [String] { ["node", "web", "data", "errors"] }

    mutating func placeGrafana(_ watch: Monitored) throws {
        guard let grafana = watch.service.grafana else { return }
        let (origin, node) = (Self.monitoringOrigin, watch.home)
        let key = try TemplateSource(file: "\(fleet.folder)/\(grafana.key)").text
        try add(
            .aptRepository(
                AptRepositorySpec(
                    "grafana", uris: [grafana.repository], suites: ["stable"], components: ["main"], key: Content(key))),
            on: node, origin: origin)
        try packages(["grafana"], on: node, origin: origin)
        let password = SecretName("generated.grafana.admin")
        try note(password, .generated(length: Self.passwordLength))
        let owned = Permissions(owner: "root", group: "grafana", mode: 0o640)
        let ini = "/etc/grafana/grafana.ini"
        var files = [
            (
                ini,
                try render(
                    "grafana.ini",
                    ["port": .integer(grafana.port), "password": .content(.parts([.secret(password)]))])
            ),
            ("/etc/grafana/provisioning/datasources/bascule.yaml", try render("grafana-datasource.yaml", [:])),
            ("/etc/grafana/provisioning/dashboards/bascule.yaml", try render("grafana-dashboards.yaml", [:])),
        ]
        for name in shownDashboards(watch) {
            files.append(("/etc/grafana/bascule/\(name).json", try render("grafana-dashboard-\(name).json", [:])))
        }
        for (path, content) in files {
            try add(.file(FileSpec(path, content, permissions: owned)), on: node, origin: origin)
        }
        let memory = 256 << 20
        let dropIn = try render(
            "monitoring-hardening.conf",
            [
                "memory": .text("\(memory)"), "environment": .list([]),
                "writable": .texts(["/var/lib/grafana", "/var/log/grafana", "/run/grafana"]), "lines": .list([]),
                "isLocal": true, "peers": .list([]),
            ])
        try add(
            .unit(
                UnitSpec("grafana-server.service", dropIns: ["10-bascule.conf": dropIn], restartOn: files.map(\.0))),
            on: node, origin: origin)
        reserve(memory, for: "grafana", on: node, why: "what its unit lets it have")
        try probe(
            "monitoring.grafana", on: node,
            .http(url: "http://127.0.0.1:\(grafana.port)/api/health", host: nil, status: 200),
            unit: "grafana-server.service", origin: origin)
    }

    /// Dashboards of which something is placed.
    private func shownDashboards(_ watch: Monitored) -> [String] {
        Self.dashboards.filter { name in
            switch name {
            case "web": watch.hasAccessLogs
            case "data": watch.has("postgresql") || watch.has("redis")
            case "errors": !watch.appsOfErrors.isEmpty
            default: true
            }
        }
    }
}
