import BasculeModel
import BasculeProviders
import Foundation

extension Soak {
    /// The trouble that there is. Each ends with the world whole again: nodes up, network open, disks with room.
    enum Action: String, CaseIterable {
        case apply, killController, killAgent, killBoth, stopController, blackHole, loss, fullDisk, twoOperators,
            powerCut
        case edit, delete, changeMode, killUnit, damageUnit, clock
    }

    private func milliseconds(_ range: ClosedRange<Int>) -> Duration {
        .milliseconds(Int.random(in: range, using: &random))
    }
    private func anyNode() -> NodeName { nodes.randomElement(using: &random) ?? "n1" }
    private func anyFile() -> String { "/srv/soak/f\(Int.random(in: 0..<Self.files, using: &random)).conf" }

    /// Begins to apply another content.
    private func begin() throws -> Running {
        item += 1
        try declare()
        return try scene.begin("apply", "--yes")
    }

    private func end(_ run: Running) async throws {
        let status = try await run.ended(within: 180)
        note("  apply ended with \(status)")
    }

    func perform(_ action: Action) async throws {
        let node = anyNode()
        switch action {
        case .apply: try await end(try begin())
        case .killController:
            let run = try begin()
            try await Task.sleep(for: milliseconds(10...900))
            run.kill9()
            try await end(run)
        case .killAgent:
            let run = try begin()
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                try await Task.sleep(for: milliseconds(10...600))
                _ = try await scene.run(node, "pkill", "-9", "-x", "bascule-agent")
            }
            try await end(run)
        case .killBoth:
            let run = try begin()
            try await Task.sleep(for: milliseconds(100...700))
            run.kill9()
            for node in nodes { _ = try await scene.run(node, "pkill", "-9", "-x", "bascule-agent") }
            try await end(run)
        case .stopController:
            let run = try begin()
            try await Task.sleep(for: milliseconds(50...600))
            if run.status == nil { kill(run.pid, SIGSTOP) }
            try await Task.sleep(for: milliseconds(200...3000))
            if run.status == nil { kill(run.pid, SIGCONT) }
            try await end(run)
        case .blackHole: try await blackHole(node)
        case .loss: try await loss()
        case .fullDisk: try await fullDisk(node)
        case .twoOperators:
            let first = try begin()
            try await Task.sleep(for: milliseconds(0...300))
            let second = try scene.begin("apply", "--yes")
            let statuses = (try await first.ended(within: 180), try await second.ended(within: 180))
            note("  they ended with \(statuses)")
            // One of them may have waited for nothing; both failing would leave the fleet to nobody.
            if statuses.0 != 0, statuses.1 != 0 {
                throw Violation(description: "both operators failed:\n\(first.output)\n----\n\(second.output)")
            }
        case .powerCut:
            let run = try begin()
            try await Task.sleep(for: milliseconds(50...900))
            try await scene.lab.cutPower(node)
            _ = try await scene.lab.boot(node)
            try await end(run)
        case .edit: try await scene.shell(node, "echo 'by hand' > \(anyFile())")
        case .delete: try await scene.shell(node, "rm -f \(anyFile()) \(anyFile())")
        case .changeMode: try await scene.shell(node, "chmod 0777 \(anyFile()); chown nobody \(anyFile()); true")
        case .killUnit: try await scene.shell(node, "systemctl kill -s KILL soak; sleep 0.2")
        case .damageUnit: try await scene.shell(node, "rm -f /etc/systemd/system/soak.service; systemctl daemon-reload")
        case .clock: try await clock()
        }
    }

    private func blackHole(_ node: NodeName) async throws {
        let gateway = try await scene.lab.node(node).gateway
        let run = try begin()
        try await Task.sleep(for: milliseconds(20...500))
        try await scene.shell(node, "ip route add blackhole \(gateway)/32")
        try await Task.sleep(for: milliseconds(500...4000))
        try await scene.shell(node, "ip route del blackhole \(gateway)/32")
        try await end(run)
    }

    /// Every fourth packet from the nodes is lost on its way to the controller.
    private func loss() async throws {
        let table = "soak_\(getpid())"
        let addresses = try await scene.lab.list().map(\.address).joined(separator: ", ")
        let rules = """
            table ip \(table) {
                chain input {
                    type filter hook input priority -300;
                    ip saddr { \(addresses) } numgen random mod 100 < 25 drop
                }
            }

            """
        _ = try await Command.run(["nft", "-f", "-"], stdin: Array(rules.utf8)).requireSuccess("nft")
        do {
            try await end(try begin())
            _ = try await Command.run(["nft", "delete", "table", "ip", table])
        } catch {
            _ = try await Command.run(["nft", "delete", "table", "ip", table])
            throw error
        }
    }

    private func fullDisk(_ node: NodeName) async throws {
        let room = Int.random(in: 0...60, using: &random)
        try await scene.shell(
            node,
            """
            for size in 1M 64k 1k; do
              dd if=/dev/zero of=/srv/ballast bs=$size oflag=append conv=notrunc 2>/dev/null; sync
            done
            truncate -s -\(room)K /srv/ballast; sync
            """)
        try await end(try begin())
        try await expectWhole()
        try await scene.shell(node, "rm -f /srv/ballast; sync")
    }

    /// The controller alone lives an hour earlier or later: nothing it does depends on its clock.
    private func clock() async throws {
        guard Command.exists("faketime") else { return try await end(try begin()) }
        item += 1
        try declare()
        let shift = ["-1h", "+1h", "+10y"].randomElement(using: &random) ?? "+1h"
        let result = try await Command.run(
            ["faketime", "-f", shift, Program.path ?? "", "apply", "--yes", "-f", "\(scene.folder)/fleet.yaml"],
            environment: scene.environment(), deadline: .seconds(180))
        note("  apply at \(shift) ended with \(result.status)")
    }
}
