import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// PostgreSQL, PgBouncer and Redis as a fleet file of a few lines makes them: asked, loaded, broken and mended.
    @Suite struct DataServicesTests {
        @Test func theyServeAsDeclaredOnBookworm() async throws { try await serve(on: "debian12", "data12") }

        @Test(.enabled(if: ProcessInfo.processInfo.environment["BASCULE_TEST_ALL"] != nil, "takes a minute"))
        func theyServeAsDeclaredOnTrixie() async throws { try await serve(on: "debian13", "data13") }

        private func fleet(_ image: String, pooler: String = "") -> String {
            """
            nodes: {a: {provider: lab, image: \(image)}}
            topologies: {single: {a: [database, cache]}}
            services:
              postgresql: {databases: {shop: {extensions: [citext]}}, settings: {work_mem: 6MB}}
              pgbouncer: {\(pooler)}
              redis: {cache: {maxMemory: 16MiB}, durable: {maxMemory: 16MiB}}
            resources:
              - on: database
                file: /root/env
                template: env
                mode: "0600"
                vars: {pool: !binding database.shop, own: !binding database.shop.direct, cache: !binding redis.cache, durable: !binding redis.durable}

            """
        }

        private func serve(on image: String, _ word: String) async throws {
            try await Scene.with(word) { scene in
                try scene.write(
                    "env", "POOL='{{pool}}'\nOWN='{{own}}'\nCACHE='{{cache}}'\nDURABLE='{{durable}}'\n")
                try await scene.converge(fleet(image))
                try await expectPostgreSQL(scene)
                try await expectRedis(scene)
                let again = try await scene.bascule("apply", "--yes")
                #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
                try await expectReplacementWithoutErrors(scene, image)
                try await expectDriftIsMended(scene)
                try await expectComparison(scene)
                try await expectAnotherVersionIsRefused(scene, image)
            }
        }

        /// What a superuser reads on the node.
        private func sql(_ scene: Scene, _ text: String, in database: String = "postgres") async throws -> String {
            try await scene.run(
                "a", "runuser", "-u", "postgres", "--", "psql", "-XqAt", "-d", database, "-c", text
            ).text.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        /// With and without PgBouncer: four figures, and nothing of it is left.
        private func expectComparison(_ scene: Scene) async throws {
            let bench = try await scene.bascule(
                "bench", "pooling", "--yes", "--json", "--clients", "4", "--seconds", "1", "--rounds", "1", "--scale",
                "1")
            #expect(bench.status == 0, "\(bench.all)")
            struct Table: Decodable {
                struct Row: Decodable { var connects: Bool, direct: Double?, pooled: Double?, reason: String? }
                var rows: [Row]
            }
            let table = try JSONDecoder().decode(Table.self, from: Data(bench.text.utf8))
            #expect(table.rows.map(\.connects) == [true, false])
            for row in table.rows { #expect((row.direct ?? 0) > 0 && (row.pooled ?? 0) > 0, "\(row)") }
            let left = try await sql(
                scene,
                "SELECT (SELECT count(*) FROM pg_database WHERE datname ~ 'pooling') + (SELECT count(*) FROM pg_roles WHERE rolname ~ 'pooling')"
            )
            #expect(left == "0")
            #expect(try await scene.run("a", "test", "!", "-e", "/run/bascule-pooling").status == 0)
            let untaken = try await scene.bascule("bench", "pooling", "--clients", "4")
            #expect(untaken.status == 1 && untaken.all.contains("--yes"), "\(untaken.all)")
        }

        private func expectPostgreSQL(_ scene: Scene) async throws {
            #expect(try await sql(scene, "SELECT count(*) FROM pg_settings WHERE pending_restart") == "0")
            #expect(
                try await sql(scene, "SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL") == "0")
            #expect(try await sql(scene, "SHOW work_mem") == "6MB")
            #expect(
                try await sql(
                    scene,
                    "SELECT bool_and(rolpassword LIKE 'SCRAM-SHA-256$%') FROM pg_authid WHERE rolpassword IS NOT NULL"
                ) == "t")
            #expect(
                try await scene.shell(
                    "a",
                    ". /root/env; psql -XqAt \"$OWN?sslmode=require\" -c 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'"
                ) == "t")
            #expect(
                try await scene.shell("a", ". /root/env; psql -XqAt \"$POOL\" -c 'SELECT current_user'") == "shop")
            #expect(try await sql(scene, "SELECT count(*) > 0 FROM pg_stat_statements", in: "shop") == "t")
            // Nobody but PgBouncer's role is told verifiers, and it is told of no superuser.
            let asked = try await scene.run(
                "a", "sh", "-c", ". /root/env; psql -XqAt \"$OWN\" -c \"SELECT * FROM bascule_pool.login('shop')\"")
            #expect(asked.status != 0 && asked.errorText.contains("permission denied"), "\(asked.all)")
            #expect(try await sql(scene, "SELECT count(*) FROM bascule_pool.login('postgres')", in: "shop") == "0")
            for unit in ["postgresql@*.service", "pgbouncer.service", "redis-server@*.service"] {
                let units = try await scene.shell(
                    "a", "systemctl list-units --plain --no-legend '\(unit)' | awk '{print $1}'")
                for unit in units.split(separator: "\n") {
                    let verdict = try await scene.run(
                        "a", "systemd-analyze", "security", "--no-pager", "--threshold=30", "\(unit)")
                    #expect(verdict.status == 0, "\(unit): \(verdict.text.suffix(200))")
                }
            }
        }

        private func expectRedis(_ scene: Scene) async throws {
            func ask(_ url: String, _ words: String) async throws -> String {
                try await scene.shell(
                    "a", ". /root/env; redis-cli --no-auth-warning -u \"$\(url)\" \(words) 2>&1 || true")
            }
            for url in ["CACHE", "DURABLE"] {
                #expect(try await ask(url, "set k v") == "OK")
                #expect(try await ask(url, "eval \"return redis.call('get', 'k')\" 0") == "v")
                #expect(try await ask(url, "info server").contains("redis_version"))
                for words in ["config get maxmemory", "keys '*'", "flushall", "acl list"] {
                    #expect(try await ask(url, words).contains("NOPERM"), "\(url) \(words)")
                }
            }
            #expect(try await ask("DURABLE", "flushdb").contains("NOPERM"))
            #expect(try await scene.shell("a", "redis-cli -p 6379 ping 2>&1 || true").contains("NOAUTH"))
            // More than fits: one forgets the oldest, the other refuses the newest.
            let fill =
                "eval \"for i = 1, 8 do redis.call('set', KEYS[1] .. i, string.rep('x', 1048576)) end return 'full'\" 1"
            for round in 1...4 { #expect(try await ask("CACHE", "\(fill) r\(round)-") == "full") }
            #expect(try await !ask("CACHE", "info stats").contains("evicted_keys:0\r"))
            var last = ""
            for round in 1...4 { last = try await ask("DURABLE", "\(fill) r\(round)-") }
            #expect(last.contains("OOM"), "\(last)")
            #expect(try await ask("DURABLE", "get k") == "v")
        }

        /// Load by clients that stay and by clients that connect for each transaction, while an apply changes what
        /// PgBouncer reads only when it starts.
        private func expectReplacementWithoutErrors(_ scene: Scene, _ image: String) async throws {
            let bench = "PATH=$PATH:$(echo /usr/lib/postgresql/*/bin); . /root/env; pgbench -n"
            try await scene.shell("a", "\(bench) -q -i \"$POOL\" 2>&1")
            async let stay = scene.run("a", "sh", "-c", "\(bench) -T 8 -c 4 \"$POOL\" 2>&1")
            async let come = scene.run("a", "sh", "-c", "\(bench) -T 8 -c 2 -C -S \"$POOL\" 2>&1")
            try scene.fleet(fleet(image, pooler: "settings: {pkt_buf: 8192}"))
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 0, "\(applied.all)")
            for run in try await [stay, come] {
                #expect(
                    run.status == 0 && run.text.contains("number of failed transactions: 0 ")
                        && !run.text.contains("aborted"), "\(run.text)")
            }
            let console = "runuser -u postgres -- psql -XqAt -h /run/postgresql -p 6432 -U pgbouncer pgbouncer"
            #expect(try await scene.shell("a", "\(console) -c 'SHOW CONFIG' | grep '^pkt_buf|8192|'") != "")
            // The old process is gone with its clients.
            try await scene.shell("a", "until [ $(pgrep -cx pgbouncer) = 1 ]; do sleep 0.1; done")
        }

        /// One thing of each kind is broken by hand, found, and mended.
        private func expectDriftIsMended(_ scene: Scene) async throws {
            try await scene.shell(
                "a",
                """
                bascule-agent hold
                echo "work_mem = '1MB'" >> /etc/postgresql/*/main/conf.d/60-bascule.conf
                chmod 0644 /etc/pgbouncer/userlist.txt
                echo 'user eve on nopass ~* +@all' >> /etc/redis/redis-cache.acl
                rm /etc/postgresql/node.key
                """)
            _ = try await sql(scene, "DROP EXTENSION pg_stat_statements; DROP FUNCTION bascule_pool.login", in: "shop")
            _ = try await sql(scene, "ALTER ROLE shop CREATEDB")
            let plan = try await scene.bascule("plan", "--json")
            #expect(plan.status == 2)
            for thing in [
                "60-bascule.conf", "userlist.txt", "redis-cache.acl", "shop.pg_stat_statements", "pool-login.shop",
                "postgresRole:shop", "certificate:postgresql",
            ] { #expect(plan.text.contains(thing), "\(thing) was not found") }
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 0, "\(applied.all)")
            #expect(try await sql(scene, "SHOW work_mem") == "6MB")
            #expect(
                try await sql(scene, "SELECT NOT rolcreatedb FROM pg_roles WHERE rolname = 'shop'") == "t")
            #expect(
                try await scene.shell(
                    "a",
                    ". /root/env; psql -XqAt \"$POOL\" -c 'SELECT count(*) FROM pg_extension WHERE extname = $$pg_stat_statements$$'"
                ) == "1")
            #expect(
                try await scene.shell("a", "redis-cli -p 6379 --user eve -a x ping 2>&1 || true").contains("WRONGPASS"))
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
        }

        /// A new, empty cluster beside the data would be what every app then sees.
        private func expectAnotherVersionIsRefused(_ scene: Scene, _ image: String) async throws {
            let before = try await scene.shell("a", "pg_lsclusters -h; cat /etc/apt/sources.list.d/*")
            try scene.fleet(fleet(image).replacing("postgresql: {", with: "postgresql: {version: 16, "))
            for words in [["plan"], ["apply", "--yes"]] {
                let refused = try await scene.bascule(words, environment: [:])
                #expect(refused.status == 1 && refused.all.contains("[catalogue-cluster]"), "\(refused.all)")
                #expect(refused.all.contains("fleet.yaml:5:16"), "where the version stands: \(refused.all)")
                #expect(refused.all.contains("/main") && refused.all.contains("upgrade"), "\(refused.all)")
            }
            #expect(try await scene.shell("a", "pg_lsclusters -h; cat /etc/apt/sources.list.d/*") == before)
        }
    }
}
