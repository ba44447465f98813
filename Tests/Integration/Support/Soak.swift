import BasculeModel
import BasculeProviders
import Foundation
import Testing

/// Random trouble from a seed, and a model of what must hold after each: the seed repeats what was done and when, so a
/// failure can be looked for again.
final class Soak {
    static let minutes = ProcessInfo.processInfo.environment["BASCULE_SOAK_MINUTES"].flatMap { Double($0) }
    static let seed =
        ProcessInfo.processInfo.environment["BASCULE_SEED"].flatMap { UInt64($0) } ?? .random(in: 1...999_999)

    let scene: Scene
    let nodes: [NodeName] = ["n1", "n2"]
    static let files = 24
    var random: Seeded
    /// What the fleet file says; each apply of another content raises it.
    var item = 0
    private var log: [String] = []
    private let start = ContinuousClock.now
    let canary: String

    init(scene: Scene, seed: UInt64) {
        self.scene = scene
        random = Seeded(seed: seed)
        canary = "canary-\(seed)-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    }

    /// Runs for a while; throws at the first invariant that does not hold.
    func run(minutes: Double) async throws {
        print("soak: \(minutes) minutes, SEED=\(random.seed)")
        let end = ContinuousClock.now + .seconds(minutes * 60)
        var counts: [String: Int] = [:]
        do {
            try await prepare()
            while ContinuousClock.now < end {
                let action = Action.allCases.randomElement(using: &random) ?? .apply
                counts[action.rawValue, default: 0] += 1
                note(action.rawValue)
                try await perform(action)
                try await expectWhole()
                try await settle()
                try await expectInvariants()
            }
        } catch {
            print("soak failed. Again: make soak MINUTES=\(minutes) SEED=\(random.seed)\nwhat was done:")
            log.forEach { print("  \($0)") }
            throw error
        }
        let all = counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        print("soak: SEED=\(random.seed) clean, \(counts.values.reduce(0, +)) actions: \(all)")
    }

    /// Brings the fleet to where the trouble begins.
    func prepare() async throws {
        try scene.write("key.conf", "key = {{key}}\nend\n")
        try declare()
        try await scene.bascule("secret", "set", "CANARY", stdin: "\(canary)\n")
        try await settle()
    }

    func note(_ what: String) {
        let seconds = (ContinuousClock.now - start).components.seconds
        log.append("\(seconds) s  item \(item)  \(what)")
    }

    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    // MARK: - The fleet

    /// Writes the fleet file for the present item.
    func declare() throws {
        var text = Sample.blank("n1", "n2", disk: "600MiB")
        for number in 0..<Self.files {
            text += "  - {on: all, file: /srv/soak/f\(number).conf, content: \"\(Self.content(number, item))\"}\n"
        }
        text += "  - {on: all, file: /srv/key.conf, template: key.conf, vars: {key: !secret CANARY}, mode: \"0600\"}\n"
        text += "  - {on: all, user: soaker, system: true}\n"
        let script = "cp /srv/soak/f0.conf /run/soak.conf; exec sleep infinity"
        text +=
            "  - {on: all, unit: soak.service, state: running, enabled: true, restartOn: [/srv/soak/f0.conf], content: \"[Service]\\nExecStart=/bin/sh -c '\(script)'\\n[Install]\\nWantedBy=multi-user.target\\n\"}\n"
        try scene.fleet(text)
    }

    /// As the fleet file writes it, with `\n` for the ends of lines.
    private static func content(_ number: Int, _ item: Int) -> String {
        "file \(number)\\nitem \(item)\\nend \(item)\\n"
    }

    // MARK: - What must hold

    /// Every managed file is wholly one version, or wholly what a hand wrote; also right after the trouble.
    func expectWhole() async throws {
        for node in nodes where try await scene.lab.node(node).health != .stopped {
            let torn = try await scene.shell(
                node,
                """
                cd /srv/soak 2>/dev/null || exit 0
                for f in f*.conf; do n=${f#f}; n=${n%.conf}
                  awk -v n=$n 'NR==1 && $0=="by hand" {hand=1} NR==1 && !hand && $0!="file " n {bad=1}
                    NR==2 && !hand {split($0,a," "); if (a[1]!="item") bad=1; i=a[2]}
                    NR==3 && !hand && $0!="end " i {bad=1}
                    END {if (bad || (!hand && NR!=3) || (hand && NR!=1)) exit 1}' $f || { [ -e $f ] && echo "$f"; }
                done; true
                """)
            if !torn.isEmpty { throw Violation(description: "torn files on \(node): \(torn)") }
        }
    }

    /// Applies until nothing is left to do. What the trouble left may take one refusal, never more than a few.
    private func settle() async throws {
        var said: [String] = []
        for _ in 0..<5 {
            let applied = try await scene.bascule("apply", "--yes")
            try expectNoCanary(in: applied.all, of: "the output of apply")
            if applied.status == 0, applied.text.contains("Nothing to do") { return }
            said.append(applied.all)
        }
        throw Violation(description: "it does not converge:\n\(said.joined(separator: "\n----\n"))")
    }

    func expectInvariants() async throws {
        for node in nodes {
            let expected = (0..<Self.files).map { "file \($0)\nitem \(item)\nend \(item)" }.joined(separator: "\n")
            let found = try await scene.shell(
                node, "cd /srv/soak; for n in $(seq 0 \(Self.files - 1)); do cat f$n.conf; done")
            if found != expected { throw Violation(description: "\(node) is not as declared:\n\(found)") }
            let running = try await scene.shell(node, "systemctl is-active soak; sed -n 2p /run/soak.conf")
            if running != "active\nitem \(item)" { throw Violation(description: "\(node) runs another: \(running)") }
            let ports = try await scene.shell(
                node, "ss -Htuln | awk '{print $1, $5}' | grep -v '127.0.0.1\\|\\[::1\\]' | sort -u")
            if ports.split(separator: "\n").contains(where: { !$0.hasSuffix(":22") }) {
                throw Violation(description: "\(node) listens where it should not: \(ports)")
            }
            try await expectJournal(node)
            // Read from standard input: the search's own words must not be what it finds.
            let places = "/var/lib/bascule /var/log /run/log /etc /tmp /proc/[0-9]*/cmdline /proc/[0-9]*/environ"
            let script = "cat > /run/looked-for; grep -arlf /run/looked-for \(places) 2>/dev/null; rm /run/looked-for"
            let leaks = try await scene.run(node, "sh", "-c", script, stdin: "\(canary)\n").text
            if !leaks.isEmpty { throw Violation(description: "the canary is in the clear on \(node): \(leaks)") }
            if try await scene.shell(node, "cat /srv/key.conf") != "key = \(canary)\nend" {
                throw Violation(description: "\(node) has not the secret where it belongs")
            }
        }
        let store = try await Command.run(["grep", "-rl", canary, "\(scene.folder)/state"])
        if store.status == 0 { throw Violation(description: "the canary is in the clear in the store: \(store.text)") }
    }

    private func expectNoCanary(in text: String, of what: String) throws {
        if text.contains(canary) { throw Violation(description: "the canary is in \(what)") }
    }

    /// Numbers without a gap; no step of a segment done twice.
    private func expectJournal(_ node: NodeName) async throws {
        var done: [String: Int] = [:]
        var last = 0
        for record in try await scene.journal(node) {
            if last != 0, record.sequence != last + 1 {
                throw Violation(description: "\(node)'s journal jumps from \(last) to \(record.sequence)")
            }
            last = record.sequence
            if case .finished(let step, let result) = record.event, result.status == .done {
                done["\(record.segment) \(step)", default: 0] += 1
            }
        }
        if let twice = done.first(where: { $0.value > 1 }) {
            throw Violation(description: "\(node) did twice: \(twice)")
        }
    }
}
