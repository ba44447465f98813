import BasculeConducting
import BasculeModel
import Foundation
import Synchronization

/// Shows a run: one live line a node on a terminal, plain lines elsewhere, JSON lines for machines.
final class RunView: Sendable {
    private struct Line {
        var title: String
        var detail = ""
        var began = Date()
        var estimate: Double
    }

    private struct State {
        var live: [String: Line] = [:]
        var shown = 0
        var tick = 0
    }

    private let json: Bool
    private let live: Bool
    private let state = Mutex(State())

    init(json: Bool) {
        self.json = json
        live = !json && Terminal.outputIsTerminal
        if live {
            Thread.detachNewThread { [weak self] in
                while let self {
                    Thread.sleep(forTimeInterval: 0.1)
                    self.state.withLock { state in
                        state.tick += 1
                        self.redraw(&state)
                    }
                }
            }
        }
    }

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
        state.withLock { state in
            erase(&state)
            switch event {
            case .phase(let phase, let steps):
                Terminal.say(
                    Terminal.paint("\(phase.rawValue)", .bold)
                        + Terminal.paint("  \(phase.purpose), \(steps) steps", .dim))
            case .started(let node, let step):
                state.live[key(node, step.id)] = Line(
                    title: "\(node.map { "\($0)" } ?? "here")  \(step.title)", estimate: step.estimate)
            case .progress(let node, let progress): state.live[key(node, progress.step)]?.detail = progress.line
            case .finished(let node, let step, let result):
                state.live[key(node, step.id)] = nil
                Terminal.say(line(node, step, result))
                if let error = result.error { Terminal.fail(error) }
            case .rollingBack(let node, let reason):
                Terminal.say(Terminal.paint("↩ \(node) rolls back: \(Terminal.escape(reason))", .yellow))
            case .compensated(let node, let step, let result):
                Terminal.say(
                    "  \(result.isGood ? Terminal.paint("↩", .yellow) : Terminal.paint("✗", .red)) \(node)  undone: \(Terminal.escape(step.title))  \(Terminal.paint(Terminal.escape(result.summary), .dim))"
                )
            case .reconnecting(let node, let error):
                Terminal.say(
                    Terminal.paint(
                        "… \(node) is out of reach (\(error.code)); its agent goes on, trying again", .yellow))
            case .note(let text): Terminal.say(Terminal.paint(Terminal.escape(text), .dim))
            }
            redraw(&state)
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

    private func erase(_ state: inout State) {
        guard live, state.shown > 0 else { return }
        FileHandle.standardOutput.write(Data("\u{1B}[\(state.shown)F\u{1B}[J".utf8))
        state.shown = 0
    }

    private func redraw(_ state: inout State) {
        guard live else { return }
        erase(&state)
        var size = winsize()
        let width = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 ? Int(size.ws_col) : 80
        let spinner = Array("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[state.tick % 10]
        let lines = state.live.sorted { $0.key < $1.key }.prefix(8).map { entry -> String in
            let spent = Date().timeIntervalSince(entry.value.began)
            let text =
                "  \(spinner) \(Terminal.escape(entry.value.title))  \(Int(spent)) s of about \(entry.value.estimate.durationText)  \(Terminal.escape(entry.value.detail))"
            return String(text.prefix(width - 1))
        }
        guard !lines.isEmpty else { return }
        FileHandle.standardOutput.write(Data((lines.joined(separator: "\n") + "\n").utf8))
        state.shown = lines.count
    }

    /// Takes the live lines away before something else is said.
    func finish() {
        state.withLock {
            erase(&$0); $0.live = [:]
        }
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
