import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// Nginx and an authority's certificates: on Debian 12 with names proved over HTTP, on Debian 13 through the name
    /// server. The authority is Pebble, its resolver a BIND, both on the Debian 13 node.
    @Suite(.serialized, .scene("web")) struct WebTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func fleet(
            _ topology: String, authority: String = "", certificates: String? = nil, nginx: String = "{}"
        ) -> String {
            let issuing = certificates.map {
                "certificates: {directory: \"https://\(authority):14000/dir\", caBundle: authority.pem, \($0)}"
            }
            return """
                nodes:
                  d12: {provider: lab, image: debian12}
                  d13: {provider: lab, image: debian13}
                topologies:
                  none: {d12: [], d13: []}
                  first: {d12: [web, app], d13: []}
                  second: {d12: [], d13: [web, app]}
                topology: \(topology)
                \(topology == "none" ? "" : "services: {nginx: \(nginx), \(issuing ?? "")}")
                \(topology == "none" ? "" : Self.app)
                resources:
                  - {on: d13, package: \(Scene.authorityPackages)}
                  - {on: all, package: [nginx, certbot, python3-certbot-dns-rfc2136, acl, curl]}
                  \(topology == "none" ? "" : "- {on: app, directory: /srv/shop/up, owner: shop, group: shop, mode: \"0750\"}")

                """
        }

        private static let app = """
            apps:
              shop:
                source: {path: ./shop}
                instances: 2
                start: python3 server.py
                port: 3000
                domains: [shop.example, www.shop.example]
                login: {path: /login}
                files: {/up/: {folder: /srv/shop/up}, /code/: {folder: ., trusted: true}}
            """

        private static let server = """
            import os
            from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
            class Handler(BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                def do_GET(self):
                    self.rfile.read(int(self.headers.get("Content-Length", 0)))
                    text = (self.headers.get("X-Forwarded-For", "") + " hello" * 500).encode()
                    self.send_response(200)
                    self.send_header("Content-Type", "text/css" if self.path.endswith(".css") else "text/html")
                    self.send_header("Content-Length", str(len(text)))
                    self.send_header("X-Powered-By", "python")
                    self.end_headers()
                    self.wfile.write(text)
                do_POST = do_GET
                def log_message(self, *words): pass
            ThreadingHTTPServer.daemon_threads = True
            ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()

            """

        /// A request as a customer of the node makes it: its status, headers and body.
        private func ask(_ node: NodeName, _ words: String) async throws -> String {
            try await scene.shell(
                node,
                "curl -sk -m 10 --resolve shop.example:443:127.0.0.1 --resolve shop.example:80:127.0.0.1 --resolve other.example:443:127.0.0.1 \(words) || echo failed $?"
            )
        }

        private func serial(_ node: NodeName) async throws -> String {
            try await scene.shell(
                node,
                "openssl s_client -connect 127.0.0.1:443 -servername shop.example </dev/null 2>/dev/null | openssl x509 -noout -issuer -serial"
            )
        }

        @Test func anAuthoritysCertificateIsIssuedRenewedAndKeptOnBothReleases() async throws {
            try scene.write("shop/server.py", Self.server)
            try await scene.converge(fleet("none"))
            let (first, second) = (
                try await scene.lab.node("d12").address, try await scene.lab.node("d13").address
            )
            try await scene.startAuthority(on: "d13", site: first)
            let key = try await scene.shell("d13", "sed -n 's/.*secret \"\\(.*\\)\";/\\1/p' /etc/bind/acme.key")
            let set = try await scene.bascule("secret", "set", "ACME", stdin: "hmac-sha512:acme:\(key)\n")
            try #require(set.status == 0, "\(set.all)")

            // Debian 12, names proved over HTTP.
            try await scene.converge(fleet("first", authority: second, certificates: "challenge: http-01"))
            #expect(try await serial("d12").contains("Pebble Intermediate"))
            try await expectTheSite(on: "d12")
            try await expectMending(on: "d12")
            try await expectRenewal(on: "d12", elsewhere: second)

            // Debian 13, through the name server, which takes a wildcard, too.
            try await scene.shell("d13", "/root/point \(second)")
            let dns = "dns: {server: d13, tsig: !secret ACME, propagation: 1s}"
            try await scene.converge(
                fleet("second", authority: second, certificates: dns).replacing(
                    "www.shop.example]", with: "\"*.shop.example\"]"))
            #expect(try await serial("d13").contains("Pebble Intermediate"))
            try await expectTheSite(on: "d13")
            let traces = try await scene.shell(
                "d13", "grep -rlF '\(key.prefix(30))' /var/lib/bascule-certificates /var/log /run 2>/dev/null | wc -l")
            #expect(traces == "0", "the key of the name server is in a log")
            for node: NodeName in ["d12", "d13"] {
                let exposure = try await scene.shell(
                    node,
                    "systemd-analyze security --no-pager nginx.service bascule-certificates.service 2>/dev/null | awk '{print $2}'; for u in nginx bascule-certificates; do systemd-analyze security --no-pager $u.service | awk '/Overall/{print $(NF-2)}'; done"
                ).split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
                #expect(exposure.count >= 2 && exposure.allSatisfy { $0 <= 3 }, "\(node): \(exposure)")
            }
        }

        private func expectTheSite(on node: NodeName) async throws {
            let plan = try await scene.bascule("plan")
            #expect(plan.status == 0, "the second apply changes nothing: \(plan.all)")
            let page = try await ask(node, "--http2 -D- -o /dev/null --compressed https://shop.example/").lowercased()
            for header in [
                "http/2 200", "server: nginx\r", "x-request-id:", "x-content-type-options: nosniff",
                "x-frame-options: sameorigin", "referrer-policy:", "strict-transport-security: max-age=63072000",
            ] { #expect(page.contains(header), "\(node) lacks \(header): \(page)") }
            #expect(!page.contains("content-encoding") && !page.contains("x-powered-by"), "\(page)")
            let style = try await ask(node, "-D- -o /dev/null --compressed https://shop.example/a.css").lowercased()
            #expect(style.contains("content-encoding: gzip"), "\(style)")
            // Served past the app, from the release and from a folder of its own.
            #expect(try await ask(node, "https://shop.example/code/server.py").contains("BaseHTTPRequestHandler"))
            try await scene.shell(
                node,
                "echo '<script>' > /srv/shop/up/a.html; ln -sf /etc/passwd /srv/shop/up/link; chmod 640 /srv/shop/up/a.html; chown shop: /srv/shop/up/a.html"
            )
            let upload = try await ask(node, "-D- https://shop.example/up/a.html")
            #expect(upload.contains("<script>") && upload.lowercased().contains("sandbox"), "\(upload)")
            let refused = try await ask(
                node,
                "--path-as-is -o /dev/null -w '%{http_code} ' https://shop.example/up/link -o /dev/null https://shop.example/up/ -o /dev/null https://shop.example/up/.hidden -o /dev/null -X POST https://shop.example/up/a.html"
            )
            #expect(refused == "403 403 404 403", "\(node): \(refused)")
            #expect(try await ask(node, "https://other.example/").contains("failed 35"), "no certificate for strangers")
            #expect(
                try await ask(node, "-o /dev/null -w '%{http_code} %{redirect_url}' 'http://shop.example/x?y'")
                    == "301 https://shop.example/x?y")
            let tries = try await ask(
                node,
                "-o /dev/null -w '%{http_code}\\n' -X POST 'https://shop.example/login?[1-14]' | sort | uniq -c | tr -s ' '"
            )
            #expect(tries.contains("429") && tries.contains("200"), "\(node): \(tries)")
            // Closed: customers get the page, the authority its answers, the smoke test the app.
            try await scene.shell(
                node,
                "touch /etc/nginx/bascule/maintenance-shop.example; echo yes > /var/lib/bascule-certificates/webroot/.well-known/acme-challenge/t || { mkdir -p /var/lib/bascule-certificates/webroot/.well-known/acme-challenge; echo yes > /var/lib/bascule-certificates/webroot/.well-known/acme-challenge/t; chmod -R a+rX /var/lib/bascule-certificates/webroot; }"
            )
            let closed = try await ask(node, "-D- https://shop.example/up/a.html")
            #expect(closed.contains(" 503") && closed.lowercased().contains("retry-after: 60"), "\(closed)")
            if node == "d12" {
                #expect(try await ask(node, "http://shop.example/.well-known/acme-challenge/t") == "yes")
            }
            #expect(try await ask(node, "-H 'Host: shop.example' http://127.0.0.1:8081/").contains("hello"))
            try await scene.shell(node, "rm /etc/nginx/bascule/maintenance-shop.example")
            #expect(try await ask(node, "http://127.0.0.1:8081/.bascule/nginx-status").contains("Active connections"))
            let line = try await scene.shell(node, "tail -1 /var/log/nginx/bascule-shop.access.json")
            #expect((try? JSONSerialization.jsonObject(with: Data(line.utf8))) is [String: Any], "\(line)")
        }

        /// What was broken by hand is found and mended; a pair that was taken away comes back by itself.
        private func expectMending(on node: NodeName) async throws {
            let back = try await eventually(within: 10) {
                try await scene.shell(
                    node,
                    "[ -e /tmp/taken ] || { touch /tmp/taken; rm /etc/nginx/bascule/tls/shop.pem; }; test -s /etc/nginx/bascule/tls/shop.pem && echo yes || echo no"
                ) == "yes"
            }
            #expect(back, "the pair comes back")
            try await scene.shell(node, "bascule-agent hold")
            try await scene.shell(
                node,
                "echo 'server {' >> /etc/nginx/sites-available/bascule-shop.conf; systemctl stop bascule-certificates.path bascule-certificates.timer; rm /etc/nginx/bascule/tls/shop.pem; setfacl -b /srv/shop/up"
            )
            let drift = try await scene.bascule("drift")
            for what in [
                "bascule-shop.conf", "bascule-certificates.timer", "bascule-certificates.path", "certificates",
                "web-reads-/srv/shop/up",
            ] { #expect(drift.status == 2 && drift.text.contains(what), "\(what): \(drift.all)") }
            let mended = try await scene.bascule("apply", "--yes")
            #expect(mended.status == 0, "\(mended.all)")
            try await scene.shell(node, "bascule-agent release")
            #expect(try await serial(node).contains("Pebble Intermediate"))
            #expect(try await scene.shell(node, "nginx -t -q && echo good") == "good")
        }

        /// A renewal and a release under load lose no request; a renewal that fails leaves everything as it was and says why.
        private func expectRenewal(on node: NodeName, elsewhere: String) async throws {
            let before = try await serial(node)
            try await scene.shell("d13", "/root/point \(elsewhere); mkdir -p /tmp/x")
            try await scene.shell(node, "mkdir -p /var/lib/prometheus/node-exporter")
            let failed = try await scene.run(node, "bascule-certificates", "reissue")
            #expect(failed.status == 1 && failed.errorText.contains("www.shop.example"), "\(failed.all)")
            #expect(try await serial(node) == before)
            let metrics = "/var/lib/prometheus/node-exporter/bascule-certificates.prom"
            let told = try await scene.shell(node, "systemctl is-failed bascule-certificates; cat \(metrics)")
            #expect(told.contains("failed\n"), "\(told)")
            #expect(told.contains("renewal_failed{name=\"shop\",domain=\"shop.example\"} 1"), "\(told)")
            #expect(told.contains("self_signed{name=\"shop\",domain=\"shop.example\"} 0"), "\(told)")

            let own = try await scene.lab.node(node).address
            try await scene.shell("d13", "/root/point \(own)")
            // Six customers who keep their connections, and two with a new one for each request.
            let seconds = 10
            _ = try await scene.run(node, "tee", "/root/load.py", stdin: Self.load)
            let rates = try await scene.bascule("apply", "--yes", file: try write(limits: "off", elsewhere))
            #expect(rates.status == 0, "\(rates.all)")
            async let load = scene.run(node, "python3", "/root/load.py", "\(seconds)")
            async let again = scene.run(node, "bascule-certificates", "reissue")
            try scene.write("shop/server.py", Self.server + "# another release\n")
            let released = try await scene.bascule("apply", "--yes")
            #expect(released.status == 0 && released.text.contains("update app shop"), "\(released.all)")
            let renewed = try await again
            #expect(renewed.status == 0, "\(renewed.all)")
            let counted = try await load.text
            #expect(counted.hasSuffix(" failed: {}\n"), "\(counted)")
            #expect((Int(counted.prefix { $0.isNumber }) ?? 0) > 100, "\(counted)")
            let after = try await serial(node)
            #expect(after != before && after.contains("Pebble Intermediate"))
            #expect(
                try await scene.shell(node, "cat \(metrics)").contains(
                    "renewal_failed{name=\"shop\",domain=\"shop.example\"} 0"))
        }

        /// The fleet file without limits: the load comes from one address.
        private func write(limits: String, _ authority: String) throws -> String {
            let text = fleet(
                "first", authority: authority, certificates: "challenge: http-01",
                nginx: "{rateLimit: \(limits), loginLimit: \(limits), connectionLimit: \(limits)}")
            try scene.fleet(text)
            return "fleet.yaml"
        }

        /// Customers who repeat no request: `load.py SECONDS` says how many were answered, and what failed.
        private static let load = """
            import collections, http.client, socket, ssl, sys, threading, time
            end = time.time() + int(sys.argv[1])
            context = ssl._create_unverified_context()
            good, failed = collections.Counter(), collections.Counter()
            def connect():
                way = http.client.HTTPSConnection("shop.example", timeout=20)
                way.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", 443), 20), server_hostname="shop.example")
                return way
            def customer(keeps, turn):
                way = connect()
                while time.time() < end:
                    turn += 1
                    try:
                        if not keeps or way.sock is None:
                            way.close()
                            way = connect()
                        way.request(("GET", "POST")[turn % 2], "/buy", b"x" * 5000 if turn % 2 else None)
                        answer = way.getresponse()
                        answer.read()
                        (good if answer.status == 200 else failed)[str(answer.status)] += 1
                    except Exception as error:
                        failed[("kept " if keeps else "fresh ") + repr(error)] += 1
                        way = connect()
                    time.sleep(0.01)
            crowd = [threading.Thread(target=customer, args=(number < 6, number)) for number in range(8)]
            for one in crowd: one.start()
            for one in crowd: one.join()
            print(sum(good.values()), "failed:", dict(failed))

            """
    }
}
