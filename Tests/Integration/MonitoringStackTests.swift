import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// The whole stack watched, on both releases: every query has data, and what breaks is told.
    @Suite(.serialized, .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct MonitoringStackTests {
        private let node: NodeName = "vps1"
        private static let services = """
              postgresql: {databases: {shop: {}}}
              pgbouncer: {}
              redis: {cache: {maxMemory: 64MiB}, durable: {maxMemory: 64MiB}}
              nginx: {}
              mail: {domain: shop.example, admin: admin@other.example}

            """

        @Test(arguments: ["debian12", "debian13"]) func everyQueryHasDataAndWhatBreaksIsTold(image: String) async throws
        {
            try await Scene.with("stack") { scene in
                try scene.write("shop/server.py", Watched.app)
                try scene.write("hook.py", Watched.hook)
                let app = """
                        domains: [shop.example]
                        metrics: /metrics
                        env: {DATABASE_URL: !binding database.shop}

                    """
                let text = Watched.fleet(
                    image: image, roles: "database, cache, web, app, mail, monitoring", services: Self.services,
                    app: app,
                    disk: ", disk: 8GiB", interval: "5s")
                try scene.fleet(text)
                try #require(
                    try await scene.bascule("secret", "set", "HOOK", stdin: "http://127.0.0.1:9999/alerts").status == 0)
                try await scene.converge(text)
                let again = try await scene.bascule("apply", "--yes")
                #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
                try await everyQueryHasData(scene)
                try await unitsAreLockedDown(scene)
                try await whatBreaksIsToldAndClears(scene, image)
                try await grafanaComesFromASignedRepository(scene, text)
            }
        }

        /// Customers, errors and a backup, so that there is something to see.
        private func traffic(_ scene: Scene) async throws {
            try await scene.shell(
                node,
                "mkdir -p /var/lib/prometheus/node-exporter; t=$(date +%s); printf 'bascule_backup_last_success_timestamp_seconds{kind=\"base\"} %s\\n' $t > /var/lib/prometheus/node-exporter/test.prom"
            )
            try await scene.shell(
                node,
                """
                grep -q shop.example /etc/hosts || echo 127.0.0.1 shop.example >> /etc/hosts
                python3 - <<'E'
                import ssl, urllib.request, urllib.error
                trust = ssl._create_unverified_context()
                for path in ["/", "/boom/1"] * 40:
                    try: urllib.request.urlopen("https://shop.example" + path, context=trust).read()
                    except urllib.error.HTTPError: pass
                E
                """)
        }

        private func everyQueryHasData(_ scene: Scene) async throws {
            var empty = ""
            let complete = try await eventually(within: 150, every: .seconds(3)) {
                try await traffic(scene)
                empty = try await scene.lab.exec(
                    node, ["python3", "-c", Self.asking], stdin: Array(try Self.dashboardQueries().utf8),
                    deadline: .seconds(60)
                ).all
                return empty.contains("queries") && !empty.contains("EMPTY") && !empty.contains("DOWN")
            }
            #expect(complete, "\(empty)")
        }

        /// The queries of the dashboards, one a line.
        private static func dashboardQueries() throws -> String {
            let folder = "\(Program.checkout)/Sources/Controller/Catalogue/Templates"
            var queries: [String] = []
            for name in try FileManager.default.contentsOfDirectory(atPath: folder)
            where name.hasPrefix("grafana-dashboard-") {
                let text = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
                let json = text.split(separator: "\n").dropFirst().joined(separator: "\n")
                let board = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
                for case let panel as [String: Any] in board["panels"] as? [Any] ?? [] {
                    for case let target as [String: Any] in panel["targets"] as? [Any] ?? [] {
                        queries.append(try #require(target["expr"] as? String))
                    }
                }
            }
            try #require(queries.count > 30)
            return queries.joined(separator: "\n") + "\n"
        }

        /// Asks Prometheus every query of its rules and of standard input. A comparison gives nothing where all is well,
        /// so each is asked for its truth instead.
        private static let asking = #"""
            import json, re, sys, urllib.parse, urllib.request

            def get(path):
                try: return json.load(urllib.request.urlopen("http://127.0.0.1:9090/api/v1/" + path))["data"]
                except urllib.error.HTTPError as error: print("EMPTY", path, error.read()); return {"result": [0]}

            queries = [line.strip() for line in sys.stdin if line.strip()]
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
                    echo $u $(systemd-analyze security --no-pager $u | tail -1 | grep -o '[0-9.]* [A-Z]*' | head -1); done
                """)
            let levels = text.split(separator: "\n").map { $0.split(separator: " ") }
            #expect(levels.count >= 10, "\(text)")
            for words in levels { #expect(words.count > 1 && (Double(words[1]) ?? 10) <= 3, "\(words)") }
        }

        private func alerts(_ scene: Scene) async throws -> Set<String> {
            let script =
                "import json,urllib.request\nfor a in json.load(urllib.request.urlopen('http://127.0.0.1:9090/api/v1/alerts'))['data']['alerts']:\n  if a['state']=='firing': print(a['labels']['alertname'])"
            return Set(
                try await scene.run(node, "python3", "-c", script).text.split(separator: "\n").map(String.init))
        }

        private func whatBreaksIsToldAndClears(_ scene: Scene, _ image: String) async throws {
            try #require(try await scene.bascule("hold", "vps1", "--for", "30m").status == 0)
            // At least a request in ten seconds over five minutes, half of them failing.
            try await traffic(scene)
            try await scene.shell(
                node,
                """
                systemctl stop nginx pgbouncer redis-server@cache 'postgresql@*-main.service' mtail
                printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' > /run/systemd/system/doomed.service
                systemctl daemon-reload; systemctl start doomed.service || true
                fallocate -l $(($(df --output=avail -B1 / | tail -1) * 97 / 100)) /var/tmp/filler
                """)
            var broken: Set = [
                "Watchdog", "ServiceDown", "UnitFailed", "NginxDown", "SiteDown", "PostgreSQLDown",
                "RedisDown", "DiskFull", "NewError",
            ]
            // Debian 13's exporter is stopped with what it watches: there ServiceDown tells of it.
            if image == "debian12" { broken.insert("PgBouncerDown") }
            var firing: Set<String> = []
            let told = try await eventually(within: 240, every: .seconds(3)) {
                firing = try await alerts(scene)
                return firing.isSuperset(of: broken)
            }
            #expect(told, "not firing: \(broken.subtracting(firing).sorted())")
            let heard = try await eventually(within: 60, every: .seconds(2)) {
                let text = try await scene.shell(node, "cat /srv/hook/alerts")
                return broken.subtracting(["Watchdog"]).allSatisfy { text.contains("\"\($0)\"") }
            }
            #expect(heard, "the administrator was not told of all")
            try await scene.shell(
                node,
                "rm /var/tmp/filler /run/systemd/system/doomed.service; systemctl reset-failed doomed; systemctl daemon-reload"
            )
            #expect(try await scene.bascule("drift").status == 2)
            try #require(try await scene.bascule("apply", "--yes").status == 0)
            let staying: Set = ["Watchdog", "NewError"]
            let cleared = try await eventually(within: 240, every: .seconds(3)) {
                firing = try await alerts(scene)
                return firing.isDisjoint(with: broken.subtracting(staying))
            }
            #expect(cleared, "still firing: \(firing.intersection(broken).subtracting(staying).sorted())")
        }

        /// The vendor's package is out of reach here: one of the same name, unit and user stands in for it, in a
        /// repository of the same shape with a key of its own.
        private func grafanaComesFromASignedRepository(_ scene: Scene, _ text: String) async throws {
            let archive = try await TinyArchive("\(scene.folder)/archive", suite: "stable")
            let server =
                "import configparser, http.server, os\nini = configparser.ConfigParser(); ini.read('/etc/grafana/grafana.ini')\nopen('/etc/grafana/bascule/node.json').close()\nos.chdir('/usr/share/grafana')\nhttp.server.HTTPServer((ini['server']['http_addr'], int(ini['server']['http_port'])), http.server.SimpleHTTPRequestHandler).serve_forever()\n"
            let unit =
                "[Service]\nUser=grafana\nExecStart=/usr/bin/python3 /usr/share/grafana/server.py\n[Install]\nWantedBy=multi-user.target\n"
            try await archive.publish([
                TinyArchive.Package(
                    name: "grafana", version: "12.0",
                    files: [
                        "usr/share/grafana/server.py": server, "usr/share/grafana/api/health": "{}",
                        "lib/systemd/system/grafana-server.service": unit,
                    ],
                    scripts: [
                        "postinst":
                            "#!/bin/sh\nset -e\nuseradd --system --user-group grafana\nmkdir -p /var/lib/grafana\n"
                    ],
                    depends: "python3, passwd")
            ])
            try scene.write("grafana.asc", try await archive.publicKey())
            let served = try await archive.serve(on: node, of: scene, port: 8642)
            defer { served.kill9() }
            try await scene.converge(
                text.replacing(
                    "webhook: !secret HOOK",
                    with: "webhook: !secret HOOK, grafana: {key: grafana.asc, repository: \"http://127.0.0.1:8642\"}"))
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
            #expect(
                try await scene.shell(
                    node, "stat -c '%G %a' /etc/grafana/grafana.ini; ss -Hltn sport = :3900 | awk '{print $4}'")
                    == "grafana 640\n127.0.0.1:3900")
            let tunnel = try await scene.bascule("monitoring", "tunnel")
            #expect(tunnel.text.contains("-L 3900:127.0.0.1:3900"), "\(tunnel.all)")
        }
    }
}
