import BasculeModel
import BasculeStore
import Testing

@testable import BasculeCommands

@Suite struct StatusTests {
    private func status(_ healing: HealingStatus?) -> AgentStatus {
        AgentStatus(
            machine: "0123456789abcdef", version: "0.1.0", epoch: 1, uptime: 7300, activities: [], migrationAttempt: 0,
            t0: nil, edge: nil, lastSequence: 0, healing: healing)
    }

    @Test func holdsDriftHealsAndSkewAreShown() {
        let now = 1_800_000_000.0
        let healing = HealingStatus(
            managed: 44, healed: 3, failed: 1,
            drift: [Drift(resource: "vps1/file:/etc/motd", since: now, summary: "content", reason: .session)],
            // The node's clock is a day ahead: what is left counts by its own.
            holds: [Hold(resource: nil, since: now, until: now + 86_400 + 600, reason: "me\u{1B}[2J")],
            suspended: "the migration is in freeze", diskLow: true)
        let event = AgentEvent(
            sequence: 3, time: now, kind: .healed, resource: "vps1/unit:x", text: "started", seconds: 0.25)
        let row = StatusRow(
            node: "vps1", status: status(healing), clockSkew: 86_400,
            events: [CollectedEvent(node: "vps1", time: now, event: event)])
        let text = StatusView(row: row, now: now).lines.joined(separator: "\n")
        for part in [
            "vps1  agent 0.1.0, up 2 h", "keeps 44 resources whole: 3 healed, 1 attempts failed",
            "held  the whole node  for 10 min more  me\u{FFFD}[2J", "differs  vps1/file:/etc/motd  content  (session)",
            "suspended: the migration is in freeze", "disk is under its floor", "clock of vps1 is 24 h ahead",
            "healed  vps1/unit:x  started  in 0.25 s",
        ] { #expect(text.contains(part), "\(part)\n\(text)") }
    }

    @Test func servicesThatDoNotServeAreNamed() {
        var told = status(nil)
        told.services = [
            ServiceState("nginx", serves: true, detail: "status 421"),
            ServiceState("redis.cache", serves: false, detail: "Could not connect\u{1B}[2J"),
        ]
        let text = StatusView(row: StatusRow(node: "n", status: told)).lines.joined(separator: "\n")
        #expect(text.contains("does not serve  redis.cache  Could not connect\u{FFFD}[2J"), "\(text)")
        #expect(text.contains("serves: nginx"), "\(text)")
    }

    @Test func aHostileNodesNumbersAreOnlyShown() {
        var hostile = status(nil)
        (hostile.uptime, hostile.machine) = (1e300, "\u{1B}[2J\n")
        let lines = StatusView(row: StatusRow(node: "n", status: hostile, clockSkew: -1e300), now: 0).lines
        #expect(lines.allSatisfy { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 } })
        for number in [Double.infinity, -.infinity, .nan, 1e300, -1e300, 9.3e18] {
            #expect(!number.durationText.isEmpty)
        }
    }

    @Test func whatOnlyCountsOnIsNoChange() {
        var (first, second) = (StatusRow(node: "n", status: status(nil)), StatusRow(node: "n", status: status(nil)))
        first.status?.uptime = 1
        second.status?.uptime = 2
        #expect(first != second && first.substance == second.substance)
        second.status?.epoch = 2
        #expect(first.substance != second.substance)
    }

    @Test(arguments: [(20, 3), (80, 24), (40, 10), (1, 1)]) func theWatchFits(_ columns: Int, _ rows: Int) {
        let nodes = (0..<200).map { StatusRow(node: "node-\($0)", status: status(HealingStatus(managed: 4))) }
        let lines = StatusWatch.lines(nodes, columns: columns, rows: rows, tick: 0)
        #expect(lines.count <= max(1, rows - 1) && lines.allSatisfy { CellWidth.of($0) <= max(1, columns - 1) })
    }

    @Test func spansAndTargets() throws {
        #expect(Span(argument: "90s")?.seconds == 90 && Span(argument: "2h")?.seconds == 7200)
        for bad in ["", "h", "-1h", "0m", "2", "2 h", "1e9d", "99999999999h", "²h"] {
            #expect(Span(argument: bad) == nil, "\(bad)")
        }
        #expect(try HoldTarget("vps1", nodes: ["vps1"]).resource == nil)
        #expect(try HoldTarget("vps1/file:/a/b:c", nodes: ["vps1"]).resource == "vps1/file:/a/b:c")
        for bad in ["", "other", "vps1/", "vps1/x", "vps1/:x", "/vps1"] {
            #expect(throws: BasculeError.self) { try HoldTarget(bad, nodes: ["vps1"]) }
        }
    }
}
