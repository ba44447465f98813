import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// A certificate before the switch, names proved over HTTP while they lead to the old system, by an authority that asks
    /// for the binding of an account it knows.
    @Suite(.serialized, .scene("oldedge")) struct OldEdgeTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func fleet(_ authority: String?, edge: String = "edge: {node: old}, ") -> String {
            """
            nodes:
              old: {provider: lab, image: debian13}
              new: {provider: lab, image: debian12}
              ca: {provider: lab, image: debian13}
            topologies: {none: {old: [], new: [], ca: []}, one: {old: [], new: [web, app], ca: []}}
            topology: \(authority == nil ? "none" : "one")
            resources:
              - {on: ca, package: \(Scene.authorityPackages)}
              - {on: old, package: [nginx, curl]}

            """
                + (authority.map {
                    """
                    services:
                      nginx: {}
                      certificates:
                        directory: "https://\($0):14000/dir"
                        caBundle: authority.pem
                        challenge: http-01
                        account: {keyID: shop-1, key: !secret BINDING}
                    apps:
                      shop:
                        source: {path: ./shop}
                        start: python3 server.py
                        port: 3000
                        domains: [shop.example, www.shop.example]
                    migration: {\(edge)approve: auto}

                    """
                } ?? "")
        }

        private static let old = """
            server {
                listen 80 default_server;
                server_name shop.example www.shop.example;
                return 301 https://$host$request_uri;
            }

            """

        private static let server = """
            import os
            from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(b"new")
            ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()

            """

        private func issuer() async throws -> String {
            try await scene.shell(
                "new",
                "openssl s_client -connect 127.0.0.1:443 -servername shop.example </dev/null 2>/dev/null | openssl x509 -noout -issuer -serial"
            )
        }

        /// What customers of the old system get on port 80.
        private func customers() async throws -> String {
            try await scene.shell(
                "old",
                "curl -s -o /dev/null -w '%{http_code} %{redirect_url}' -H 'Host: shop.example' 'http://127.0.0.1/a?b'")
        }

        @Test(.enabled(if: Program.testsAll, "takes three minutes"))
        func aCertificateIsThereBeforeTheSwitch() async throws {
            try scene.write("shop/server.py", Self.server)
            try await scene.converge(fleet(nil))
            let old = try await scene.lab.node("old").address
            let authority = try await scene.lab.node("ca").address
            _ = try await scene.run("old", "tee", "/etc/nginx/sites-enabled/default", stdin: Self.old)
            try await scene.shell("old", "systemctl enable -q nginx; systemctl restart nginx")
            let before = try await customers()
            try #require(before == "301 https://shop.example/a?b")
            try await scene.startAuthority(on: "ca", site: old, binding: true)
            try await scene.shell("new", "echo '\(old) shop.example www.shop.example' >> /etc/hosts")
            let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
            let set = try await scene.bascule("secret", "set", "BINDING", stdin: key + "\n")
            try #require(set.status == 0, "\(set.all)")

            // An old server that nobody manages: told by name, and the authority is not asked.
            try scene.fleet(fleet(authority, edge: ""))
            let told = try await scene.bascule("apply", "--yes", "--through", "install")
            #expect(told.status == 1 && told.all.contains("todo-forward-challenges"), "\(told.all)")
            #expect(told.all.contains("location ^~ /.well-known/acme-challenge/ { proxy_pass http://"), "\(told.all)")
            let asked = try await scene.shell("ca", "journalctl -u pebble | grep -c order-plz || true")
            #expect(asked == "0", "the authority was asked \(asked) times")

            // The old edge is a node: it passes the questions on, and customers see nothing of it.
            try scene.fleet(fleet(authority))
            let applied = try await scene.bascule("apply", "--yes", "--through", "install")
            #expect([0, 3].contains(applied.status), "\(applied.all)")
            let first = try await issuer()
            #expect(first.contains("Pebble Intermediate"), "\(first)")
            #expect(try await customers() == before)
            let kid = try await scene.shell(
                "ca", "journalctl -u pebble | grep -ci 'accounts in memory\\|new-account\\|sign-me-up' || true")
            #expect(kid != "0")
            // Where the forwarding went away, the certificate stays, and the reason is told.
            try await scene.shell("old", "rm /etc/nginx/conf.d/00-bascule-edge.conf; systemctl reload nginx")
            let again = try await scene.run("new", "bascule-certificates", "reissue")
            #expect(again.status == 1 && again.errorText.contains("todo-forward-challenges"), "\(again.all)")
            #expect(try await issuer() == first)
        }
    }
}
