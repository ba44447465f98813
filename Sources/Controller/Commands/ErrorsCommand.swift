import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeProtocol
import Foundation

/// `bascule errors`
struct ErrorsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "errors",
        abstract: "What the apps threw, alike ones as one: how often, since when, and an example.",
        discussion: """
            Needs services.monitoring, whose timer has each node group the exceptions in
            its apps' journals.
            Examples:
              bascule errors
              bascule errors shop --since 2h
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: ArgumentHelp("One app; all of them if none is given.", valueName: "app")) var app: String?
    @Option(help: "How far back: 30m, 24h, 7d.") var since = Span(seconds: 86_400)

    func run() async throws {
        let session = try options.session()
        if let app, !session.fleet.apps.keys.contains(where: { $0.rawValue == app }) {
            let names = session.fleet.apps.keys.map(\.rawValue).sorted().joined(separator: ", ")
            throw BasculeError(.notFound, "the fleet file has no app \(app)", hint: "it has: \(names)")
        }
        guard session.fleet.services.monitoring != nil else {
            throw BasculeError(
                .notFound, "nothing collects errors: services.monitoring is not declared",
                hint: "declare services: {monitoring: {}} and a node with the role monitoring, then bascule apply")
        }
        let since = Date().timeIntervalSince1970 - since.seconds
        var groups: [String: ErrorSummary] = [:]
        do {
            for node in try session.fleet.active.nodes(with: .app).filter({ try session.isBootstrapped($0) }) {
                guard case .errors(let found) = try await session.link(node).ask(.errors(app: app, since: since))
                else {
                    throw BasculeError(
                        .protocolViolation, "the agent answered something else than its errors",
                        at: .node(name: node.rawValue, subject: nil))
                }
                for group in found.prefix(1000) {
                    groups[group.fingerprint, default: ErrorSummary(group)].add(group, of: node)
                }
            }
        } catch {
            await session.close()
            throw error
        }
        await session.close()
        let all = groups.values.sorted { ($0.last, $0.fingerprint) > ($1.last, $1.fingerprint) }
        if output.json { return try all.forEach { try Terminal.json($0) } }
        if all.isEmpty { return Terminal.say("no errors") }
        for (index, group) in all.enumerated() {
            if index > 0 { Terminal.say() }
            group.lines(now: Date().timeIntervalSince1970).forEach { Terminal.say($0) }
        }
    }
}

/// A group over all nodes; texts within bounds, whatever a node says.
struct ErrorSummary: Encodable {
    var fingerprint: String
    var app: String
    var type: String
    var message: String
    var frames: [String]
    var count = 0
    var first = Double.infinity
    var last = -Double.infinity
    var sample: String
    var nodes: [String] = []

    init(_ group: ErrorGroup) {
        func cut(_ text: String, _ length: Int) -> String { String(text.prefix(length)) }
        (fingerprint, app) = (cut(group.fingerprint, 12), cut(group.app, 40))
        (type, message, sample) = (cut(group.type, 80), cut(group.message, 200), cut(group.sample, 4000))
        frames = group.frames.prefix(5).map { cut($0, 200) }
    }

    mutating func add(_ group: ErrorGroup, of node: NodeName) {
        let (sum, isTooMuch) = count.addingReportingOverflow(max(0, group.count))
        count = isTooMuch ? .max : sum
        if group.first.isFinite { first = min(first, group.first) }
        if group.last.isFinite {
            if group.last > last { sample = String(group.sample.prefix(4000)) }
            last = max(last, group.last)
        }
        nodes.append(node.rawValue)
    }

    /// For people: what, how often, where, and the newest as it was written.
    func lines(now: Double) -> [String] {
        func ago(_ time: Double) -> String { time.isFinite ? "\(max(0, now - time).durationText) ago" : "?" }
        let head =
            "\(Terminal.paint("\(count) ×", .bold)) \(Terminal.paint(Terminal.escape(type), .red)): \(Terminal.escape(message))"
        var lines = [
            head,
            "     \(Terminal.escape(app)) on \(nodes.joined(separator: ", ")), first \(ago(first)), last \(ago(last)), fingerprint \(Terminal.escape(fingerprint))",
        ]
        lines += sample.split(separator: "\n").prefix(12).map {
            "     \(Terminal.paint(Terminal.escape(String($0.prefix(200))), .dim))"
        }
        return lines
    }
}
