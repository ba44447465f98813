import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// No customer notices a release, PgBouncer's restart or a new certificate, all at once: customers who keep their
    /// connections, who come anew, who send orders, and who speak HTTP/2; none of them repeats a request.
    @Suite(.serialized, .scene("loss")) struct LossTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func fleet(_ node: String, authority: String, round: Int) -> String {
            """
            nodes:
              d12: {provider: lab, image: debian12}
              d13: {provider: lab, image: debian13}
              ca: {provider: lab, image: debian13}
            topologies:
              none: {d12: [], d13: [], ca: []}
              d12: {d12: [database, web, app], d13: [], ca: []}
              d13: {d12: [], d13: [database, web, app], ca: []}
            topology: \(node)
            resources:
              - {on: ca, package: \(Scene.authorityPackages)}

            """
                + (node == "none"
                    ? ""
                    : """
                    services:
                      postgresql: {databases: {shop: {}}}
                      pgbouncer: {settings: {pkt_buf: \(round % 2 == 0 ? 4096 : 8192)}}
                      nginx: {rateLimit: off, loginLimit: off, connectionLimit: off}
                      certificates: {directory: "https://\(authority):14000/dir", caBundle: authority.pem, challenge: http-01}
                    apps:
                      shop:
                        source: {path: ./shop}
                        instances: 4
                        packages: [node-pg, nodejs]
                        start: node server.js
                        port: 3000
                        domains: [shop.example, www.shop.example]
                        health: {path: /healthz}
                        env: {NODE_PATH: /usr/share/nodejs, DATABASE_URL: !binding database.shop}

                    """)
        }

        /// A query through PgBouncer for each request, and an end as Node.js has it.
        private static let server = """
            const { Pool } = require('pg');
            const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
            pool.on('error', () => {});
            const server = require('http').createServer((request, response) => {
              let size = 0;
              request.on('data', part => { size += part.length; });
              request.on('end', async () => {
                try {
                  const answer = await pool.query('SELECT $1::int AS size', [size]);
                  response.end(JSON.stringify(answer.rows[0]));
                } catch (error) {
                  console.error(error.stack);
                  response.statusCode = 500;
                  response.end(error.message);
                }
              });
            });
            server.listen(process.env.PORT, process.env.HOST);
            process.on('SIGTERM', () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });

            """

        @Test(.enabled(if: Program.testsAll, "takes five minutes"))
        func nobodyNoticesAReleaseAPoolersRestartAndARenewal() async throws {
            try scene.write("shop/server.js", Self.server)
            try await scene.converge(fleet("none", authority: "", round: 0))
            let authority = try await scene.lab.node("ca").address
            for node in ["d12", "d13"] as [NodeName] {
                try await scene.startAuthority(on: "ca", site: try await scene.lab.node(node).address)
                try scene.write("shop/server.js", Self.server)
                try await scene.converge(fleet(node.rawValue, authority: authority, round: 0))
                try await expectNoLoss(on: node, authority)
            }
        }

        private func serial(_ node: NodeName) async throws -> String {
            try await scene.shell(
                node,
                "openssl s_client -connect 127.0.0.1:443 -servername shop.example </dev/null 2>/dev/null | openssl x509 -noout -issuer -serial"
            )
        }

        private func expectNoLoss(on node: NodeName, _ authority: String) async throws {
            _ = try await scene.run(node, "tee", "/root/load.js", stdin: WebLoad.program)
            let seconds = 60
            var certificates: Set<String> = [try await serial(node)]
            #expect(certificates.allSatisfy { $0.contains("Pebble") })
            try await scene.shell(
                node,
                "rm -f /root/load.json; systemd-run -q --unit=load -p StandardOutput=file:/root/load.json node /root/load.js \(seconds) 8 2 6 10"
            )
            let end = ContinuousClock.now + .seconds(seconds - 15)
            var rounds = 0
            repeat {
                rounds += 1
                try scene.write("shop/server.js", Self.server + "// release \(rounds)\n")
                try scene.fleet(fleet(node.rawValue, authority: authority, round: rounds))
                async let renewal = scene.run(node, "bascule-certificates", "reissue")
                let applied = try await scene.bascule("apply", "--yes")
                #expect(applied.status == 0, "\(applied.all)")
                for what in ["update app shop", "unit pgbouncer.service"] {
                    #expect(applied.text.contains(what), "\(applied.text)")
                }
                let renewed = try await renewal
                #expect(renewed.status == 0, "\(renewed.all)")
                certificates.insert(try await serial(node))
            } while ContinuousClock.now < end
            let text =
                try await eventually(within: 90) {
                    try await scene.run(node, "systemctl", "is-active", "load").text.contains("inactive")
                } ? try await scene.shell(node, "cat /root/load.json") : ""
            let result = try JSONDecoder().decode(WebLoad.Result.self, from: Data(text.utf8))
            print("\(node): \(rounds) releases, \(certificates.count - 1) renewals: \(result.summary)")
            #expect(result.failures == [] && result.counts.values.allSatisfy { $0.failed == 0 }, "\(result)")
            #expect(result.counts.count == 6 && result.counts.values.allSatisfy { $0.good > 50 }, "\(result)")
            #expect(rounds >= 2 && certificates.count == rounds + 1)
        }
    }
}
