import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// Every point at which either side writes something down: killed there, run again, the same end.
    @Suite(
        .serialized, .scene("walk", agents: Program.failpointAgents),
        .enabled(if: Program.hasFailpoints, "a release build has no failpoints"))
    struct FailpointTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static let environment = ProcessInfo.processInfo.environment

        /// All of them with `BASCULE_TEST_ALL=1`, else a few whose choice `BASCULE_SEED` repeats.
        @Test func everyPointThatARunPassesCanBeTheLast() async throws {
            let all = Program.testsAll
            let only = Self.environment["BASCULE_POINT"]
            var seeded = Seeded(
                seed: Self.environment["BASCULE_SEED"].flatMap { UInt64($0) } ?? .random(in: 1...999_999))
            print(all ? "walking every failpoint" : "walking a few failpoints, BASCULE_SEED=\(seeded.seed)")
            let walk = FailpointWalk(scene: scene, node: "n1", fingerprint: Self.fingerprint)
            var walked = 0
            var reached: Set<FailpointWalk.Side> = []
            for stage in Self.stages {
                let points = try await walk.walk(stage) { points in
                    if let only { return points.filter { "\(stage.name)/\($0.text)".contains(only) } }
                    if all { return points }
                    // Some of each side, where both have any.
                    let mixed = points.shuffled(using: &seeded)
                    return Array(
                        mixed.filter { $0.side == .agent }.prefix(1) + mixed.filter { $0.side == .controller }.prefix(1)
                    )
                }
                walked += points.count
                reached.formUnion(points.map(\.side))
                print("\(stage.name): \(points.count) points: \(points.map(\.text).joined(separator: " "))")
            }
            print("walked \(walked) failpoints")
            #expect(only != nil || reached.isSuperset(of: [.agent, .controller]), "both sides have failpoints")
            #expect(only != nil || walked >= (all ? 60 : 8))
        }

        private static let stages = [
            FailpointWalk.Stage(name: "secret", words: ["secret", "set", "WALK"], stdin: "hush\n", isFresh: true) {
                try $0.fleet(Sample.blank("n1"))
            },
            .init(name: "make", words: ["apply", "--yes"], isFresh: true) {
                try $0.write("walk.conf", "key = {{key}}\n")
                try $0.fleet(Sample.blank("n1") + Sample.files(1, item: 0, in: "first"))
            },
            .init(name: "bootstrap", words: ["apply", "--yes"]) { scene in
                // The same once more with the node there but blank, so that also the agent's own points can be reached.
                try await scene.lab.down()
                try scene.forgetStore()
                try await scene.bascule("secret", "set", "WALK", stdin: "hush\n")
                try await scene.bascule("lab", "up")
            },
            .init(name: "install", words: ["apply", "--yes"]) {
                try await $0.shell("n1", "apt-get -qq update && apt-get -qq -y -d install tree")
                try $0.fleet(Sample.blank("n1") + entries(1))
                try $0.write("up.bin", "1\u{0}")
            },
            .init(name: "update", words: ["apply", "--yes"]) {
                try await $0.bascule("secret", "set", "WALK", stdin: "whisper\n")
                try $0.fleet(Sample.blank("n1") + entries(2))
                try $0.write("up.bin", "2\u{0}")
            },
            .init(name: "rollback", words: ["rollback", "--yes"]),
        ]

        private static func entries(_ item: Int) -> String {
            """
              - {on: all, package: [tree]}
              - {on: all, group: walkers, system: true}
              - {on: all, user: walker, system: true, groups: [walkers], shell: \(item == 1 ? "/usr/sbin/nologin" : "/bin/sh")}
              - {on: all, directory: /srv/walk, owner: walker, group: walkers, mode: "0750"}
              - {on: all, file: /srv/walk/a.conf, content: "item \(item)\\n", owner: walker, mode: "06\(item)0"}
              - {on: all, file: /srv/walk/key.conf, template: walk.conf, vars: {key: !secret WALK}, mode: "0600"}
              - {on: all, file: /srv/walk/up.bin, source: up.bin}
              - {on: all, symlink: /srv/walk/current, target: /srv/walk/v\(item)}
              - {on: all, unit: walk.service, state: running, enabled: true, content: "\(unit("cp /srv/walk/a.conf /run/walk.conf"))", restartOn: [/srv/walk/a.conf]}
              - {on: all, unit: once.service, state: running, enabled: true, content: "\(unit("echo started >> /srv/starts"))"}
              - {on: all, timer: tick, schedule: "*-*-* 0\(item):00:00", command: /bin/true}
              - {on: all, sysctl: net.ipv4.tcp_fin_timeout, value: "3\(item)"}
              - {on: all, file: /srv/item\(item).conf, content: "only in \(item)\\n"}

            """
        }

        private static func unit(_ script: String) -> String {
            "[Service]\\nExecStart=/bin/sh -c '\(script); exec sleep infinity'\\n[Install]\\nWantedBy=multi-user.target\\n"
        }

        /// Files with their owners, modes and content, what packages and accounts there are, how units are, what each
        /// running process read, how often things happened, and what was left lying about.
        private static let fingerprint = """
            export LC_ALL=C
            places='/srv /etc/bascule /etc/systemd/system /etc/ssh/sshd_config.d /etc/sysctl.d /usr/local/lib/bascule'
            find $places -printf '%y %p %m %u:%g %l\\n' | sort
            find $places -type f ! -name authorized_keys -exec sha256sum {} + | sort -k2
            sed -E "s/AAAA[^ ]+/KEY/" /etc/bascule/authorized_keys
            find / -xdev \\( -name '*.bascule-new' -o -path '/var/lib/bascule/*.new' -o -path '/var/lib/bascule/*.part' \\)
            dpkg-query -W -f '${Package} ${db:Status-Abbrev}\\n' | sort | sha256sum; dpkg --audit
            grep -c ' install tree:' /var/log/dpkg.log
            getent passwd walker | cut -d: -f1,6,7; id -nG walker 2>/dev/null; ls /usr/sbin/policy-rc.d 2>/dev/null
            systemctl is-active walk once tick.timer bascule-agent; systemctl is-enabled walk once tick.timer bascule-agent
            systemctl --failed --no-legend --plain; cat /run/walk.conf 2>/dev/null
            cat /proc/sys/net/ipv4/tcp_fin_timeout; ls /var/lib/bascule
            true
            """
    }
}

/// Random numbers that a seed repeats (SplitMix64).
struct Seeded: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    init(seed: UInt64) { (self.seed, state) = (seed, seed) }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
