import BasculeModel

/// `services.monitoring`: Prometheus, Alertmanager, the exporters of what else is declared, error tracking, Grafana.
package struct Monitoring: Sendable, Equatable {
    /// Default 15 days.
    package var retention: Duration = .seconds(15 * 86_400)
    /// Default 1 GiB; the older samples go first.
    package var retentionSize = ByteSize.gibibytes(1)
    /// Default 15 s.
    package var interval: Duration = .seconds(15)
    /// Default 500 ms, the target of the p95.
    package var latency: Duration = .milliseconds(500)
    /// Default 1 %; a tenth of it warns.
    package var serverErrors = Percentage(1)
    package var mail: AlertMail?
    /// A secret that is a whole URL, which gets every alert as JSON.
    package var webhook: SecretName?
    /// A secret that is a whole URL, called for as long as monitoring itself is alive.
    package var heartbeat: SecretName?
    /// Default 4 h.
    package var repeats: Duration = .seconds(4 * 3600)
    package var grafana: Grafana?
    package init() {}

    /// The channels by which the administrator is told, as Alertmanager calls them.
    package var channels: [String] { (mail == nil ? [] : ["email"]) + (webhook == nil ? [] : ["webhook"]) }

    /// Where Prometheus, Alertmanager and the exporters listen, each the number that is its own by custom: node, nginx,
    /// blackbox, Redis, PgBouncer, Postfix, PostgreSQL, and the access logs'.
    package static let ports = [9090, 9093, 9100, 9113, 9115, 9121, 9127, 9154, 9187, 3903]

    /// Who gets alerts by mail, and through which server.
    package struct AlertMail: Sendable, Equatable {
        package var to: [String] = []
        package var from = ""
        /// Without it, the fleet's own mail service on the same node.
        package var host: String?
        /// Default 587.
        package var port = 587
        package var user: String?
        package var password: SecretName?
        package init() {}
    }

    /// Grafana from its vendor's repository.
    package struct Grafana: Sendable, Equatable {
        /// The vendor's public key, a file of the fleet's folder.
        package var key = ""
        /// Default https://apt.grafana.com.
        package var repository = "https://apt.grafana.com"
        /// Default 3900: 3000, its own, is where apps like to listen.
        package var port = 3900
        package init() {}
    }
}

extension Monitoring: Declared {
    static var about: String { "Prometheus, alerts, exporters and error tracking on the node with the role monitoring" }
    static var fields: [Field<Monitoring>] {
        [
            .key("retention", \.retention, .duration, "How long samples are kept"),
            .key("retentionSize", \.retentionSize, .size, "How much disk they may take; the oldest go first"),
            .key("interval", \.interval, .duration, "Time between two looks at every metric"),
            .key("latency", \.latency, .duration, "An app whose 95th percentile is beyond it raises an alert"),
            .key(
                "serverErrors", \.serverErrors, .percentage,
                "Share of 5xx answers that is critical; a tenth of it warns"),
            .key("mail", \.mail, .object, "Alerts by mail"),
            .key("webhook", \.webhook, .secret, "Alerts as JSON to this URL"),
            .key("heartbeat", \.heartbeat, .secret, "A URL called every minute while monitoring itself is alive"),
            .key("repeats", \.repeats, .duration, "Time after which an alert that still fires is sent again"),
            .key("grafana", \.grafana, .object, "Grafana with dashboards; without it there is none"),
        ]
    }
}

extension Monitoring.AlertMail: Declared {
    static var about: String { "Alerts by mail" }
    static var fields: [Field<Monitoring.AlertMail>] {
        [
            .key("to", \.to, .list(.line("a mail address")), required: true, "Who gets them"),
            .key("from", \.from, .line("a mail address"), required: true, "The sender"),
            .key("host", \.host, .host, "An SMTP server; the fleet's own mail service if absent"),
            .key("port", \.port, .port, "Its port"),
            .key("user", \.user, .line("a login name"), "Its login"),
            .key("password", \.password, .secret, "The login's password"),
        ]
    }
}

extension Monitoring.Grafana: Declared {
    static var about: String { "Grafana from its vendor's signed repository, reached through an SSH tunnel" }
    static var fields: [Field<Monitoring.Grafana>] {
        [
            .key("key", \.key, .fleetPath, required: true, "The repository's public key, ASCII-armoured"),
            .key("repository", \.repository, .line("a repository's URL"), "Where its packages are"),
            .key("port", \.port, .port, "Where it listens, on the loopback"),
        ]
    }
}

extension Codec where Value == Percentage {
    static var percentage: Codec {
        .scalar(
            "a percentage such as 1%", pattern: "^[0-9]{1,3}([.][0-9]{1,4})?%$",
            show: { .text("\($0.value == $0.value.rounded() ? "\(Int($0.value))" : "\($0.value)")%") },
            parse: { UnitText.percentage($0) })
    }
}
