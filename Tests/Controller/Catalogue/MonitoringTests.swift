import BasculeFleet
import BasculeModel
import Foundation
import Testing

@testable import BasculeCatalogue

@Suite struct MonitoringTests {
    /// Everything that is watched, on one node.
    static let wholeFleet = """
        fleet: watched
        nodes:
          vps1: {address: 192.0.2.7}
        topologies:
          single: {vps1: [database, cache, web, app, mail, monitoring, backup]}
        topology: single
        services:
          postgresql: {databases: {shop: {}}}
          pgbouncer: {}
          redis: {cache: {}, durable: {}}
          nginx: {}
          mail: {domain: shop.example, admin: admin@other.example}
          certificates: {email: a@shop.example}
          backup: {targets: {local: {path: /srv/backup}}}
          monitoring:
            webhook: !secret ALERT_WEBHOOK
            heartbeat: !secret HEARTBEAT
            mail: {to: [a@shop.example, b@shop.example], from: alerts@shop.example, host: smtp.example, user: u, password: !secret SMTP}
        apps:
          shop:
            source: {path: shop}
            start: node server.js
            instances: 2
            port: 3000
            health: {path: /healthz}
            domains: [shop.example]
            metrics: /metrics
        """

    private func whole(_ adjust: (inout CompileContext) -> Void = { _ in }) throws -> Compiled {
        try CatalogueFolder().compile(Self.wholeFleet, adjust)
    }

    @Test(arguments: DebianRelease.allCases) func nothingListensForOthersAndNothingIsOpened(release: DebianRelease)
        throws
    {
        let compiled = try whole { $0.releases = ["vps1": release] }
        #expect(compiled.rules() == ["tcp/22", "tcp/80", "tcp/443"])
        let daemons = [
            "prometheus", "prometheus-alertmanager", "prometheus-node-exporter", "prometheus-postgres-exporter",
            "prometheus-redis-exporter", "prometheus-nginx-exporter", "prometheus-blackbox-exporter",
        ]
        for name in daemons {
            #expect(compiled.text("/etc/default/\(name)").contains("--web.listen-address=127.0.0.1:"), "\(name)")
            let unit = try #require(compiled.unit("\(name).service"))
            let dropIn = try #require(unit.dropIns["10-bascule.conf"]).display
            #expect(dropIn.contains("MemoryMax=") && dropIn.contains("ProtectSystem=strict"))
            #expect(unit.restartOn.contains("/etc/default/\(name)"))
        }
    }

    @Test func secretsStandOnlyInFilesThatTheirReaderAloneCanRead() throws {
        let compiled = try whole()
        for item in compiled.resources["vps1"] ?? [] {
            guard case .file(let spec) = item.resource, spec.path.hasPrefix("/etc/"), !spec.content.secrets.isEmpty
            else { continue }
            #expect(spec.permissions.mode & 0o007 == 0, "\(spec.path)")
        }
        #expect(compiled.secrets["ALERT_WEBHOOK"] == .given && compiled.secrets["SMTP"] == .given)
        let alerts = compiled.text("/etc/prometheus/alertmanager.yml")
        #expect(alerts.contains("smtp.example:587") && alerts.contains("a@shop.example, b@shop.example"))
        #expect(!alerts.contains("smtp_require_tls: false"))
        #expect(compiled.warnings.isEmpty, "\(compiled.warnings)")
    }

    @Test func alertsGoThroughTheFleetsOwnMailWhereNoServerIsNamed() throws {
        let own = Self.wholeFleet.replacing(", host: smtp.example, user: u, password: !secret SMTP", with: "")
        let alerts = try CatalogueFolder().compile(own).text("/etc/prometheus/alertmanager.yml")
        #expect(alerts.contains("127.0.0.1:587") && alerts.contains("smtp_require_tls: false"))
        let alone = """
            fleet: w
            nodes: {vps1: {address: 192.0.2.7}}
            topologies: {single: {vps1: [monitoring]}}
            services: {monitoring: {mail: {to: [a@b.example], from: c@b.example}}}
            """
        #expect(try CatalogueFolder().error(alone)?.code == .catalogueUnplaced)
    }

    @Test func whoeverToldNobodyIsWarned() throws {
        let compiled = try CatalogueFolder().compile(
            """
            fleet: w
            nodes: {vps1: {address: 192.0.2.7}}
            topologies: {single: {vps1: [monitoring]}}
            services: {monitoring: {}}
            """)
        #expect(compiled.warnings.map(\.code) == [.catalogueNobodyTold])
        #expect(compiled.unit("bascule-errors.timer") == nil && compiled.unit("mtail.service") == nil)
        #expect(compiled.rules() == ["tcp/22"])
    }

    @Test func theUnitsThatMustRunAreThoseThatAreDeclared() throws {
        let rules = try whole().text("/etc/prometheus/rules/bascule-services.yml")
        for unit in ["nginx[.]service", "postgresql@15-main[.]service", "bascule-shop@3001[.]service"] {
            #expect(rules.contains(unit), "\(unit)")
        }
        #expect(!rules.contains("redis-server[.]service"), "it is masked")
    }

    @Test func everyInstanceAndEveryDomainIsWatched() throws {
        let config = try whole().text("/etc/prometheus/prometheus.yml")
        for text in [
            "127.0.0.1:3000", "127.0.0.1:3001", "__param_hostname: \"shop.example\"", "redis://127.0.0.1:6380",
        ] {
            #expect(config.contains(text), "\(text)")
        }
    }

    /// A node elsewhere listens on its own address and lets in the monitoring node alone.
    @Test func anExporterElsewhereIsOpenedToMonitoringAlone() throws {
        let compiled = try CatalogueFolder().compile(
            """
            fleet: w
            nodes: {vps1: {address: 192.0.2.7}, vps2: {address: 192.0.2.8}}
            topologies: {two: {vps1: [monitoring], vps2: [database]}}
            services: {postgresql: {databases: {shop: {}}}, monitoring: {webhook: !secret W}}
            """)
        #expect(compiled.rules(on: "vps2") == ["tcp/22", "tcp/9100 192.0.2.7/32", "tcp/9187 192.0.2.7/32"])
        #expect(compiled.rules(on: "vps1") == ["tcp/22"])
        #expect(
            compiled.text("/etc/default/prometheus-node-exporter", on: "vps2").contains("=192.0.2.8:9100"))
        #expect(compiled.text("/etc/prometheus/prometheus.yml").contains("192.0.2.8:9187"))
        #expect(compiled.warnings.map(\.code) == [.catalogueUnencrypted])
    }

    @Test func pgBouncerIsReadByWhatItsReleaseHas() throws {
        let old = try whole { $0.releases = ["vps1": .bookworm] }
        #expect(old.unit("prometheus-pgbouncer-exporter.service") == nil)
        #expect(old.unit("bascule-pgbouncer-metrics.timer")?.state == .running)
        let new = try whole { $0.releases = ["vps1": .trixie] }
        let exporter = new.resources["vps1"]?.first {
            $0.id.description.hasSuffix("unit:prometheus-pgbouncer-exporter.service")
        }
        #expect(
            exporter?.requires.contains { $0.description.hasSuffix("unit:pgbouncer.service") } == true,
            "Debian's unit starts PgBouncer with it, whose files must be there")
        #expect(new.text("/etc/default/prometheus-pgbouncer-exporter").contains("user=pgbouncer"))
        #expect(new.unit("bascule-pgbouncer-metrics.timer") == nil)
        // Both run as postgres, whose shared memory must outlive them.
        let texts = [
            old.unit("bascule-pgbouncer-metrics.service")?.content?.display,
            new.unit("prometheus-pgbouncer-exporter.service")?.dropIns["10-bascule.conf"]?.display,
        ]
        for text in texts {
            let last = text?.split(separator: "\n").last { $0.hasPrefix("RemoveIPC=") } ?? "RemoveIPC=false"
            #expect(text != nil && last == "RemoveIPC=false")
        }
    }

    @Test func theMemoryIsReserved() throws {
        let shares = try whole().memory.filter { $0.service.contains("prometheus") }
        #expect(shares.count >= 7 && shares.allSatisfy { $0.bytes >= 32 << 20 && !$0.why.isEmpty })
    }

    @Test func grafanaComesFromItsRepositoryWithItsDashboards() throws {
        let folder = try CatalogueFolder(["grafana.asc": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"])
        let text = Self.wholeFleet.replacing(
            "webhook: !secret ALERT_WEBHOOK", with: "webhook: !secret ALERT_WEBHOOK\n    grafana: {key: grafana.asc}")
        let compiled = try folder.compile(text)
        guard case .aptRepository(let repository)? = compiled.find("aptRepository:grafana")?.resource else {
            Issue.record("no repository")
            return
        }
        #expect(repository.uris == ["https://apt.grafana.com"] && repository.key.display.contains("BEGIN PGP"))
        #expect(compiled.text("/etc/grafana/grafana.ini").contains("http_addr = 127.0.0.1"))
        for name in Compilation.dashboards {
            let text = compiled.text("/etc/grafana/bascule/\(name).json")
            #expect(try JSONSerialization.jsonObject(with: Data(text.utf8)) is [String: Any], "\(name)")
        }
    }
}
