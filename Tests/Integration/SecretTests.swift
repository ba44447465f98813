import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// A canary goes into the fleet as a secret: it may appear in the file that it is for, and nowhere else.
    @Suite(.serialized, .scene("canary")) struct SecretTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        @Test func aSecretIsOnlyWhereItBelongs() async throws {
            let canary = "canary-\(UInt64.random(in: .min ... .max))-sings"
            try scene.write("secret.conf", "user = shop\nkey = {{key}}\n")
            try scene.fleet(
                """
                nodes:
                  a: {provider: lab, image: debian12}
                topologies:
                  single: {a: [cache]}
                topology: single
                services:
                  redis: {cache: {maxMemory: 64MiB}}
                resources:
                  - {on: all, file: /srv/key.conf, template: secret.conf, vars: {key: !secret CANARY}, mode: "0600"}
                  - {on: all, file: /srv/other.conf, content: "x", mode: "0600"}

                """)
            #expect(try await scene.bascule("secret", "set", "CANARY", stdin: canary + "\n").status == 0)
            try #require(try await scene.bascule("apply", "--yes", "--through", "provision").status == 3)
            // Argument lists on both sides while the apply runs, without the canary in the watcher's own.
            let watch =
                "while [ ! -e /run/watched ]; do for p in /proc/[0-9]*; do cat $p/cmdline $p/environ 2>/dev/null; echo; done | tr '\\0' ' ' | grep -a 'can[a]ry-'; sleep 0.02; done; true"
            async let seen = scene.lab.exec("a", ["sh", "-c", watch], deadline: .seconds(200)).text
            let run = try scene.begin("apply", "--yes", "--json")
            var arguments = ""
            while run.status == nil {
                arguments += (try? String(contentsOfFile: "/proc/\(run.pid)/cmdline", encoding: .utf8)) ?? ""
                try await Task.sleep(for: .milliseconds(20))
            }
            try await scene.shell("a", "touch /run/watched")
            #expect(try await seen.isEmpty)
            #expect(!arguments.contains(canary))
            #expect(try await run.ended(within: 5) == 0, "\(run.output)")
            #expect(try await scene.shell("a", "cat /srv/key.conf") == "user = shop\nkey = \(canary)")
            let redis = try await scene.shell(
                "a",
                "grep -rhoE '(requirepass|masterauth|>)[ ]*[^ ]{16,}' /etc/redis | head -1 | sed -E 's/^(requirepass|masterauth|>) *//' | tr -d '\"'"
            )
            #expect(redis.count >= 16, "a password of Redis was found")

            // A change of the file, so that plans and diffs hold it too; held, or the agent would undo it at once.
            try await scene.shell("a", "bascule-agent hold && sed -i 's/shop/other/' /srv/key.conf")
            let plan = try await scene.bascule("plan", "--json", "--out", "\(scene.folder)/canary.plan")
            #expect(plan.status == 2 && plan.text.contains("/srv/key.conf"))
            let drift = try await scene.bascule("drift")
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 0, "\(applied.all)")
            let runs = try await scene.bascule("history", "--json")
            let ids = runs.text.split(separator: "\n").compactMap {
                try? JSONDecoder().decode(RunLine.self, from: Data($0.utf8)).id
            }
            #expect(ids.count >= 3)
            var said = run.output + plan.all + drift.all + applied.all + runs.all
            for id in ids {
                said += try await scene.bascule("history", id, "--json").all + scene.bascule("history", id).all
            }
            said +=
                try await scene.bascule("status", "--json").all + scene.bascule("now", "--json").all
                + scene.bascule("snapshot", "list").all
            var snapshots: Set<String> = []
            for secret in [canary, redis] {
                #expect(!said.contains(secret))
                #expect(try files(in: scene.folder, holding: secret).isEmpty)
                let journal = try await scene.run(
                    "a", "sh", "-c", "journalctl --all -o export --no-pager | grep -caF -f - ", stdin: secret)
                #expect(journal.text.trimmingCharacters(in: .whitespacesAndNewlines) == "0", "the journal is clean")
                let hits = try await scene.run(
                    "a", "grep", "-rlaF", "--exclude-dir=proc", "--exclude-dir=sys", "-f", "-", "/var/lib", "/var/log",
                    "/etc", "/srv", "/run", "/tmp", stdin: secret
                ).text
                let places = Set(hits.split(separator: "\n").map(String.init))
                snapshots.formUnion(places.filter { $0.hasPrefix("/var/lib/bascule/snapshots/objects/") })
                #expect(
                    places.subtracting(snapshots).allSatisfy { $0 == "/srv/key.conf" || $0.hasPrefix("/etc/redis/") },
                    "\(places)")
            }
            // Neither program leaves its memory behind when it crashes.
            #expect(
                try await scene.shell(
                    "a", "grep 'core file' /proc/$(systemctl show -P MainPID bascule-agent)/limits | awk '{print $5}'")
                    == "0")
            // A snapshot keeps what a file held before, encrypted.
            #expect(snapshots.isEmpty)
            #expect(
                try await scene.shell("a", "stat -c '%U %a' /var/lib/bascule/snapshots | grep -c '^root 700$'") == "1")
        }

        private struct RunLine: Decodable { var id: String }

        /// Files below a folder that hold the text, the store and its write-ahead log among them.
        private func files(in folder: String, holding text: String) throws -> [String] {
            let walker = try #require(FileManager.default.enumerator(atPath: folder))
            let needle = Data(text.utf8)
            var found: [String] = []
            var seen = 0
            for case let path as String in walker {
                guard let data = FileManager.default.contents(atPath: "\(folder)/\(path)") else { continue }
                seen += 1
                if data.range(of: needle) != nil { found.append(path) }
            }
            #expect(seen >= 4, "the store was looked at")
            return found
        }
    }
}
