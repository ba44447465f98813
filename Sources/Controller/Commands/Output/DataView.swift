import BasculeConducting
import BasculeModel
import Foundation
import Synchronization

/// Shows what `bascule data` does: progress on standard error while it runs, then a report a source on standard output.
/// For machines one JSON object a line: `progress`, `report`, `ended`.
final class DataView: Sendable {
    /// How it ended, in the words of the exit status.
    enum Verdict: String, Encodable {
        case fine = "fine"
        case different
        case failed
        var status: Int32 {
            switch self {
            case .fine: 0
            case .different: 2
            case .failed: 1
            }
        }
        static func worse(_ one: Verdict, _ other: Verdict) -> Verdict {
            [.failed, .different].first { one == $0 || other == $0 } ?? .fine
        }
    }

    private let json: Bool
    private let told = Mutex<[StepID: Double]>([:])
    init(json: Bool) { self.json = json }

    private struct Line: Encodable {
        var event: String
        var source: String?
        var verb: String?
        var verdict: Verdict?
        var line: String?
        var fraction: Double?
        var seconds: Double?
        var report: DataReport?
        var error: BasculeError?
        var time = Date().timeIntervalSince1970
    }

    /// To be given to a runner.
    var observer: RunObserver { { [self] in take($0) } }

    private func take(_ event: RunEvent) {
        switch event {
        case .progress(_, let progress):
            let now = Date().timeIntervalSince1970
            // A line every two seconds for people, twice a second for machines.
            let isTime = told.withLock { told in
                guard now - (told[progress.step] ?? 0) >= (json ? 0.5 : 2) else { return false }
                told[progress.step] = now
                return true
            }
            guard isTime else { return }
            if json {
                var line = Line(event: "progress", source: Self.source(progress.step), line: progress.line)
                line.fraction = progress.fraction
                try? Terminal.json(line)
            } else {
                let share = progress.fraction.map { "  \(Int($0 * 100)) %" } ?? ""
                Terminal.error("… \(Self.source(progress.step))  \(Terminal.escape(progress.line))\(share)")
            }
        case .reconnecting(let node, let error):
            if json {
                try? Terminal.json(Line(event: "reconnecting", error: error))
            } else {
                Terminal.error("… \(node) is out of reach (\(error.code)); its agent goes on, trying again")
            }
        case .note(let text):
            if json {
                try? Terminal.json(Line(event: "note", line: text))
            } else {
                Terminal.error(Terminal.escape(text))
            }
        case .phase, .started, .finished, .rollingBack, .compensated: break
        }
    }

    func finish() {}

    private static func source(_ step: StepID) -> String {
        step.rawValue.split(separator: "/").last.map(String.init) ?? step.rawValue
    }

    /// Tells what came of every source, and returns the worst of it.
    func show(_ plan: Plan, _ report: RunReport) throws -> Verdict {
        var worst = Verdict.fine
        for step in plan.steps {
            let result = report.results[step.id] ?? StepResult(.failed, "it was not reached")
            let source = Self.source(step.id)
            var found: DataReport?
            if case .data(let data)? = result.output { found = data }
            let verdict = found.map(DataText.verdict) ?? (result.isGood ? .fine : .failed)
            worst = Verdict.worse(worst, verdict)
            if json {
                var line = Line(
                    event: "report", source: source,
                    verb: step.id.rawValue.split(separator: "/").dropFirst()
                        .first.map(String.init), verdict: verdict)
                (line.seconds, line.report) = (result.seconds, found)
                line.error = found == nil ? result.error : nil
                try Terminal.json(line)
            } else if let found {
                let mark =
                    verdict == .fine ? Terminal.paint("✓", .green) : Terminal.paint("✗", .red)
                let lines = DataText.lines(found, seconds: result.seconds)
                Terminal.say("\(mark) \(Terminal.paint(Terminal.escape(source), .bold))  \(lines.first ?? "")")
                lines.dropFirst().forEach { Terminal.say("  \($0)") }
            } else if let error = result.error {
                Terminal.error("\(Terminal.paint("✗", .red)) \(Terminal.paint(Terminal.escape(source), .bold))")
                Terminal.fail(error.placed(at: .thing("source \(source)")))
            }
        }
        if json { try Terminal.json(Line(event: "ended", verdict: worst, seconds: report.seconds)) }
        return worst
    }
}
