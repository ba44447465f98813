import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeProtocol
import BasculeStore
import Foundation

/// `bascule status`
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "What every agent is, does, and keeps whole by itself.",
        discussion: """
            Collects what the agents did by themselves since somebody last looked.
            With --watch it goes on: q or Ctrl-C ends it on a terminal; without one a
            block follows the other; with --json there is an object for every change.
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @Flag(help: "Go on looking.") var watch = false
    @Option(help: "How often to look: 2s, 1m.") var every = Span(seconds: 2)

    func run() async throws {
        let session = try options.session()
        guard watch else {
            let rows = await StatusRow.gather(session)
            await session.close()
            for row in rows {
                if output.json {
                    try Terminal.json(row)
                } else {
                    StatusView(row: row).lines.forEach { Terminal.say($0) }
                }
            }
            if rows.contains(where: { $0.error != nil }) { throw ExitStatus(code: 1) }
            return
        }
        try await StatusWatch(session: session, json: output.json, pause: every.seconds).run()
    }
}

/// One node's answer.
struct StatusRow: Encodable, Sendable, Equatable {
    var node: String
    var status: AgentStatus?
    /// Seconds by which the node's clock is ahead; nil where that is not worth a word.
    var clockSkew: Double?
    /// Whether the agent is another one than that beside this program; nil where it cannot be told.
    var upgradeDue: Bool?
    /// The newest of what the agent did by itself, oldest first.
    var events: [CollectedEvent] = []
    var error: BasculeError?

    /// What makes two answers different; what only counts on does not.
    var substance: StatusRow {
        var copy = self
        copy.status?.uptime = 0
        copy.clockSkew = clockSkew.map { ($0 / 60).rounded() }
        for index in copy.status?.activities.indices ?? 0..<0 { copy.status?.activities[index].leaseLeft = nil }
        return copy
    }

    /// All nodes at once, in the order of their names. A node that does not answer is a row with its error.
    static func gather(_ session: FleetSession) async -> [StatusRow] {
        let statuses = await session.statuses(of: session.usedNodes)
        return await withTaskGroup(of: StatusRow.self) { group in
            for node in session.usedNodes {
                guard let answer = statuses[node] else { continue }
                group.addTask { await row(node, answer, session) }
            }
            var rows: [StatusRow] = []
            for await row in group { rows.append(row) }
            return rows.sorted { $0.node < $1.node }
        }
    }

    // A function of its own: the optimiser of Swift 6.3 makes a task group with `catch` in its closure crash.
    private static func row(
        _ node: NodeName, _ answer: Result<AgentStatus, BasculeError>, _ session: FleetSession
    ) async -> StatusRow {
        var row = StatusRow(node: node.rawValue)
        do {
            let status = try answer.get()
            row.status = status
            row.clockSkew = await session.clockSkews[node]
            row.upgradeDue = await AgentUpgrade.isDue(node, session)
            try await session.collectEvents(node, newest: status.healing?.lastEvent)
        } catch {
            row.error = BasculeError.wrapping(error, "no answer")
            await session.drop(node)
        }
        row.events = (try? session.store.agentEvents(of: node, limit: 5)) ?? []
        return row
    }
}
