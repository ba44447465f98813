import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// Backups in a bucket of an S3 that really speaks S3 (moto's server, over TLS), on this machine's side of the lab.
    @Suite(.serialized, .scene("bucket"), .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct BucketBackupTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static let nodes =
            "nodes: {a: {provider: lab, image: debian12}, s3: {provider: lab, image: debian12}}\n"

        private static func fleet(_ endpoint: String, at address: String) -> String {
            """
            \(nodes)topologies: {single: {a: [database, app, backup], s3: []}}
            services:
              postgresql: {databases: {shop: {}}}
              backup:
                targets:
                  cloud:
                    s3:
                      endpoint: "\(endpoint)"
                      bucket: shop-backups
                      region: us-east-1
                      pathStyle: true
                      caBundle: roots.pem
                      accessKey: !secret S3_KEY
                      secretKey: !secret S3_SECRET
                      prune: {accessKey: !secret PRUNE_KEY, secretKey: !secret PRUNE_SECRET}
                borg: {targets: [cloud], paths: [/srv/data]}
            resources:
              - {on: app, directory: /srv/data, mode: "0755"}
              - {on: app, file: /srv/data/one.txt, content: "one\\n"}
              - {on: app, file: /etc/hosts, content: "127.0.0.1 localhost\\n\(address) s3.example\\n"}

            """
        }

        /// BASCULE_MOTO names the program; without it, it is installed from PyPI into the scene's folder.
        private func server() async throws -> String {
            if let given = ProcessInfo.processInfo.environment["BASCULE_MOTO"] { return given }
            let folder = "\(scene.folder)/moto"
            for words in [["python3", "-m", "venv", folder], ["\(folder)/bin/pip", "install", "-q", "moto[server]"]] {
                let made = try await BasculeProviders.Command.run(
                    ["/usr/bin/env"] + words, environment: ["HOME": scene.folder], deadline: .seconds(400))
                try #require(made.status == 0, "\(made.all)")
            }
            return "\(folder)/bin/moto_server"
        }

        /// On a node of its own, as a drill's throwaway node has to reach it, too.
        private func serve() async throws -> (Running, endpoint: String, address: String) {
            let program = try await server()
            try await scene.converge(Self.nodes + "topologies: {single: {a: [], s3: []}}\n")
            let gateway = try await scene.shell("s3", "ip -4 route show default | sed 's/.*via \\([0-9.]*\\).*/\\1/'")
            let address = try await scene.shell("s3", "hostname -I | cut -d' ' -f1")
            let made = try await BasculeProviders.Command.run(
                [
                    "/usr/bin/env", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "9", "-subj", "/CN=s3", "-addext", "subjectAltName=DNS:s3.example", "-keyout",
                    "\(scene.folder)/s3.key", "-out", "\(scene.folder)/roots.pem",
                ], environment: [:], deadline: .seconds(30))
            try #require(made.status == 0, "\(made.all)")
            let running = try Running(
                [program, "-H", gateway, "-p", "5000"], environment: ["S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"])
            // moto's own TLS ends connections without saying so, which no careful client takes for an end.
            let certificate = try scene.read("roots.pem") + scene.read("s3.key")
            _ = try await scene.run("s3", "tee", "/root/s3.pem", stdin: certificate)
            let proxied = try await scene.lab.exec(
                "s3",
                [
                    "sh", "-c",
                    """
                    set -e; apt-get -qq update >/dev/null; apt-get -qq install -y nginx-light curl >/dev/null 2>&1
                    cat > /etc/nginx/conf.d/s3.conf <<'E'
                    server {
                      listen 5443 ssl; ssl_certificate /root/s3.pem; ssl_certificate_key /root/s3.pem;
                      client_max_body_size 0;
                      location / { proxy_pass http://\(gateway):5000; proxy_set_header Host $http_host; proxy_http_version 1.1; }
                    }
                    E
                    systemctl restart nginx
                    """,
                ], deadline: .seconds(240))
            try #require(proxied.status == 0, "\(proxied.all)")
            let there = try await eventually(within: 60) {
                try await scene.lab.exec(
                    "s3", ["curl", "-sfk", "-X", "PUT", "https://\(address):5443/shop-backups"], deadline: .seconds(60)
                ).status == 0
            }
            try #require(there, "the S3 does not answer")
            // pgBackRest compares names, not addresses.
            return (running, "s3.example:5443", address)
        }

        /// The node's own key has no right to delete; the controller brings the one that has.
        private func prune(_ address: String) async throws {
            let first = try await scene.bascule("snapshot", "prune")
            #expect(first.status == 0 && first.all.contains("on record now"), "\(first.all)")
            #expect(try await scene.bascule("hold", "a").status == 0)
            try await scene.shell(
                "a", "sed -i 's/\"fullSeconds\" : [0-9]*/\"fullSeconds\" : 0/' /etc/bascule-backup/postgresql.json")
            #expect(try await scene.bascule("snapshot", "create").status == 0)
            #expect(try await scene.bascule("release", "a").status == 0)
            let labels =
                "runuser -u postgres -- pgbackrest --config=/etc/bascule-backup/pgbackrest.conf --stanza=main --repo=1 repo-ls backup/main | grep -E 'F(_|$)'"
            let all = try await scene.shell("a", "cd /; \(labels)")
            #expect(all.split(separator: "\n").count == 2, "\(all)")

            // Another's bytes in what is to stay: nothing goes.
            let newest = String(all.split(separator: "\n").last ?? "")
            let object = try await scene.shell(
                "a",
                "cd /; runuser -u postgres -- pgbackrest --config=/etc/bascule-backup/pgbackrest.conf --stanza=main --repo=1 --recurse repo-ls backup/main/\(newest) | grep bundle/ | head -1"
            )
            let curl = "curl -sfk --aws-sigv4 aws:amz:us-east-1:s3 --user testing-S3_KEY:testing-S3_SECRET"
            let url = "https://\(address):5443/shop-backups/\(scene.name)/postgresql/backup/main/\(newest)/\(object)"
            try await scene.shell(
                "s3",
                "set -e; \(curl) '\(url)' -o /root/kept; cp /root/kept /root/other; printf '\\377\\000\\377' | dd of=/root/other bs=1 seek=2000 conv=notrunc status=none; \(curl) -T /root/other '\(url)'"
            )
            let refused = try await scene.bascule("snapshot", "prune", "--days", "0")
            #expect(refused.status == 1 && refused.all.contains("[prune-check-failed]"), "\(refused.all)")
            #expect(try await scene.shell("a", "cd /; \(labels)") == all)
            try await scene.shell("s3", "\(curl) -T /root/kept '\(url)'")

            let pruned = try await scene.bascule("snapshot", "prune", "--days", "0")
            #expect(pruned.status == 0 && pruned.all.contains("1 removed"), "\(pruned.all)")
            #expect(try await scene.shell("a", "cd /; \(labels)") == newest)
            #expect(
                try await scene.shell(
                    "a",
                    "! test -e /run/bascule-prune.conf && ! grep -rqs testing-PRUNE /etc /run /var/lib/bascule-backup && echo clean"
                ) == "clean")
            // A backup on record that is gone is not taken for one that was pruned.
            let store = try await scene.bascule("snapshot", "prune", "--days", "0")
            #expect(store.status == 0 && store.all.contains(" 0 removed"), "\(store.all)")
        }

        /// From the bucket alone.
        private func drill() async throws {
            try await scene.shell(
                "a",
                "cd /; runuser -u postgres -- psql -Xqd shop -c 'CREATE TABLE stays AS SELECT generate_series(1, 900) AS n'"
            )
            let drilled = try await scene.bascule("snapshot", "drill", deadline: .seconds(900))
            #expect(drilled.status == 0 && !drilled.text.contains("✗"), "\(drilled.all)")
            for word in [
                "from s3.example:5443/shop-backups", "900 rows in 1 tables", "no row missing before",
                "PostgreSQL: missing segment noticed", "PostgreSQL: wrong key noticed", "RPO", "RTO",
            ] { #expect(drilled.text.contains(word), "\(word): \(drilled.all)") }
            for line in drilled.text.split(separator: "\n") where line.hasPrefix("✓") { print(line) }
        }

        @Test(.timeLimit(.minutes(25))) func databasesAndFilesComeBackFromABucket() async throws {
            try await scene.startAnew()
            let (running, endpoint, address) = try await serve()
            defer { running.kill9() }
            for name in ["S3_KEY", "S3_SECRET", "PRUNE_KEY", "PRUNE_SECRET"] {
                let set = try await scene.bascule("secret", "set", name, stdin: "testing-\(name)")
                try #require(set.status == 0, "\(set.all)")
            }
            try await scene.converge(Self.fleet(endpoint, at: address))
            let made = try await eventually(within: 120) {
                try await scene.run(
                    "a", "sh", "-c",
                    "grep -q '\"base\"' /var/lib/bascule-backup/postgresql/target-cloud.json && grep -q '\"time\"' /var/lib/bascule-backup/borg/target-cloud.json && ! systemctl is-active -q bascule-backup-postgresql bascule-backup-borg"
                ).status == 0
            }
            let said = try await scene.run(
                "a", "journalctl", "-u", "bascule-backup-postgresql", "-u", "bascule-backup-borg", "-n", "30")
            try #require(made, "\(said.text)")
            try await scene.shell(
                "a",
                "cd /; runuser -u postgres -- psql -Xqd shop -c 'CREATE TABLE t AS SELECT generate_series(1, 700) AS n'"
            )
            let point = try await scene.bascule("snapshot", "create", "--point", "sale")
            #expect(point.status == 0, "\(point.all)")
            let listed = try await scene.bascule("snapshot", "list")
            #expect(
                listed.status == 0 && listed.text.contains("cloud") && listed.text.contains("sale"), "\(listed.all)")

            // Nothing of the node's own: its cluster and its copy of the files' repository are gone.
            try await scene.shell("a", "cd /; runuser -u postgres -- psql -Xqd shop -c 'DROP TABLE t'")
            let restored = try await scene.bascule(
                "snapshot", "restore", "--to-point", "sale", "--database", "shop", "--as", "shop_sale", "--yes")
            #expect(restored.status == 0, "\(restored.all)")
            #expect(
                try await scene.shell(
                    "a", "cd /; runuser -u postgres -- psql -XqAtd shop_sale -c 'SELECT count(*) FROM t'") == "700")
            let lsn = try await scene.shell(
                "a", "sed -n 's/.*\"lsn\": \"\\([^\"]*\\)\".*/\\1/p' /var/lib/bascule-backup/postgresql/points.json")
            let exact = try await scene.bascule(
                "snapshot", "restore", "--to-lsn", lsn, "--database", "shop", "--as", "shop_lsn", "--yes")
            #expect(exact.status == 0, "\(exact.all)")
            try await prune(address)
            try await drill()
            try await scene.shell("a", "rm -rf /var/lib/bascule-backup/borg/repository")
            let files = try await scene.bascule("snapshot", "files", "--path", "/srv/data", "--yes")
            #expect(files.status == 0, "\(files.all)")
            #expect(try await scene.shell("a", "cat /var/lib/bascule-restore/files/srv/data/one.txt") == "one")

            // A server that somebody else's certificate is shown for is not spoken to. Without the hold, the agent puts the
            // roots back at once.
            try await scene.shell(
                "a",
                "bascule-agent hold >/dev/null; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=other -keyout /tmp/k -out /etc/bascule-backup/cloud-roots.pem 2>/dev/null"
            )
            // Unless told otherwise each request is tried for a minute.
            let refused = try await scene.run(
                "a", "runuser", "-u", "postgres", "--", "pgbackrest", "--config=/etc/bascule-backup/pgbackrest.conf",
                "--stanza=main", "--repo=1", "--io-timeout=5", "--log-level-console=error", "repo-ls")
            #expect(refused.status != 0 && refused.all.contains("certificate"), "\(refused.all)")
        }
    }
}
