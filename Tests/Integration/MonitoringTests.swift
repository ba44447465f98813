import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// An app that throws, and an administrator who is told, on one node.
    @Suite(.serialized, .scene("watch")) struct MonitoringTests {
        let scene: Scene
        let node: NodeName = "vps1"

        init() throws { scene = try #require(Scene.shared) }

        @Test func theAdministratorIsToldAndErrorsAreGrouped() async throws {
            try scene.write("shop/server.py", Watched.app)
            try scene.write("hook.py", Watched.hook)
            try scene.fleet(Watched.fleet(image: "debian12", roles: "app, monitoring", services: ""))
            try #require(
                try await scene.bascule("secret", "set", "HOOK", stdin: "http://127.0.0.1:9999/alerts").status == 0)
            try await scene.converge(Watched.fleet(image: "debian12", roles: "app, monitoring", services: ""))
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")

            let told = try await scene.bascule("monitoring", "test-alert", "--within", "60s")
            #expect(told.status == 0 && told.text.contains("taken by webhook"), "\(told.all)")
            #expect(try await scene.shell(node, "cat /srv/hook/alerts").contains("TestAlert"))

            #expect(try await scene.bascule("errors").text.contains("no errors"))
            for order in 1...3 { try await scene.shell(node, Watched.get("http://127.0.0.1:3000/boom/\(order)")) }
            let grouped = try await eventually(within: 60) {
                let listed = try await scene.bascule("errors", "shop", "--json")
                return listed.text.contains("\"count\":3") && listed.text.split(separator: "\n").count == 1
            }
            let shown = try await scene.bascule("errors")
            #expect(grouped, "\(shown.all)")
            #expect(
                shown.text.contains("3 × LookupError: no order <n>") && shown.text.contains("in find"), "\(shown.text)")
            #expect(!shown.text.contains("hunter2"), "\(shown.text)")
            let alerted = try await eventually(within: 60) {
                try await scene.shell(node, "cat /srv/hook/alerts").contains("NewError")
            }
            #expect(alerted)

            // What is broken by hand is found, and mended: a file by the agent, a stopped unit by an apply.
            let rules = "/etc/prometheus/rules/bascule-node.yml"
            try await scene.shell(node, "echo broken > \(rules)")
            #expect(
                try await eventually(within: 30) { try await scene.shell(node, "cat \(rules)").contains("NodeDown") })
            try #require(try await scene.bascule("hold", "vps1", "--for", "10m").status == 0)
            try await scene.shell(node, "systemctl stop prometheus-node-exporter")
            #expect(try await scene.bascule("drift").status == 2)
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            #expect(try await scene.shell(node, "systemctl is-active prometheus-node-exporter") == "active")
            try await scene.shell(node, "systemctl stop bascule-watch-hook")
            let deaf = try await scene.bascule("monitoring", "test-alert", "--within", "10s")
            #expect(deaf.status == 1 && deaf.all.contains("alert-undelivered"), "\(deaf.all)")
        }
    }
}

/// What the tests of monitoring watch.
enum Watched {
    /// Answers, and throws at /boom.
    static let app = #"""
        import http.server, os, sys, traceback

        def find(order):
            raise LookupError("no order %s" % order)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status = 200
                if self.path.startswith("/boom"):
                    try:
                        password = "password=hunter2"
                        find(self.path.split("/")[-1])
                    except LookupError:
                        print("with", password, file=sys.stderr)
                        traceback.print_exc()
                        sys.stderr.flush()
                        status = 500
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"shop_orders_total 3\n")

            def log_message(self, *words):
                pass

        http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
        """#

    /// Keeps what is posted to it.
    static let hook = #"""
        import http.server

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with open("/srv/hook/alerts", "ab") as file:
                    file.write(body + b"\n")
                self.send_response(200)
                self.end_headers()

            def log_message(self, *words):
                pass

        http.server.HTTPServer(("127.0.0.1", 9999), Handler).serve_forever()
        """#

    static func get(_ url: String) -> String {
        "python3 -c \"import urllib.request, urllib.error\ntry: urllib.request.urlopen('\(url)').read()\nexcept urllib.error.HTTPError: pass\""
    }

    static func fleet(
        image: String, roles: String, services: String, app: String = "", disk: String = "", interval: String = "1s"
    ) -> String {
        """
        nodes:
          vps1: {provider: lab, image: \(image)\(disk)}
        topologies:
          single: {vps1: [\(roles)]}
        topology: single
        services:
        \(services)  monitoring: {interval: \(interval), webhook: !secret HOOK}
        apps:
          shop:
            source: {path: ./shop}
            start: python3 server.py
            port: 3000
            health: {path: /healthz}
        \(app)resources:
          - {on: all, directory: /srv/hook}
          - {on: all, file: /srv/hook/hook.py, source: hook.py}
          - {on: all, unit: bascule-watch-hook.service, state: running, enabled: true, restartOn: [/srv/hook/hook.py], content: "[Service]\\nExecStart=/usr/bin/python3 /srv/hook/hook.py\\nRestart=on-failure\\n[Install]\\nWantedBy=multi-user.target\\n"}

        """
    }
}
