import BasculeModel
import BasculeProtocol
import BasculeProviders
import BasculeStore
import Foundation
import Testing

/// One command of a scenario, walked: an undisturbed run tells the points it passes; then, for each point, back to the
/// start, the same command killed there, run again, and what is then there compared with the undisturbed end.
struct FailpointWalk {
    /// Whose process dies.
    enum Side: String { case controller, agent }

    /// A point on its way, the COUNTth time it is passed.
    struct Point: Hashable {
        var side: Side
        var name: String
        var count: Int
        var text: String { "\(name):\(count)" }
    }

    struct Stage: Sendable {
        var name: String
        var words: [String]
        var stdin = ""
        /// The node does not exist before this command, which makes it.
        var isFresh = false
        /// Whether a kill may make it go back: the command then ends with 4, and begins anew when it is run again.
        var mayGoBack = false
        /// What stands before the command, beside what earlier stages left.
        var prelude: @Sendable (Scene) async throws -> Void = { _ in }
        /// Waits until nodes that were just booted are as ready as they were.
        var settle: @Sendable (Scene) async throws -> Void = { _ in }
    }

    let scene: Scene
    let node: NodeName
    /// Nodes that go back to the start with it.
    var others: [NodeName] = []
    /// Prints the node's state, in an order and with words that are the same for two equal nodes.
    let fingerprint: String
    /// A point that is passed more often is walked this many times, the last one included.
    var cap = 2

    private static let settings = "/run/bascule-failpoints"
    private static let counter = "/run/bascule-failpoint-count"
    private static let trace = "/run/bascule-failpoint-trace"
    private var state: String { "\(scene.folder)/state" }
    private var kept: String { "\(scene.folder)/state.before" }

    /// Walks one stage.
    /// - Parameter choose: which of the points are walked.
    /// - Returns: the points that were walked.
    func walk(_ stage: Stage, choose: ([Point]) -> [Point]) async throws -> [Point] {
        try await stage.prelude(scene)
        try keepState()
        if !stage.isFresh { for node in [node] + others { try await scene.lab.checkpoint(node) } }
        try await stage.settle(scene)
        let (points, wanted) = try await undisturbed(stage)
        var walked: [Point] = []
        for point in choose(points) {
            try await restore(stage)
            if try await disturb(stage, at: point, wanted: wanted) { walked.append(point) }
        }
        // The next stage begins where an undisturbed run ends.
        try await restore(stage)
        let last = try await run(stage)
        try #require(last.status == 0, "\(last.all)")
        return walked
    }

    // MARK: - Going back

    private func keepState() throws {
        try? FileManager.default.removeItem(atPath: kept)
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: state, toPath: kept)
    }

    private func restore(_ stage: Stage) async throws {
        try FileManager.default.removeItem(atPath: state)
        try FileManager.default.copyItem(atPath: kept, toPath: state)
        if stage.isFresh { return try await scene.lab.down() }
        for node in [node] + others { try await scene.lab.reset(node) }
        try await stage.settle(scene)
    }

    private func run(_ stage: Stage, _ environment: [String: String?] = [:]) async throws -> CommandResult {
        try await scene.bascule(stage.words, environment: environment, stdin: stage.stdin, .seconds(120))
    }

    // MARK: - Without a kill

    private func undisturbed(_ stage: Stage) async throws -> (points: [Point], state: String) {
        let own = "\(scene.folder)/trace"
        try? FileManager.default.removeItem(atPath: own)
        if !stage.isFresh { try await set("BASCULE_FAILPOINT_TRACE=\(Self.trace)") }
        let result = try await run(stage, ["BASCULE_FAILPOINT_TRACE": own])
        try #require(result.status == 0, "\(stage.name): \(result.all)")
        // A command that writes nothing on this side makes no file.
        var points = Self.points(in: (try? String(contentsOfFile: own, encoding: .utf8)) ?? "", .controller, cap)
        if !stage.isFresh {
            points += Self.points(
                in: try await scene.shell(node, "touch \(Self.trace); cat \(Self.trace)"), .agent, cap)
        }
        return (points, try await look(stage, ""))
    }

    /// The points of a trace in the order in which each was passed first.
    static func points(in trace: String, _ side: Side, _ cap: Int) -> [Point] {
        var counts: [String: Int] = [:]
        var order: [String] = []
        for name in trace.split(separator: "\n").map(String.init) {
            if counts.updateValue((counts[name] ?? 0) + 1, forKey: name) == nil { order.append(name) }
        }
        return order.flatMap { name -> [Point] in
            let total = counts[name] ?? 0
            let chosen = Set((1...total).prefix(max(1, cap - 1)) + [total])
            return chosen.sorted().map { Point(side: side, name: name, count: $0) }
        }
    }

    private func set(_ line: String) async throws {
        try await scene.shell(node, "echo '\(line)' > \(Self.settings)")
    }

    // MARK: - With one

    /// False where the run did not come by the point at all (steps run side by side, and not always the same way).
    private func disturb(_ stage: Stage, at point: Point, wanted: String) async throws -> Bool {
        let first: CommandResult
        switch point.side {
        case .controller:
            first = try await run(stage, ["BASCULE_FAILPOINT": point.text])
            if first.status == 0 { return false }
            #expect(first.status == 137, "\(stage.name), \(point.text): \(first.all)")
        case .agent:
            try await set("BASCULE_FAILPOINT=\(point.text)\nBASCULE_FAILPOINT_COUNTER=\(Self.counter)")
            first = try await run(stage)
            let passed = try await scene.shell(node, "touch \(Self.counter); wc -c < \(Self.counter)")
            try await scene.shell(node, "rm \(Self.settings)")
            if (Int(passed) ?? 0) < point.count { return false }
        }
        var again = try await run(stage)
        // What went back is begun anew, at most once more.
        for _ in 0..<2 where stage.mayGoBack && again.status == 4 { again = try await run(stage) }
        #expect(again.status == 0, "\(stage.name), \(point.text): \(first.all)\nagain: \(again.all)")
        let found = try await look(stage, again.text)
        let isSame = found == wanted
        #expect(
            isSame,
            "\(stage.name), killed at \(point.text):\n\(Self.difference(wanted, found))\nfirst: \(first.all)\nagain: \(again.all)"
        )
        return true
    }

    /// What is there at the end: the store, the journal and the node.
    private func look(_ stage: Stage, _ said: String) async throws -> String {
        if stage.words.first == "apply", !said.contains("Nothing to do") {
            var more = try await scene.bascule("apply", "--yes")
            // What must wait for the end of a migration, as HSTS does, comes with the next one.
            if stage.mayGoBack, !more.text.contains("Nothing to do") {
                more = try await scene.bascule("apply", "--yes")
            }
            #expect(more.status == 0 && more.text.contains("Nothing to do"), "\(stage.name): \(more.all)")
        }
        var lines: [String] = []
        let store = try Store(path: scene.store)
        try store.check()
        lines.append("open segments: \(try store.openSegments().count)")
        // A run that saw its agent die may have failed; none may look as if it still went on.
        lines.append("open runs: \(try store.runs().filter { $0.ended == nil }.count)")
        lines.append("secrets: \(try store.secrets().map { "\($0.name) \($0.origin)" })")
        guard try await scene.lab.list().contains(where: { $0.name == node }) else {
            return lines.joined(separator: "\n")
        }
        lines.append("journal: \(try await journal(stage))")
        lines.append(try await scene.shell(node, fingerprint))
        return lines.joined(separator: "\n")
    }

    /// Numbers without a gap, every segment accepted once and ended once, no step done twice.
    private func journal(_ stage: Stage) async throws -> String {
        guard try await scene.run(node, "test", "-e", "/var/lib/bascule/journal/current").status == 0 else {
            return "none"
        }
        let records = try await scene.journal(node)
        #expect(records.map(\.sequence) == Array(1...max(1, records.count)).prefix(records.count).map { $0 })
        var accepted: [SegmentID: Int] = [:]
        var ended: [SegmentID: Int] = [:]
        for record in records {
            if case .accepted = record.event { accepted[record.segment, default: 0] += 1 }
            if case .ended = record.event { ended[record.segment, default: 0] += 1 }
        }
        #expect(accepted == ended && accepted.values.allSatisfy { $0 == 1 }, "\(accepted) \(ended)")
        try await scene.expectNothingTwice(node, mayFail: stage.mayGoBack)
        return "consistent"
    }

    private static func difference(_ wanted: String, _ found: String) -> String {
        let (old, new) = (wanted.split(separator: "\n").map(String.init), found.split(separator: "\n").map(String.init))
        return new.difference(from: old).map { change in
            switch change {
            case .remove(let offset, let line, _): "- \(offset): \(line)"
            case .insert(let offset, let line, _): "+ \(offset): \(line)"
            }
        }.joined(separator: "\n")
    }
}
