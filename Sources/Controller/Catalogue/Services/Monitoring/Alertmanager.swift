import BasculeFleet
import BasculeModel

/// Who is told, and through what.
extension Compilation {
    mutating func placeAlertmanager(_ watch: inout Monitored) throws {
        let (origin, node, service) = (Self.monitoringOrigin, watch.home, watch.service)
        let name = "prometheus-alertmanager"
        try packages([name], on: node, origin: origin)
        for secret in [service.webhook, service.heartbeat, service.mail?.password].compactMap({ $0 }) {
            try note(secret, .given)
        }
        if service.mail == nil, service.webhook == nil {
            output.warnings.append(
                BasculeError(
                    .catalogueNobodyTold, "alerts reach nobody", at: place("services.monitoring"),
                    hint: "add services.monitoring.mail or services.monitoring.webhook"))
        }
        func content(_ name: SecretName?) -> Variable { .content(.parts(name.map { [.secret($0)] } ?? [])) }
        let mail = service.mail
        let own = output.mail.flatMap { $0.node == node ? $0 : nil }
        if let mail, mail.host == nil, own == nil {
            throw BasculeError(
                .catalogueUnplaced, "alerts go by mail, and nothing on \(node) sends it",
                at: place("services.monitoring.mail"),
                hint: "declare services.mail with its role on \(node), or write mail.host")
        }
        let config = "\(Self.prometheusFolder)/alertmanager.yml"
        let interval = Self.wholeSeconds(service.interval)
        let text = try render(
            "monitoring-alertmanager.yml",
            [
                "hasMail": .flag(mail != nil), "host": .text(mail?.host ?? own?.host ?? ""),
                "port": .integer(mail?.host == nil ? own?.port ?? 0 : mail?.port ?? 587),
                "from": .text(mail?.from ?? ""),
                "to": .text(mail?.to.joined(separator: ", ") ?? ""), "isOwnMail": .flag(mail?.host == nil),
                "hasLogin": .flag(mail?.user != nil), "user": .text(mail?.user ?? ""),
                "password": content(mail?.password), "hasWebhook": .flag(service.webhook != nil),
                "webhook": content(service.webhook), "hasHeartbeat": .flag(service.heartbeat != nil),
                "heartbeat": content(service.heartbeat), "wait": .integer(2 * interval),
                "again": .integer(20 * interval), "repeats": .integer(Self.wholeSeconds(service.repeats)),
            ])
        let owned = Permissions(owner: "root", group: "prometheus", mode: 0o640)
        try add(.file(FileSpec(config, text, permissions: owned)), on: node, origin: origin)
        var daemon = Daemon(
            name,
            arguments: [
                "--config.file=\(config)", "--storage.path=/var/lib/prometheus/alertmanager",
                "--web.listen-address=127.0.0.1:9093",
                // It stands alone: no port for others of its kind.
                "--cluster.listen-address=",
            ], memory: 64 << 20, why: "its measured peak, doubled", writable: ["/var/lib/prometheus/alertmanager"],
            reloadOn: [config], check: ["amtool", "check-config", config])
        daemon.needsNetwork = true
        try placeDaemon(daemon, on: node)
        try probe(
            "monitoring.alerts", on: node, .http(url: "http://127.0.0.1:9093/api/v2/status", host: nil, status: 200),
            unit: "\(name).service", origin: origin)
        watch.add(
            Monitored.Target(address: "127.0.0.1:9090", labels: ["node": node.rawValue]),
            to: Monitored.Job(name: "prometheus", series: 800))
        watch.add(
            Monitored.Target(address: "127.0.0.1:9093", labels: ["node": node.rawValue]),
            to: Monitored.Job(name: "alertmanager", series: 400))
    }
}
