import BasculeModel

/// What happens in a run, for whoever shows it. Text in it comes from nodes: escape before showing.
package enum RunEvent: Sendable {
    case phase(Phase, steps: Int)
    case started(NodeName?, Step)
    case progress(NodeName?, StepProgress)
    case finished(NodeName?, Step, StepResult)
    case rollingBack(NodeName, reason: String)
    case compensated(NodeName, Step, StepResult)
    case reconnecting(NodeName, BasculeError)
    case note(String)
}

/// Told what happens, in order.
package typealias RunObserver = @Sendable (RunEvent) -> Void

/// How a run ended, in the words of the exit status.
package enum RunOutcome: String, Sendable, Codable {
    case converged
    /// At a gate, or where `--through` said.
    case stopped
    case rolledBack = "rolled-back"
    case failed

    /// 0 converged, 3 stopped at a gate, 4 rolled back, 1 error or refused steps.
    package var exitStatus: Int32 {
        switch self {
        case .converged: 0
        case .stopped: 3
        case .rolledBack: 4
        case .failed: 1
        }
    }
}

/// A run's end with what it did.
package struct RunReport: Sendable {
    package var run: RunID
    package var plan: PlanID
    package var outcome: RunOutcome
    package var results: [StepID: StepResult]
    package var seconds: Double
    /// Where it stopped, for people; nil where it came to its end.
    package var reason: String?

    /// This run and one that followed it in the same command, told as one.
    package func followed(by next: RunReport) -> RunReport {
        var both = next
        both.results.merge(results) { $1 }
        both.seconds += seconds
        if outcome != .converged, next.outcome == .converged { both.outcome = outcome }
        both.reason = reason ?? next.reason
        return both
    }

    package func count(_ status: StepResult.Status) -> Int { results.values.count { $0.status == status } }

    /// The share of steps that did exactly what the plan said, from 0 to 1; nil where none was exact.
    package func predictionScore(of plan: Plan) -> Double? {
        let exact = plan.steps.filter { $0.certainty == .exact && results[$0.id] != nil }
        guard !exact.isEmpty else { return nil }
        let right = exact.count { step in
            guard let result = results[step.id], result.isGood else { return false }
            guard case .converge(let items) = step.action else { return true }
            return items.allSatisfy { item in
                item.change == nil
                    || result.changes[item.desired.id]?.differences.map(\.attribute)
                        == item.change?.differences.map(\.attribute)
            }
        }
        return Double(right) / Double(exact.count)
    }
}
