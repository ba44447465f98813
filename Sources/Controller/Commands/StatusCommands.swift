import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeStore
import Foundation

/// `bascule drift`
struct DriftCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drift",
        abstract:
            "What differs from the fleet file on the nodes, by itself or by hand. Ends with 0 none, 2 some, 1 error.")
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let session = try options.session()
        var maker = PlanMaker(session: session, only: session.usedNodes)
        // What stands is looked at, whether it fits or not.
        maker.checksMemory = false
        let planned = try await maker.make()
        await session.close()
        let steps = planned.plan.steps
        if output.json {
            try Terminal.json(planned.plan)
        } else if steps.isEmpty {
            Terminal.say("no drift: \(planned.plan.satisfied.count) resources are as declared")
        } else {
            PlanView(plan: planned.plan).render().forEach { Terminal.say($0) }
        }
        for error in planned.unreachable.values { Terminal.fail(error) }
        if !planned.unreachable.isEmpty { throw ExitStatus(code: 1) }
        if !steps.isEmpty { throw ExitStatus(code: 2) }
    }
}

/// `bascule history`
struct HistoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "The runs and what agents did by themselves, or one run's events and evidence.",
        discussion: "Examples: bascule history; bascule history RUN")
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: ArgumentHelp("A run's id.", valueName: "run")) var id: String?

    private struct Entry: Encodable {
        var time: Double
        var node: String
        var event: ExecutionEvent
    }

    func run() throws {
        let store = try options.session().store
        guard let id else { return try list(store) }
        let run = RunID(id)
        guard try store.runs(limit: 10_000).contains(where: { $0.id == run }) else {
            throw BasculeError(.notFound, "there is no run \(id)", hint: "bascule history lists them")
        }
        for entry in try store.events(of: run) {
            if output.json {
                try Terminal.json(Entry(time: entry.time, node: entry.node.rawValue, event: entry.event))
            } else {
                show(entry)
            }
        }
        if !output.json {
            for evidence in try store.evidence(of: run) {
                Terminal.say(
                    "\(evidence.passed ? Terminal.paint("✓", .green) : Terminal.paint("✗", .red)) \(evidence.subject): \(Terminal.escape(evidence.value))\(evidence.threshold.map { " (\($0))" } ?? "")"
                )
            }
        }
    }

    /// Runs and what agents did by themselves, newest first.
    private func list(_ store: Store) throws {
        let runs = try store.runs().map { record -> (Double, String, any Encodable) in
            let length = record.ended.map { ($0 - record.started).durationText } ?? "not ended"
            return (
                record.started,
                "\(Self.time(record.started))  \(record.id)  \(record.outcome ?? "unknown")  \(length)  \(Terminal.escape(record.summary ?? ""))",
                record
            )
        }
        let events = try store.agentEvents(limit: 200).map { event -> (Double, String, any Encodable) in
            (event.time, EventLine.text(event, node: true), event)
        }
        // Stable: events of one node that happened at once stay in their order, newest first like the rest.
        for entry in (runs + events.reversed()).enumerated().sorted(by: {
            ($1.element.0, $0.offset) < ($0.element.0, $1.offset)
        }).map(\.element) {
            if output.json { try Terminal.json(entry.2) } else { Terminal.say(entry.1) }
        }
    }

    private func show(_ entry: (node: NodeName, time: Double, event: ExecutionEvent)) {
        let text: String? =
            switch entry.event {
            case .started(let id, let attempt): "began \(id)\(attempt > 1 ? ", attempt \(attempt)" : "")"
            case .finished(let id, let result): "\(result.status.rawValue) \(id)  \(result.summary)"
            case .rollingBack(let reason): "rolls back: \(reason)"
            case .compensating(let id): "undoes \(id)"
            case .compensated(let id, let result): "undone \(id): \(result.status.rawValue)"
            case .note(let text): text
            case .ended(let outcome): "segment ended \(outcome.status.rawValue)"
            case .awaitingConfirmation(let id, let seconds):
                "\(id) goes back by itself in \(seconds.durationText) unless a fresh login confirms it"
            case .accepted: nil
            }
        if let text { Terminal.say("\(Self.time(entry.time))  \(entry.node)  \(Terminal.escape(text))") }
    }

    static func time(_ seconds: Double) -> String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.dateFormat = "yyyy-MM-dd HH:mm:ss"
        return formatter.string(from: Date(timeIntervalSince1970: seconds))
    }
}
