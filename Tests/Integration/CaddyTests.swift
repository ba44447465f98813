import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// Caddy in Nginx's place: the same app on the same probes, on both releases.
    @Suite(.serialized, .scene("caddy")) struct CaddyTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func fleet(certificates: String = "") -> String {
            """
            nodes:
              d12: {provider: lab, image: debian12}
              d13: {provider: lab, image: debian13}
              ca: {provider: lab, image: debian13}
            topologies: {both: {d12: [web, app], d13: [web, app], ca: []}, first: {d12: [web, app], d13: [], ca: []}}
            topology: \(certificates.isEmpty ? "both" : "first")
            services: {caddy: {clientMaxBody: 1MiB}\(certificates)}
            apps:
              shop:
                source: {path: ./shop}
                instances: 3
                packages: [nodejs]
                start: node server.js
                port: 3000
                domains: [shop.example, www.shop.example]
                health: {path: /healthz}
                files: {/up/: {folder: /srv/shop/up}, /code/: {folder: ., trusted: true}}
            resources:
              - {on: ca, package: \(Scene.authorityPackages)}
              - {on: app, package: [curl, acl]}
              - {on: app, directory: /srv/shop/up, owner: shop, group: shop, mode: "0750"}

            """
        }

        private static let server = """
            const server = require('http').createServer((request, response) => {
              request.on('data', () => {});
              request.on('end', () => {
                response.setHeader('X-Powered-By', 'node');
                response.setHeader('X-Login-User', 'somebody');
                response.setHeader('Content-Type', request.url.endsWith('.css') ? 'text/css' : 'text/html');
                response.end('hello '.repeat(500) + JSON.stringify(request.headers));
              });
            });
            server.listen(process.env.PORT, process.env.HOST);
            process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });

            """

        private func ask(_ node: NodeName, _ words: String) async throws -> String {
            try await scene.shell(
                node,
                "curl -sk -m 20 --resolve shop.example:443:127.0.0.1 --resolve shop.example:80:127.0.0.1 --resolve other.example:443:127.0.0.1 \(words) || echo failed $?"
            )
        }

        @Test(.enabled(if: Program.testsAll, "takes three minutes"))
        func caddyServesTheSameAppsOnBothReleases() async throws {
            try scene.write("shop/server.js", Self.server)
            try await scene.converge(fleet())
            for node in ["d12", "d13"] as [NodeName] { try await expectTheSite(on: node) }
            let plan = try await scene.bascule("plan")
            #expect(plan.status == 0, "the second apply changes nothing: \(plan.all)")
            try await expectNoLoss(on: ["d12", "d13"])
            try await expectMending(on: "d12")

            let site = try await scene.lab.node("d12").address
            let authority = try await scene.lab.node("ca").address
            try await scene.startAuthority(on: "ca", site: site)
            let certificates =
                ", certificates: {directory: \"https://\(authority):14000/dir\", caBundle: authority.pem}"
            try await scene.converge(fleet(certificates: certificates))
            let issuer =
                "openssl s_client -connect 127.0.0.1:443 -servername shop.example </dev/null 2>/dev/null | openssl x509 -noout -issuer -serial"
            let first = try await scene.shell("d12", issuer)
            #expect(first.contains("Pebble Intermediate"), "\(first)")
            let again = try await scene.run("d12", "bascule-certificates", "reissue")
            #expect(again.status == 0, "\(again.all)")
            let second = try await scene.shell("d12", issuer)
            #expect(second != first && second.contains("Pebble Intermediate"), "\(second)")
        }

        private func expectTheSite(on node: NodeName) async throws {
            let page = try await ask(node, "--http2 -D- -o /dev/null --compressed https://shop.example/").lowercased()
            for header in [
                "http/2 200", "x-request-id:", "x-content-type-options: nosniff", "x-frame-options: sameorigin",
                "referrer-policy:", "strict-transport-security: max-age=63072000",
            ] { #expect(page.contains(header), "\(node) lacks \(header): \(page)") }
            for header in ["content-encoding", "x-powered-by", "server:", "x-login-user"] {
                #expect(!page.contains(header), "\(node) has \(header)")
            }
            let style = try await ask(node, "-D- -o /dev/null --compressed https://shop.example/a.css").lowercased()
            #expect(style.contains("content-encoding: gzip"), "\(style)")
            let told = try await ask(
                node,
                "-H 'X-Forwarded-For: 192.0.2.9' -H 'X-Forwarded-Proto: http' 'https://shop.example/?token=geheim'")
            #expect(
                told.contains("\"x-forwarded-for\":\"127.0.0.1\"") && told.contains("-proto\":\"https\""), "\(told)")
            #expect(try await ask(node, "https://shop.example/code/server.js").contains("closeIdleConnections"))
            try await scene.shell(
                node,
                "echo '<script>' > /srv/shop/up/a.html; echo x > /srv/shop/up/.hidden; chmod 640 /srv/shop/up/a.html; chown shop: /srv/shop/up/a.html"
            )
            let upload = try await ask(node, "-D- https://shop.example/up/a.html")
            #expect(upload.contains("<script>") && upload.lowercased().contains("sandbox"), "\(upload)")
            let codes = try await ask(
                node,
                "--http1.1 -o /dev/null -w '%{http_code} ' https://shop.example/up/ -o /dev/null https://shop.example/up/.hidden --next -sk --resolve shop.example:443:127.0.0.1 -o /dev/null -w '%{http_code}' -X POST https://shop.example/up/a.html"
            )
            #expect(codes == "404 404 403", "\(codes)")
            let large = try await ask(
                node,
                "--http1.1 -o /dev/null -w '%{http_code}' --data-binary @/usr/bin/caddy https://shop.example/")
            #expect(large == "413")
            #expect(try await ask(node, "https://other.example/").contains("failed 35"), "no certificate for strangers")
            #expect(
                try await ask(node, "-o /dev/null -w '%{http_code} %{redirect_url}' 'http://shop.example/x?y'")
                    == "301 https://shop.example/x?y")
            try await scene.shell(node, "touch /etc/caddy/bascule/maintenance-shop.example")
            let closed = try await ask(node, "-D- https://shop.example/up/a.html")
            #expect(closed.contains(" 503") && closed.lowercased().contains("retry-after: 60"), "\(closed)")
            #expect(try await ask(node, "-H 'Host: shop.example' http://127.0.0.1:8081/").contains("hello"))
            try await scene.shell(node, "rm /etc/caddy/bascule/maintenance-shop.example")
            // No instance: the page that says so, with the status that says so.
            let units = [3000, 3001, 3002].map { "bascule-shop@\($0)" }.joined(separator: " ")
            try await scene.shell(node, "bascule-agent hold; systemctl stop \(units)")
            let down = try await ask(node, "-D- 'https://shop.example/?token=geheim'")
            #expect(down.contains(" 502") && down.lowercased().contains("retry-after: 10"), "\(down)")
            try await scene.shell(node, "systemctl start \(units); bascule-agent release")
            let traces = try await scene.shell(
                node, "grep -c geheim /var/log/caddy/*.json || true; journalctl -u caddy | grep -c geheim || true")
            #expect(traces == "0\n0", "queries hold tokens: \(traces)")
            let verdict = try await scene.run(
                node, "systemd-analyze", "security", "--no-pager", "--threshold=30", "caddy.service")
            #expect(verdict.status == 0, "\(verdict.text.suffix(200))")
        }

        /// A release is rolled on both nodes under load, without a reload of Caddy.
        private func expectNoLoss(on nodes: [NodeName]) async throws {
            for node in nodes {
                _ = try await scene.run(node, "tee", "/root/load.js", stdin: WebLoad.program)
                try await scene.shell(
                    node,
                    "systemd-run -q --unit=load -p StandardOutput=file:/root/load.json node /root/load.js 25 6 1 4 20")
            }
            try scene.write("shop/server.js", Self.server + "// another release\n")
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 0 && applied.text.contains("update app shop"), "\(applied.all)")
            for node in nodes {
                let ended = try await eventually(within: 60) {
                    try await scene.run(node, "systemctl", "is-active", "load").text.contains("inactive")
                }
                let text = ended ? try await scene.shell(node, "cat /root/load.json") : ""
                let result = try JSONDecoder().decode(WebLoad.Result.self, from: Data(text.utf8))
                print("\(node): \(result.summary)")
                #expect(result.failures == [] && result.counts.values.allSatisfy { $0.good > 20 }, "\(result)")
            }
        }

        private func expectMending(on node: NodeName) async throws {
            try await scene.shell(
                node,
                "bascule-agent hold; echo 'nonsense {' >> /etc/caddy/Caddyfile; touch /etc/caddy/bascule/drained-shop-3001; rm /etc/systemd/system/caddy.service.d/10-bascule.conf"
            )
            let drift = try await scene.bascule("drift")
            for what in ["Caddyfile", "app:shop", "caddy.service"] {
                #expect(drift.status == 2 && drift.text.contains(what), "\(what): \(drift.all)")
            }
            let mended = try await scene.bascule("apply", "--yes")
            #expect(mended.status == 0, "\(mended.all)")
            try await scene.shell(node, "bascule-agent release")
            #expect(try await ask(node, "https://shop.example/").contains("hello"))
        }
    }
}
