import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// Apps in containers of a real Docker, and as sets of workers of Node.js's own cluster module.
    @Suite(.serialized, .scene("runtimes"), .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct RuntimesTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        // MARK: - What both share

        private static let server = """
            "use strict";
            const http = require("http");
            const hoard = [];
            if (process.env.WORD === "bad") throw new Error("a bad release");
            const server = http.createServer((request, response) => {
              if (request.url === "/crash") process.exit(3);
              if (request.url === "/hoard") for (;;) hoard.push(Buffer.alloc(1 << 20, 1));
              console.log("asked for " + request.url);
              setTimeout(() => response.end(`${process.env.WORD} ${process.env.PORT} ${process.pid} of ${process.getuid()}\\n`), 20);
            });
            server.listen(process.env.PORT, process.env.HOST);
            process.on("SIGTERM", () => server.close(() => process.exit(0)));

            """

        /// Four customers for some seconds, through the proxy; what they were answered, counted.
        private static let load = """
            end=$(($(date +%s) + $1))
            for number in 1 2 3 4; do
                while [ $(date +%s) -lt $end ]; do
                    curl -s -m 10 -o /dev/null -w '%{http_code} %{exitcode}\\n' -H 'Host: shop.example' http://127.0.0.1:8081/ >> /tmp/load.$number
                done &
            done
            wait

            """

        private func fleet(_ image: String, _ app: String, word: String = "one") -> String {
            """
            nodes: {a: {provider: lab, image: \(image)}}
            topologies: {single: {a: [web, app]}}
            services: {nginx: {}}
            apps:
              shop:
                source: {path: shop}
                port: 3000
                start: node server.js
                env: {WORD: \(word)}
                health: {path: /, timeout: 15s}
                drain: 5s
                domains: [shop.example]
                \(app)
            resources:
              - {on: all, package: [curl]}

            """
        }

        private func ask(_ path: String, port: Int) async throws -> String {
            try await scene.shell("a", "curl -s -m 10 http://127.0.0.1:\(port)\(path) || echo failed $?")
        }

        /// Another release under load: nobody is refused, and everybody gets the new one in the end.
        private func expectRollingLosesNothing(_ text: String, word: String) async throws {
            _ = try await scene.run("a", "tee", "/root/load.sh", stdin: Self.load)
            try await scene.shell("a", "rm -f /tmp/load.*; systemd-run -q --unit=load sh /root/load.sh 25")
            try await scene.converge(text)
            let ended = try await eventually(within: 40) {
                try await scene.run("a", "systemctl", "is-active", "load").text.contains("inactive")
            }
            let counted = try await scene.shell("a", "cat /tmp/load.* | sort | uniq -c")
            let lines = counted.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            #expect(ended && lines.count == 1 && lines.first?.dropFirst() == ["200", "0"], "\(counted)")
            #expect((lines.first?.first).flatMap { Int($0) } ?? 0 > 100, "\(counted)")
            for port in [3000, 3001] { #expect(try await ask("/", port: port).hasPrefix("\(word) \(port) ")) }
        }

        /// A release that does not come up is taken back.
        private func expectABadReleaseGoesBack(_ image: String, _ app: String, word: String, _ more: String = "")
            async throws
        {
            try scene.fleet(fleet(image, app, word: "bad") + more)
            let refused = try await scene.bascule("apply", "--yes")
            #expect(refused.status == 1 && refused.all.contains("the previous one is back"), "\(refused.all)")
            for port in [3000, 3001] { #expect(try await ask("/", port: port).hasPrefix("\(word) \(port) ")) }
        }

        private func expectNothingToDo() async throws {
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
        }

        // MARK: - Docker

        /// No registry is in reach: the image is made of the node's own Node.js. Where the machine below has control groups
        /// in the old layout, memory is limited only for a Docker that sees them; that of Debian 12 starts nothing so.
        private static let docker = """
            set -e
            cat > /usr/local/sbin/with-groups <<'S'
            #!/bin/sh
            set -e
            mount -t tmpfs tmpfs /sys/fs/cgroup
            for c in memory pids cpu devices freezer cpuset blkio; do
                mkdir /sys/fs/cgroup/$c
                mount -t cgroup -o $c none /sys/fs/cgroup/$c || rmdir /sys/fs/cgroup/$c
            done
            exec "$@"
            S
            chmod 755 /usr/local/sbin/with-groups
            if [ $1 = debian13 ] && grep -q ':memory:' /proc/1/cgroup; then
                for unit in docker containerd; do
                    mkdir -p /etc/systemd/system/$unit.service.d
                    run=$(systemctl show -P ExecStart $unit | sed 's/.*argv\\[\\]=\\([^;]*\\) ;.*/\\1/')
                    [ $unit = containerd ] || run="$run --exec-opt native.cgroupdriver=cgroupfs"
                    printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/unshare -m /usr/local/sbin/with-groups %s\\n' "$run" > /etc/systemd/system/$unit.service.d/lab.conf
                done
                systemctl daemon-reload
            fi
            mkdir -p /etc/docker
            echo '{"bridge": "none", "iptables": false, "ip6tables": false}' > /etc/docker/daemon.json
            systemctl restart containerd docker
            d=$(mktemp -d)
            chmod 755 $d
            mkdir -p $d/bin $d/tmp $d/app $d/usr/share
            cp /usr/bin/node $d/bin/node
            for f in $(ldd /usr/bin/node | grep -o '/[^ ]*'); do mkdir -p $d$(dirname $f); cp -L $f $d$f; done
            [ ! -d /usr/share/nodejs ] || cp -rL /usr/share/nodejs $d/usr/share/
            tar -C $d -c . | docker import - local/node:1
            rm -rf $d
            """

        @Test(.timeLimit(.minutes(15)), arguments: ["debian12", "debian13"])
        func containersAreRolledLimitedAndMended(_ image: String) async throws {
            try await scene.startAnew()
            try scene.write("shop/server.js", Self.server)
            let cli = image == "debian13" ? ", docker-cli" : ""
            try await scene.converge(
                """
                nodes: {a: {provider: lab, image: \(image)}}
                topologies: {single: {a: [web, app]}}
                resources: [{on: all, package: [docker.io, docker-compose, nodejs\(cli)]}]

                """)
            let made = try await scene.lab.exec(
                "a", ["sh", "-s", image], stdin: Array(Self.docker.utf8), deadline: .seconds(120))
            try #require(made.status == 0, "\(made.all)")
            let app = "runtime: docker\n    image: local/node:1\n    instances: 2\n    memory: 96MiB"
            try await scene.converge(fleet(image, app))
            try await expectNothingToDo()
            for port in [3000, 3001] {
                #expect(try await ask("/", port: port).hasSuffix(" of 65534"), "nobody's user, whose port it is")
            }
            // Docker opens nothing past the node's packet filter, and keeps no network of its own.
            #expect(try await scene.shell("a", "nft list ruleset | grep -ci docker || true") == "0")
            #expect(try await scene.shell("a", "ip -o link | grep -c docker0 || true") == "0")
            try await expectTheLimit(image)
            let before = try await scene.shell("a", "docker ps -q --no-trunc | sort")
            #expect(try await ask("/crash", port: 3000).contains("failed"))
            try await expectBack("after a crash")
            #expect(try await scene.shell("a", "docker ps -q --no-trunc | sort") != before)
            try await expectRollingLosesNothing(fleet(image, app, word: "two"), word: "two")
            try await expectABadReleaseGoesBack(image, app, word: "two")
            try await scene.converge(fleet(image, app, word: "two"))
            try await expectDockerIsMended()
        }

        private func expectBack(_ when: Comment) async throws {
            let back = try await eventually(within: 30, every: .milliseconds(500)) {
                for port in [3000, 3001] where try await !ask("/", port: port).contains(" \(port) ") { return false }
                return true
            }
            let state = try await scene.shell(
                "a", "docker ps -a; journalctl -u 'bascule-shop@*' -n 20 -o cat --no-pager")
            #expect(back, "\(when): \(state)")
        }

        /// More than its memory ends one container, which comes back; the other serves on.
        private func expectTheLimit(_ image: String) async throws {
            let names = try await scene.shell("a", "docker ps --format '{{.Names}}' | sort").split(separator: "\n")
            #expect(names.count == 2)
            for name in names {
                let limits = try await scene.shell(
                    "a",
                    "docker inspect \(name) -f '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}'"
                )
                let memory = limits.split(separator: " ").first.map(String.init)
                #expect(limits.hasSuffix(" 512 true [ALL]") || memory == "0", "\(name): \(limits)")
                #expect(memory == "\(96 << 20)" || (memory == "0" && image == "debian12"), "\(name): \(limits)")
            }
            // What the kernel cannot limit Docker leaves out.
            guard image == "debian13" else { return }
            #expect(try await ask("/hoard", port: 3001).contains("failed"))
            #expect(try await ask("/", port: 3000).hasPrefix("one 3000 "))
            try await expectBack("after the memory's end")
            let told = try await scene.shell("a", "journalctl -u 'bascule-shop@3001' -o cat --no-pager")
            #expect(told.contains("137"), "killed, not ended: \(told.suffix(2000))")
        }

        private func expectDockerIsMended() async throws {
            try await scene.shell(
                "a",
                """
                bascule-agent hold
                sed -i 's/mem_limit.*/mem_limit: 999m/' /srv/apps/shop/compose.yaml
                echo '{}' > /etc/docker/daemon.json
                systemctl stop bascule-shop@3001
                systemctl disable -q docker.service
                """)
            let drift = try await scene.bascule("drift")
            for what in ["compose.yaml", "daemon.json", "docker.service", "app shop"] {
                #expect(drift.status == 2 && drift.text.contains(what), "\(what): \(drift.all)")
            }
            let mended = try await scene.bascule("apply", "--yes")
            #expect(mended.status == 0, "\(mended.all)")
            try await expectBack("mended")
            try await expectNothingToDo()
            try await scene.shell("a", "bascule-agent release")
        }

        // MARK: - Sets of workers

        /// Not PM2, which no Debian package has: what its ecosystem file describes, carried out by the cluster module that
        /// PM2 uses. It proves the file, the unit, the ports, the gate and the logs; of PM2 itself it proves nothing.
        private static let launcher = """
            "use strict";
            const cluster = require("cluster"), fs = require("fs"), path = require("path");
            const app = require(process.argv[3]).apps[0];
            if (app.exec_mode !== "cluster") throw new Error("no cluster");
            const out = fs.createWriteStream(app.out_file, { flags: "a" });
            const error = fs.createWriteStream(app.error_file, { flags: "a" });
            let ending = false;
            (cluster.setupPrimary || cluster.setupMaster)({
              exec: path.resolve(app.cwd, app.script), args: app.args, execArgv: app.node_args, cwd: app.cwd, silent: true,
            });
            function fork() {
              const worker = cluster.fork();
              worker.process.stdout.pipe(out, { end: false });
              worker.process.stderr.pipe(error, { end: false });
            }
            for (let i = 0; i < app.instances; i++) fork();
            cluster.on("exit", () => {
              if (!ending) setTimeout(fork, app.exp_backoff_restart_delay);
              else if (Object.keys(cluster.workers).length === 0) process.exit(0);
            });
            process.on("SIGTERM", () => {
              ending = true;
              for (const worker of Object.values(cluster.workers)) worker.process.kill("SIGTERM");
              setTimeout(() => process.exit(1), app.kill_timeout).unref();
            });

            """

        @Test(.timeLimit(.minutes(10)), arguments: ["debian12", "debian13"])
        func workersAreRolledRotatedAndThereAfterABoot(_ image: String) async throws {
            try await scene.startAnew()
            try scene.write("shop/server.js", Self.server)
            try scene.write("launcher.js", Self.launcher)
            let launcher = "  - {on: all, file: /opt/pm2/bin/pm2-runtime, source: launcher.js}\n"
            let app = "runtime: pm2\n    pm2: {path: /opt/pm2}\n    instances: 4"
            // The launcher first: it is the node's own.
            try await scene.converge(
                "nodes: {a: {provider: lab, image: \(image)}}\ntopologies: {single: {a: [web, app]}}\nresources:\n\(launcher)"
            )
            try await scene.converge(fleet(image, app) + launcher)
            try await expectNothingToDo()
            try await expectFourWorkers()
            #expect(try await ask("/crash", port: 3000).contains("failed"))
            try await expectFourWorkers()
            try await expectRollingLosesNothing(fleet(image, app, word: "two") + launcher, word: "two")
            try await expectABadReleaseGoesBack(image, app, word: "two", launcher)
            try await scene.converge(fleet(image, app, word: "two") + launcher)
            try await expectRotation()
            // Started by systemd alone: no command of anybody's.
            try await scene.lab.kill("a")
            _ = try await scene.lab.boot("a")
            try await expectFourWorkers()
            try await expectNothingToDo()
        }

        /// Two behind each of two ports.
        private func expectFourWorkers() async throws {
            var seen: [Int: Set<String>] = [:]
            let all = try await eventually(within: 20) {
                seen = [:]
                for port in [3000, 3001] {
                    let answers = try await scene.shell(
                        "a", "for i in 1 2 3 4 5 6; do curl -s -m 5 http://127.0.0.1:\(port)/ || true; done")
                    seen[port] = Set(
                        answers.split(separator: "\n").compactMap { $0.split(separator: " ").dropFirst(2).first }.map(
                            String.init))
                }
                return seen.values.allSatisfy { $0.count == 2 }
            }
            #expect(all, "\(seen)")
        }

        /// logrotate itself, with the file as it stands there: what is written later goes into the new file.
        private func expectRotation() async throws {
            let log = "/var/log/bascule-shop/out-3000.log"
            try await scene.shell("a", "logrotate --force /etc/logrotate.d/bascule-shop")
            #expect(try await scene.shell("a", "grep -c 'asked for' \(log).1") != "0")
            _ = try await ask("/fresh", port: 3000)
            let fresh = try await eventually(within: 5) {
                try await scene.shell("a", "cat \(log)").contains("asked for /fresh")
            }
            #expect(fresh)
            try await scene.shell("a", "logrotate --force /etc/logrotate.d/bascule-shop")
            let files = try await scene.shell("a", "stat -c '%n %U %a' /var/log/bascule-shop/out-3000.log*")
            #expect(files.contains("\(log).2.gz shop ") && files.contains("\(log).1 shop "), "\(files)")
            #expect(!files.contains("shop 777") && !files.contains("shop 666"), "\(files)")
        }
    }
}
