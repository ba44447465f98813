import BasculeModel

/// What the tests of monitoring watch.
enum Watched {
    /// Answers, throws at /boom, and takes its time at /slow.
    static let app = #"""
        import http.server, os, sys, time, traceback

        def find(order):
            raise LookupError("no order %s" % order)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status = 200
                if self.path == "/slow":
                    time.sleep(1)
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

    /// Keeps what is posted to it, and refuses everything while it is deaf.
    static let hook = #"""
        import http.server, os

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if os.path.exists("/srv/hook/deaf"):
                    self.send_response(503)
                    self.end_headers()
                    return
                with open("/srv/hook/alerts", "ab") as file:
                    file.write(body + b"\n")
                self.send_response(200)
                self.end_headers()

            def log_message(self, *words):
                pass

        http.server.HTTPServer(("127.0.0.1", 9999), Handler).serve_forever()
        """#

    /// A certificate authority on the node itself (Pebble), which believes every name; its own certificate has a root of its
    /// own.
    static let authority = """
        set -e
        mkdir -p /etc/pebble; cd /etc/pebble
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=lab -keyout ca.key -out ca.pem 2>/dev/null
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=pebble -keyout pebble.key -out pebble.csr 2>/dev/null
        echo subjectAltName=IP:127.0.0.1 > names
        openssl x509 -req -in pebble.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile names -out pebble.pem 2>/dev/null
        cat > pebble.json <<END
        {"pebble": {"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000", "certificate": "/etc/pebble/pebble.pem",
         "privateKey": "/etc/pebble/pebble.key", "httpPort": 80, "tlsPort": 443, "externalAccountBindingRequired": false, "certificateValidityPeriod": 7776000}}
        END
        systemd-run -q --unit=pebble -E PEBBLE_VA_ALWAYS_VALID=1 -E PEBBLE_WFE_NONCEREJECT=0 -E PEBBLE_AUTHZREUSE=0 pebble -config /etc/pebble/pebble.json
        """

    /// Stands in for the package of Grafana's vendor: the same name, unit, user and folders. Its program reads the settings
    /// as the real one does, and answers at its health path; the rest of Grafana it is not.
    static let grafana = TinyArchive.Package(
        name: "grafana", version: "12.0",
        files: [
            "usr/share/grafana/server.py":
                "import configparser, http.server, os\nini = configparser.ConfigParser(); ini.read('/etc/grafana/grafana.ini')\nopen(ini['dashboards']['default_home_dashboard_path']).close()\nos.chdir('/usr/share/grafana')\nhttp.server.HTTPServer((ini['server']['http_addr'], int(ini['server']['http_port'])), http.server.SimpleHTTPRequestHandler).serve_forever()\n",
            "usr/share/grafana/api/health": "{}",
            "lib/systemd/system/grafana-server.service":
                "[Service]\nUser=grafana\nExecStart=/usr/bin/python3 /usr/share/grafana/server.py\n[Install]\nWantedBy=multi-user.target\n",
        ],
        scripts: [
            "postinst":
                "#!/bin/sh\nset -e\nid grafana >/dev/null 2>&1 || useradd --system --user-group grafana\nmkdir -p /var/lib/grafana\n",
            "prerm": "#!/bin/sh\nsystemctl stop grafana-server || true\n",
        ],
        depends: "python3, passwd")

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
