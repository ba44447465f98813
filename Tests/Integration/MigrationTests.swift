import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// The shop of Examples/girlycrea leaves its old node for a new one. One setup for all: first an attempt that must go
    /// back, then one whose controller dies for good in the middle of the cutover.
    @Suite(.serialized, .scene("move")) struct MigrationTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        @Test(.timeLimit(.minutes(8))) func anAttemptGoesBackAndTheNextEndsWithoutItsController() async throws {
            let saas = try await makeTheOldWorld()
            let copied = try await scene.bascule("apply", "--yes", "--through", "copy")
            try #require(copied.status == 3, "\(copied.all)")
            try await expectTheArchives()
            let customer = try shop(at: saas)
            try await goBack(from: saas)
            try await goOnAlone(customer, saas)
            try await expectNoSecretAnywhere()
        }

        // MARK: - The steps

        private func makeTheOldWorld() async throws -> String {
            let example = "\(Program.checkout)/Examples/girlycrea"
            for entry in ["shop", "journeys", "fleet.yaml"] {
                try FileManager.default.copyItem(atPath: "\(example)/\(entry)", toPath: "\(scene.folder)/\(entry)")
            }
            var fleet = try scene.read("fleet.yaml")
            for (old, new) in [
                ("fleet: girlycrea", "fleet: \(scene.name)"), ("watch: 30s", "watch: 5s"),
                ("instances: 4", "instances: 2"),
            ] {
                try #require(fleet.contains(old), "the example says \(old)")
                fleet = fleet.replacingOccurrences(of: old, with: new)
            }
            try scene.write("fleet.yaml", fleet)
            let up = try await scene.bascule(
                "lab", "up", "saas", "--packages", "\(example)/saas/packages.txt", deadline: .seconds(400))
            try #require(up.status == 0, "\(up.all)")
            let address = try await scene.lab.node("saas").address
            let archive = try await Command.run(["tar", "-C", "\(example)/..", "-cf", "-", "girlycrea"]).stdout
            _ = try await scene.lab.exec("saas", ["tar", "-C", "/opt", "-xf", "-"], stdin: archive).requireSuccess(
                "copying the example")
            _ = try await scene.lab.exec(
                "saas", ["env", "SAAS_ADDRESS=\(address)", "SAAS_TTL=10", "/opt/girlycrea/saas/setup.sh"]
            ).requireSuccess("the old world")
            for name in ["SOURCE_DATABASE_URL", "SOURCE_REDIS_URL", "SOURCE_UPLOADS_KEY", "TSIG", "SESSION_SECRET"] {
                let value = try await scene.lab.exec("saas", ["cat", "/root/saas-secrets/\(name)"]).text
                #expect(try await scene.bascule("secret", "set", name, stdin: value).status == 0)
            }
            return address
        }

        /// Each source is kept whole, as its manifest has it, and the database's archive makes the database again.
        private func expectTheArchives() async throws {
            let all = "/srv/bascule/archive"
            for name in ["database", "cache", "uploads"] {
                try await scene.shell(
                    "vps1", "cd \(all)/\(name) && sha256sum --quiet -c SHA256SUMS && test -s manifest.json")
            }
            #expect(try await scene.shell("vps1", "stat -c %a \(all)") == "700")
            try await scene.shell(
                "vps1",
                """
                cp -a \(all)/database /tmp/again && chown -R postgres /tmp/again && cd /tmp/again
                runuser -u postgres -- createdb -T template0 -E UTF8 -l C.UTF-8 again
                runuser -u postgres -- psql -X -q -v ON_ERROR_STOP=1 -d again -f restore.sql > /dev/null
                """)
            let count = "SELECT count(*) FROM customers UNION ALL SELECT count(*) FROM products ORDER BY 1"
            let (copy, again) = (
                try await scene.shell("vps1", "runuser -u postgres -- psql -XAtd shop -c '\(count)'"),
                try await scene.shell("vps1", "runuser -u postgres -- psql -XAtd again -c '\(count)'")
            )
            #expect(copy == again && !copy.isEmpty, "\(again)")
            try await scene.shell("vps1", "runuser -u postgres -- dropdb again; rm -rf /tmp/again")
            let files = try await scene.shell("vps1", "tar -tf \(all)/uploads/files.tar | grep -vc '/$'")
            #expect(
                files
                    == (try await scene.shell("vps1", "find /srv/shop/uploads -type f -not -path '*/.bascule*' | wc -l"))
            )
            #expect(try await scene.shell("vps1", "grep -ac '^RESTORE' \(all)/cache/keys.resp") != "0")
        }

        private func shop(at saas: String) throws -> Running {
            try Running(
                [
                    try #require(Program.path), "journey", "watch", "--url", "https://shop.example", "--name-server",
                    saas, "--insecure",
                    "--lane", "\(scene.folder)/journeys/customer.yaml@0.7", "--record",
                    "\(scene.folder)/customer.jsonl",
                ], environment: scene.environment())
        }

        /// The new shop breaks while the cutover is under way: everything goes back by itself.
        private func goBack(from saas: String) async throws {
            let run = try scene.begin("apply", "--yes", "--json")
            try #require(try await run.says("\"phase\":\"sync\"", within: 200), "\(run.output)")
            while run.status == nil {
                _ = try await scene.run("vps1", "sh", "-c", "systemctl stop 'shop@*' 'app-shop*' '*shop*.service'")
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(try await run.ended(within: 5) == 4, "\(run.output.suffix(3000))")
            let journey = try await Command.run(
                [
                    try #require(Program.path), "journey", "run", "\(scene.folder)/journeys/shop.yaml", "--url",
                    "https://shop.example", "--name-server", saas,
                    "--insecure", "--json",
                ], environment: scene.environment())
            #expect(
                journey.status == 0 && journey.text.contains("saas-300"),
                "the old system serves and takes orders again: \(journey.all)")
            let rights = try await scene.shell(
                "saas",
                "cd /; runuser -u postgres -- psql -AtX -d shop -c \"SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname IN ('shop','authenticator','back_office') AND rolcanlogin\" -c \"SELECT has_table_privilege('shop', 'orders', 'INSERT')\""
            )
            #expect(rights == "authenticator back_office shop\nt")
            let now = try await scene.bascule("now", "--json")
            #expect(
                now.text.contains("\"serves\":\"the old system\"") && now.text.contains("\"verdict\":\"SAFE\""),
                "\(now.all)")
        }

        /// SIGKILL of the controller right after the freeze began: the target's agent conducts to the end.
        private func goOnAlone(_ customer: Running, _ saas: String) async throws {
            let before = try await orders("vps1")
            let run = try scene.begin("apply", "--yes", "--json")
            // A step of the freeze has begun on the agent: the segment is there, and the old edge no longer serves.
            let frozen = try await eventually(within: 200, every: .milliseconds(20)) {
                run.output.split(separator: "\n").contains {
                    $0.contains("\"event\":\"started\"") && $0.contains("\"phase\":\"freeze\"")
                }
            }
            try #require(frozen, "\(run.output)")
            run.kill9()
            #expect(try await run.ended(within: 5) == 137)
            let opened = try await eventually(within: 120, every: .milliseconds(500)) {
                try await scene.run("vps1", "/usr/local/lib/bascule/bascule-agent", "status").text.contains(": open")
            }
            #expect(opened, "T0 came without a controller")
            // Customers go on for a moment on the new side, then leave.
            try await Task.sleep(for: .seconds(6))
            kill(customer.pid, SIGTERM)
            _ = try await customer.ended(within: 20)
            let told = try toldOrders()
            let there = try await orders("vps1")
            #expect(told.count > 0 && there.isSuperset(of: told), "lost: \(told.subtracting(there))")
            #expect(there.subtracting(before).count > 0, "the new system took orders")
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0, "\(again.all)")
            let third = try await scene.bascule("apply", "--yes")
            #expect(third.status == 0 && third.text.contains("Nothing to do"), "\(third.all)")
            let now = try await scene.bascule("now", "--json")
            #expect(now.text.contains("\"takesWrites\":\"the new system\""), "\(now.all)")
        }

        /// Numbers of the orders that the customer was told are placed.
        private func toldOrders() throws -> Set<String> {
            struct Attempt: Decodable {
                struct Step: Decodable {
                    var name: String
                    var ok: Bool
                }
                var steps: [Step]
                var captured: [String: String]
            }
            let attempts = try scene.read("customer.jsonl").split(separator: "\n").compactMap {
                try? JSONDecoder().decode(Attempt.self, from: Data($0.utf8))
            }
            return Set(
                attempts.filter { $0.steps.contains { $0.name == "place the order" && $0.ok } }.compactMap {
                    $0.captured["number"]
                })
        }

        private func orders(_ node: NodeName) async throws -> Set<String> {
            let numbers = try await scene.shell(
                node,
                "cd /; runuser -u postgres -- psql -AtX -d shop -c \"SELECT number FROM orders WHERE reference LIKE 'customer-%'\""
            )
            return Set(numbers.split(separator: "\n").map(String.init))
        }

        /// The sources' passwords and the session key, in what the program keeps and says and in what the agents keep.
        private func expectNoSecretAnywhere() async throws {
            let secrets = try await scene.shell(
                "saas",
                "cd /root/saas-secrets; cat SESSION_SECRET MIGRATOR_PASSWORD REDIS_PASSWORD TSIG_SECRET | sed 's/$/\\n/'; for f in SESSION_SECRET MIGRATOR_PASSWORD REDIS_PASSWORD TSIG_SECRET; do echo; cat $f; done"
            )
            .split(separator: "\n").map(String.init).filter { (40...64).contains($0.count) }
            try #require(secrets.count >= 4)
            for secret in secrets {
                let needle = Data(secret.utf8)
                for path in [scene.store, "\(scene.store)-wal"] {
                    if let data = FileManager.default.contents(atPath: path) {
                        #expect(data.range(of: needle) == nil, "\(path)")
                    }
                }
                // The old world's own logs are not ours to judge.
                for (node, folders) in [("saas", ["/var/lib/bascule"]), ("vps1", ["/var/lib/bascule", "/var/log"])]
                    as [(NodeName, [String])]
                {
                    let hits = try await scene.lab.exec(
                        node, ["grep", "-rlaF", "-f", "-"] + folders, stdin: Array(secret.utf8))
                    #expect(hits.text.isEmpty, "\(node): \(hits.text)")
                }
            }
        }
    }
}
