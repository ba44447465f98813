import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// The whole stack watched, on both releases: every query has data, and what breaks is told.
    @Suite(.serialized, .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct MonitoringStackTests {
        private let node: NodeName = "vps1"
        private static let services = """
              postgresql: {databases: {shop: {}}, settings: {max_connections: "30"}}
              pgbouncer: {poolSize: 2}
              redis: {cache: {maxMemory: 64MiB}, durable: {maxMemory: 64MiB}}
              nginx: {}
              certificates: {directory: "https://127.0.0.1:14000/dir", caBundle: authority.pem, challenge: http-01}
              mail: {domain: shop.example, admin: admin@other.example}

            """
        private static let app = """
                domains: [shop.example]
                metrics: /metrics
                env: {DATABASE_URL: !binding database.shop}

            """

        @Test(.timeLimit(.minutes(40)), arguments: ["debian12", "debian13"])
        func everyQueryHasDataAndEveryAlertFiresAndClears(image: String) async throws {
            try await Scene.with("stack") { scene in
                let text = Watched.fleet(
                    image: image, roles: "database, cache, web, app, mail, monitoring", services: Self.services,
                    app: Self.app, disk: ", disk: 3GiB", interval: "3s"
                ).replacing(
                    "webhook: !secret HOOK",
                    with: "webhook: !secret HOOK, grafana: {key: grafana.asc, repository: \"http://127.0.0.1:8642\"}")
                try scene.write("shop/server.py", Watched.app)
                try scene.write("hook.py", Watched.hook)
                try shortenRules(scene)
                let (archive, served) = try await makeNodeWithAuthorities(scene, image)
                defer { served.kill9() }
                try #require(
                    try await scene.bascule("secret", "set", "HOOK", stdin: "http://127.0.0.1:9999/alerts").status == 0)
                try await scene.converge(text)
                let again = try await scene.bascule("apply", "--yes")
                #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
                try await everyQueryHasData(scene)
                try await unitsAreLockedDown(scene)
                try await grafanaIsProvisioned(scene)
                try await whatBreaksIsToldAndClears(scene)
                try await brokenTLSIsToldAndClears(scene)
                try await aRepositoryWithAnotherKeyIsRefused(scene, text, archive)
            }
        }

        /// Waits of minutes and hours would make this a test of days: the fleet's own templates, the same but for `for:`,
        /// the windows of rates, and how old is too old.
        private func shortenRules(_ scene: Scene) throws {
            let folder = "\(Program.checkout)/Sources/Controller/Catalogue/Templates"
            for name in try FileManager.default.contentsOfDirectory(atPath: folder)
            where name.hasPrefix("monitoring-rules-") {
                var text = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
                text = text.replacing(#/for: \S+/#, with: "for: 4s").replacing(#/\[\d+[mh]\]/#, with: "[30s]")
                for (long, short) in [
                    ("prom\"} > 300", "prom\"} > 30"), ("tx_duration) > 600", "tx_duration) > 10"),
                    ("collected_timestamp_seconds > 600", "collected_timestamp_seconds > 30"),
                    ("oldest_seconds) > 7200", "oldest_seconds) > 20"),
                    ("_seen_timestamp_seconds < 3600", "_seen_timestamp_seconds < 60"),
                ] { text = text.replacing(long, with: short) }
                try scene.write("templates/\(name)", text)
            }
        }

        /// The node with what lies outside of it on other days: a certificate authority that believes every name, and the
        /// repository of Grafana's vendor.
        private func makeNodeWithAuthorities(_ scene: Scene, _ image: String) async throws -> (TinyArchive, Running) {
            try await scene.converge(
                """
                nodes: {vps1: {provider: lab, image: \(image), disk: 3GiB}}
                topologies: {single: {vps1: []}}
                resources: [{on: all, package: [pebble, openssl, python3]}]

                """)
            try await scene.shell(node, Watched.authority)
            try scene.write("authority.pem", try await scene.shell(node, "cat /etc/pebble/ca.pem"))
            let archive = try await TinyArchive("\(scene.folder)/archive", suite: "stable")
            try await archive.publish([Watched.grafana])
            try scene.write("grafana.asc", try await archive.publicKey())
            return (archive, try await archive.serve(on: node, of: scene, port: 8642))
        }

        /// Customers, errors and a backup, so that there is something to see.
        private func traffic(_ scene: Scene) async throws {
            try await scene.shell(
                node,
                """
                printf 'bascule_backup_last_success_timestamp_seconds{kind="base"} %s\\nbascule_backup_last_result{kind="base"} 1\\n' $(date +%s) > /var/lib/prometheus/node-exporter/bascule-backup-postgresql.prom
                grep -q shop.example /etc/hosts || echo 127.0.0.1 shop.example >> /etc/hosts
                python3 - <<'E'
                import ssl, urllib.request, urllib.error
                trust = ssl._create_unverified_context()
                for path in ["/", "/boom/1"] * 10:
                    try: urllib.request.urlopen("https://shop.example" + path, context=trust).read()
                    except urllib.error.HTTPError: pass
                E
                """)
        }

        private func everyQueryHasData(_ scene: Scene) async throws {
            var empty = ""
            let complete = try await eventually(within: 60, every: .seconds(2)) {
                try await traffic(scene)
                empty = try await scene.run(node, "python3", "-", stdin: Self.asking).all
                return empty.contains("queries") && !empty.contains("EMPTY") && !empty.contains("DOWN")
            }
            #expect(complete, "\(empty)")
        }

        /// Asks Prometheus every query of its rules and of the dashboards that were provisioned. A comparison gives nothing
        /// where all is well, so each is asked for its truth instead.
        private static let asking = #"""
            import glob, json, re, sys, urllib.parse, urllib.request

            def get(path):
                try: return json.load(urllib.request.urlopen("http://127.0.0.1:9090/api/v1/" + path))["data"]
                except urllib.error.HTTPError as error: print("EMPTY", path, error.read()); return {"result": [0]}

            queries = []
            for path in glob.glob("/etc/grafana/bascule/*.json"):
                for panel in json.load(open(path))["panels"]:
                    if panel["datasource"] != {"type": "prometheus", "uid": "bascule"}: print("DOWN", path, panel["title"])
                    queries += [target["expr"] for target in panel["targets"]]
            if len(queries) < 35: print("DOWN", len(queries), "queries of dashboards")
            for group in get("rules")["groups"]: queries += [rule["query"] for rule in group["rules"]]
            def always(query):
                parts = re.split(r"(\{[^}]*\})", query)
                return "".join(p if p.startswith("{") else re.sub(r"(==|!=|<=|>=|<|>)(?! bool)", r"\1 bool ", p) for p in parts)
            for query in queries:
                # A node in a container may not even ask the kernel how well its clock is kept.
                if "timex" in query: continue
                if not get("query?" + urllib.parse.urlencode({"query": always(query)}))["result"]: print("EMPTY", query)
            for target in get("targets")["activeTargets"]:
                if target["health"] != "up": print("DOWN", target["scrapeUrl"], target["lastError"])
            for unit in get("query?query=node_systemd_unit_state%7Bstate%3D%22failed%22%7D==1")["result"]: print("DOWN", unit["metric"]["name"])
            print(len(queries), "queries")
            """#

        private func unitsAreLockedDown(_ scene: Scene) async throws {
            let text = try await scene.shell(
                node,
                """
                for u in $(cd /etc/systemd/system; ls -d prometheus*.service.d mtail.service.d bascule-errors.service bascule-*-metrics.service | sed 's/[.]d$//'); do
                    echo $u $(systemd-analyze security --no-pager $u | tail -1 | grep -oE '[0-9.]+ [A-Z]+' | head -1); done
                """)
            let levels = text.split(separator: "\n").map { $0.split(separator: " ") }
            #expect(levels.count >= 10, "\(text)")
            for words in levels { #expect(words.count > 1 && (Double(words[1]) ?? 10) <= 3, "\(words)") }
        }

        /// Alerts by Prometheus's own word: those that fire, those that have fired, and those that it has rules for.
        private func alerts(_ scene: Scene) async throws -> (firing: Set<String>, fired: Set<String>, all: Set<String>)
        {
            let script = """
                import json, urllib.parse, urllib.request
                def get(path): return json.load(urllib.request.urlopen("http://127.0.0.1:9090/api/v1/" + path))["data"]
                def names(query): return " ".join({r["metric"]["alertname"] for r in get("query?" + urllib.parse.urlencode({"query": query}))["result"]})
                print(names('ALERTS{alertstate="firing"}'))
                print(names('count_over_time(ALERTS{alertstate="firing"}[2h])'))
                print(" ".join(rule["name"] for group in get("rules")["groups"] for rule in group["rules"] if rule["type"] == "alerting"))
                """
            let lines = try await scene.run(node, "python3", "-", stdin: script).text
                .split(separator: "\n", omittingEmptySubsequences: false)
                .map { Set($0.split(separator: " ").map(String.init)) }
            return lines.count > 2 ? (lines[0], lines[1], lines[2]) : ([], [], [])
        }

        /// What the webhook was told: alerts by name, those that fire or those that were resolved.
        private func told(_ scene: Scene, _ status: String) async throws -> Set<String> {
            let script = """
                import json
                alerts = [a for line in open("/srv/hook/alerts") if line.strip() for a in json.loads(line)["alerts"]]
                print(" ".join({a["labels"]["alertname"] for a in alerts if a["status"] == "\(status)"}))
                """
            return Set(
                try await scene.run(node, "python3", "-", stdin: script).text.split(whereSeparator: \.isWhitespace)
                    .map(String.init))
        }

        private func whatBreaksIsToldAndClears(_ scene: Scene) async throws {
            var (must, isHeld): (Set<String>, Bool) = (["Watchdog"], false)
            for trouble in Trouble.all {
                let made = try await scene.lab.exec(
                    node, ["bash", "-s"], stdin: Array(trouble.makes.utf8), deadline: .seconds(240))
                must.formUnion(trouble.alerts)
                var (lacking, unheard) = (must, must)
                let happened = try await eventually(within: 60, every: .seconds(3)) {
                    lacking = must.subtracting(try await alerts(scene).fired)
                    return lacking.isEmpty
                }
                #expect(happened, "not fired: \(lacking.sorted()) after \(made.all)")
                // Nobody hears of the last one: who would be told is not there.
                let heard = try await eventually(
                    within: trouble.alerts.contains("NodeDown") ? 0 : 30, every: .seconds(2)
                ) {
                    unheard = must.subtracting(try await told(scene, "firing")).subtracting(Trouble.silenced)
                    return unheard == ["Watchdog"]
                }
                #expect(
                    heard || trouble.alerts.contains("NodeDown"),
                    "the administrator was not told of \(unheard.sorted())")
                let mended = try await scene.lab.exec(
                    node, ["bash", "-s"], stdin: Array(trouble.mends.utf8), deadline: .seconds(240))
                #expect(mended.status == 0, "\(mended.all)")
                // The first was for a node that heals itself.
                if !isHeld { isHeld = try await scene.bascule("hold", "vps1", "--for", "60m").status == 0 }
                #expect(isHeld)
            }
            // Whatever rule somebody adds has to be provoked here.
            #expect(try await alerts(scene).all.subtracting(must) == [])
            #expect(try await scene.bascule("drift").status == 2)
            let mended = try await scene.bascule("apply", "--yes")
            #expect(mended.status == 0, "\(mended.all)")
            // What is due now has to be asked for: the timer would, within hours. What was reloaded by hand while it was wrong
            // the apply has reloaded.
            try await scene.shell(node, "systemctl start bascule-certificates.service")
            try await everythingIsWell(scene)
            var unresolved = must
            let resolved = try await eventually(within: 60, every: .seconds(3)) {
                unresolved = must.subtracting(try await told(scene, "resolved")).subtracting(Trouble.silenced)
                return unresolved == ["Watchdog"]
            }
            #expect(resolved, "the administrator was not told of the end of \(unresolved.sorted())")
        }

        private func everythingIsWell(_ scene: Scene) async throws {
            _ = try await scene.run(node, "bash", "-s", stdin: Trouble.calm)
            var firing: Set<String> = []
            let cleared = try await eventually(within: 60, every: .seconds(3)) {
                firing = try await alerts(scene).firing
                return firing == ["Watchdog"]
            }
            #expect(cleared, "still firing: \(firing.sorted())")
        }

        /// Nginx serves, and refuses every handshake for the shop's name.
        private func brokenTLSIsToldAndClears(_ scene: Scene) async throws {
            try await scene.shell(
                node,
                """
                : > /srv/hook/alerts
                sed -i 's/^    ssl_certificate_key/    ssl_reject_handshake on;\\n&/' $(grep -rl 'ssl_certificate_key.*shop\\|shop.pem' /etc/nginx --include='*.conf' | head -1)
                nginx -t -q && systemctl reload nginx
                """)
            let heard = try await eventually(within: 60, every: .seconds(2)) {
                try await told(scene, "firing").contains("SiteDown")
            }
            #expect(heard, "a site that refuses TLS")
            #expect(try await told(scene, "firing").isDisjoint(with: ["NginxDown", "ServiceDown"]))
            // Whoever reloaded what was wrong by hand need not reload what is right.
            let mended = try await scene.bascule("apply", "--yes")
            #expect(mended.status == 0, "\(mended.all)")
            try await everythingIsWell(scene)
        }

        /// The vendor's package is out of reach here: one of the same name, unit and user stands in for it, in a
        /// repository of the same shape with a key of its own.
        private func grafanaIsProvisioned(_ scene: Scene) async throws {
            #expect(
                try await scene.shell(
                    node, "stat -c '%G %a' /etc/grafana/grafana.ini; ss -Hltn sport = :3900 | awk '{print $4}'")
                    == "grafana 640\n127.0.0.1:3900")
            // As the vendor's own program reads it: through the URL of the provisioned data source.
            let source = try await scene.shell(
                node,
                "sed -n 's/^ *uid: //p' /etc/grafana/provisioning/datasources/bascule.yaml; wget=$(sed -n 's/^ *url: //p' /etc/grafana/provisioning/datasources/bascule.yaml); python3 -c \"import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1] + '/api/v1/query?query=1').status)\" $wget; sed -n 's/^ *path: //p' /etc/grafana/provisioning/dashboards/bascule.yaml"
            )
            #expect(source == "bascule\n200\n/etc/grafana/bascule")
            let tunnel = try await scene.bascule("monitoring", "tunnel")
            #expect(tunnel.text.contains("-L 3900:127.0.0.1:3900"), "\(tunnel.all)")
        }

        /// Whoever signs with another key than the one that the fleet pins is not installed from.
        private func aRepositoryWithAnotherKeyIsRefused(
            _ scene: Scene, _ text: String, _ archive: TinyArchive
        ) async throws {
            let stranger = try await TinyArchive("\(scene.folder)/stranger", suite: "stable")
            let key = try scene.read("grafana.asc")
            try scene.write("grafana.asc", try await stranger.publicKey())
            try await scene.shell(node, "apt-get purge -qy grafana && systemctl stop grafana-server")
            let refused = try await scene.bascule("apply", "--yes")
            #expect(refused.status == 1 && refused.all.contains("[repository-refused]"), "\(refused.all)")
            #expect(try await scene.run(node, "dpkg", "-s", "grafana").status != 0)
            try scene.write("grafana.asc", key)
            let mended = try await scene.bascule("apply", "--yes")
            #expect(mended.status == 0, "\(mended.all)")
            #expect(try await scene.shell(node, "systemctl is-active grafana-server") == "active")
        }
    }
}
