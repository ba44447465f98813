import BasculeConducting
import BasculeModel
import Dispatch
import Foundation
import Synchronization

/// Shows a run: one live line a node on a terminal, plain lines elsewhere, JSON lines for machines.
///
/// On a terminal a step that ends well leaves nothing behind but its node's count; one that fails leaves all that it
/// said.
final class RunView: Sendable {
    private struct State {
        var board: RunBoard
        var log = StepLog()
        /// Of each node, how its steps of the current phase ended.
        var phase: [String: (good: Int, changed: Int, bad: Int, seconds: Double)] = [:]
        /// Whether the phase is a task's only step: its line says all.
        var isSingle = false
    }

    private let json: Bool
    /// Whether single tasks are run one after another, which belong to no phase that a reader knows.
    private let isTask: Bool
    private let screen: LiveScreen?
    private let state: SharedState

    /// The drawing thread reads what the events write.
    private final class SharedState: Sendable {
        let value = Mutex(State(board: RunBoard(now: RunView.now)))
    }

    init(json: Bool, isTask: Bool = false) {
        (self.json, self.isTask) = (json, isTask)
        let state = SharedState()
        self.state = state
        screen =
            json || !LiveScreen.isPossible
            ? nil
            : LiveScreen { columns, rows, tick in
                state.value.withLock {
                    $0.board.lines(columns: columns, rows: rows, tick: tick, now: RunView.now, paint: Terminal.paint)
                }
            }
    }

    /// Seconds of the monotonic clock.
    private static var now: Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    /// The steps that are going to run, for the counts.
    func expect(_ plan: Plan) { state.value.withLock { $0.board.expect(plan) } }

    /// To be given to a runner.
    var observer: RunObserver { { [self] in take($0) } }

    private struct JSONLine: Encodable {
        var event: String
        var node: String?
        var phase: String?
        var step: String?
        var title: String?
        var status: String?
        var summary: String?
        var seconds: Double?
        var error: BasculeError?
        var time = Date().timeIntervalSince1970
    }

    private func take(_ event: RunEvent) {
        if json { return takeJSON(event) }
        let lines = state.value.withLock { state in screen == nil ? plain(event, &state) : live(event, &state) }
        if let screen { lines.forEach(screen.say) } else { lines.forEach { Terminal.say($0) } }
        if case .finished(_, _, let result) = event, let error = result.error { say(error) }
    }

    private func say(_ error: BasculeError) {
        guard let screen else { return Terminal.fail(error) }
        Terminal.text(of: error).split(separator: "\n", omittingEmptySubsequences: false).forEach {
            screen.say(String($0))
        }
    }

    /// What stays on a terminal; the rest is in the live lines.
    private func live(_ event: RunEvent, _ state: inout State) -> [String] {
        switch event {
        case .phase(_, let steps):
            let ended = endPhase(&state)
            state.isSingle = isTask && steps == 1
            return ended + common(event)
        case .started(let node, let step):
            state.board.started(node, step, now: RunView.now)
            return []
        case .progress(let node, let progress):
            state.board.progress(node, progress.step, progress.line)
            state.log.add(progress.line, to: key(node, progress.step))
            return []
        case .finished(let node, let step, let result):
            state.board.finished(node, step.id, isGood: result.isGood)
            if state.isSingle, result.isGood { return [line(node, step, result)] }
            let said = state.log.take(key(node, step.id))
            var sums = state.phase[RunBoard.name(node)] ?? (0, 0, 0, 0)
            sums.good += result.isGood ? 1 : 0
            sums.bad += result.isGood ? 0 : 1
            sums.changed += result.status == .done ? 1 : 0
            sums.seconds += result.seconds
            state.phase[RunBoard.name(node)] = sums
            if result.isGood { return [] }
            return said.map { Terminal.paint("    \(Terminal.escape($0))", .dim) } + [line(node, step, result)]
        case .reconnecting(let node, let error):
            state.board.trouble(node, "out of reach (\(error.code)); its agent goes on, trying again")
            return []
        case .rollingBack(let node, _):
            state.board.trouble(node, "rolls back")
            return common(event)
        case .compensated, .note: return common(event)
        }
    }

    /// One line for every node that did something in the phase that is over; one for all where there are many.
    private func endPhase(_ state: inout State) -> [String] {
        defer { state.phase = [:] }
        let rows = LiveScreen.size.rows
        guard state.phase.count < max(8, rows) else {
            let sums = state.phase.values.reduce((0, 0, 0)) { ($0.0 + $1.good, $0.1 + $1.changed, $0.2 + $1.bad) }
            return [
                "  \(sums.2 == 0 ? Terminal.paint("✓", .green) : Terminal.paint("✗", .red)) \(state.phase.count) nodes  \(sums.0) steps, \(sums.1) changed\(sums.2 == 0 ? "" : ", \(sums.2) not")"
            ]
        }
        return state.phase.sorted { $0.key < $1.key }.map { name, sums in
            let mark = sums.bad == 0 ? Terminal.paint("✓", .green) : Terminal.paint("✗", .red)
            let rest = sums.bad == 0 ? "" : ", \(sums.bad) not"
            return
                "  \(mark) \(name)\(Terminal.paint("  \(sums.good) \(sums.good == 1 ? "step" : "steps"), \(sums.changed) changed\(rest)  \(sums.seconds.durationText)", .dim))"
        }
    }

    /// Without a terminal: a line an event.
    private func plain(_ event: RunEvent, _ state: inout State) -> [String] {
        switch event {
        case .started: return []
        case .progress(let node, let progress):
            state.log.add(progress.line, to: key(node, progress.step))
            return []
        case .finished(let node, let step, let result):
            let said = state.log.take(key(node, step.id))
            return (result.isGood ? [] : said.map { "    \(Terminal.escape($0))" }) + [line(node, step, result)]
        case .reconnecting(let node, let error):
            return ["… \(node) is out of reach (\(error.code)); its agent goes on, trying again"]
        default: return common(event)
        }
    }

    private func common(_ event: RunEvent) -> [String] {
        switch event {
        case .phase(_, 1) where isTask: []
        case .phase(let phase, let steps):
            [
                Terminal.paint("\(phase.rawValue)", .bold)
                    + Terminal.paint("  \(phase.purpose), \(steps) \(steps == 1 ? "step" : "steps")", .dim)
            ]
        case .rollingBack(let node, let reason):
            [Terminal.paint("↩ \(node) rolls back: \(Terminal.escape(reason))", .yellow)]
        case .compensated(let node, let step, let result):
            [
                "  \(result.isGood ? Terminal.paint("↩", .yellow) : Terminal.paint("✗", .red)) \(node)  undone: \(Terminal.escape(step.title))  \(Terminal.paint(Terminal.escape(result.summary), .dim))"
            ]
        case .note(let text): [Terminal.paint(Terminal.escape(text), .dim)]
        case .started, .progress, .finished, .reconnecting: []
        }
    }

    private func line(_ node: NodeName?, _ step: Step, _ result: StepResult) -> String {
        let symbol =
            switch result.status {
            case .done: Terminal.paint("✓", .green)
            case .satisfied: Terminal.paint("=", .dim)
            case .unreachable: Terminal.paint("?", .yellow)
            case .failed, .refused: Terminal.paint("✗", .red)
            case .skipped: Terminal.paint("-", .dim)
            }
        let seconds = result.seconds >= 0.05 ? "  \(result.seconds.durationText)" : ""
        return
            "  \(symbol) \(node.map { "\($0)" } ?? "here")  \(Terminal.escape(step.title))\(Terminal.paint("  \(Terminal.escape(String(result.summary.prefix(160))))\(seconds)", .dim))"
    }

    private func key(_ node: NodeName?, _ step: StepID) -> String { "\(node?.rawValue ?? "")|\(step)" }

    /// Takes the live lines away before something else is said.
    func finish() {
        guard let screen else { return }
        state.value.withLock { endPhase(&$0) }.forEach(screen.say)
        screen.end()
    }

    private func takeJSON(_ event: RunEvent) {
        let line: JSONLine =
            switch event {
            case .phase(let phase, _): JSONLine(event: "phase", phase: phase.rawValue)
            case .started(let node, let step):
                JSONLine(
                    event: "started", node: node?.rawValue, phase: step.phase.rawValue, step: step.id.rawValue,
                    title: step.title)
            case .progress(let node, let progress):
                JSONLine(event: "progress", node: node?.rawValue, step: progress.step.rawValue, summary: progress.line)
            case .finished(let node, let step, let result):
                JSONLine(
                    event: "finished", node: node?.rawValue, phase: step.phase.rawValue, step: step.id.rawValue,
                    title: step.title, status: result.status.rawValue,
                    summary: result.summary, seconds: result.seconds, error: result.error)
            case .rollingBack(let node, let reason):
                JSONLine(event: "rolling-back", node: node.rawValue, summary: reason)
            case .compensated(let node, let step, let result):
                JSONLine(
                    event: "compensated", node: node.rawValue, step: step.id.rawValue, title: step.title,
                    status: result.status.rawValue, summary: result.summary, seconds: result.seconds,
                    error: result.error)
            case .reconnecting(let node, let error): JSONLine(event: "reconnecting", node: node.rawValue, error: error)
            case .note(let text): JSONLine(event: "note", summary: text)
            }
        try? Terminal.json(line)
    }
}
