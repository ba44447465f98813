/// How a journey ended, as its customer sees it.
package enum JourneyOutcome: Hashable, Codable, Sendable, CustomStringConvertible {
    case ok
    /// A status 503 with Retry-After: the maintenance page. An outage, not an error.
    case maintenance
    /// No answer: no connection, no name, a deadline, a broken connection, a certificate that proves nothing.
    case unreachable
    /// An answer that is not what the step expects.
    case failed(step: String)

    package var description: String {
        switch self {
        case .ok: "ok"
        case .maintenance: "maintenance"
        case .unreachable: "unreachable"
        case .failed(let step): "failed at ‘\(step)’"
        }
    }
}

/// One run of a journey.
package struct JourneyResult: Hashable, Codable, Sendable {
    package var journey: String
    package var outcome: JourneyOutcome
    /// Milliseconds since 1970, by the wall clock.
    package var startedAt: Int64
    /// Milliseconds of the monotonic clock, without the cleanup.
    package var milliseconds: Double
    /// Those that were tried, in order; the cleanup's at the end.
    package var steps: [JourneyStepResult]
    /// The captured values that the journey's `record` names.
    package var captured: [String: String]

    package init(
        journey: String, outcome: JourneyOutcome, startedAt: Int64, milliseconds: Double, steps: [JourneyStepResult],
        captured: [String: String]
    ) {
        (self.journey, self.outcome, self.startedAt) = (journey, outcome, startedAt)
        (self.milliseconds, self.steps, self.captured) = (milliseconds, steps, captured)
    }

    /// Whether every step was as expected. Cleanup that failed is told by its steps and does not change it.
    package var ok: Bool { outcome == .ok }

    /// The step that decided the outcome, if it is not `ok`.
    package var failure: JourneyStepResult? { steps.first { !$0.ok && !$0.cleanup } }
}

/// One step of a run.
package struct JourneyStepResult: Hashable, Codable, Sendable {
    package var name: String
    /// Milliseconds since 1970 at which it began, by the wall clock.
    package var startedAt: Int64
    /// Milliseconds that it took.
    package var milliseconds: Double
    /// The answer's status; nil without an answer.
    package var status: Int?
    package var ok: Bool
    /// Why it is not ok, or why it was skipped; one sentence without a value that was filled in.
    package var reason: String?
    package var write: Bool
    package var cleanup: Bool
    /// The address that answered.
    package var address: String?
    /// What the answer's `servedBy` field says.
    package var servedBy: String?

    package init(
        name: String, startedAt: Int64, milliseconds: Double, status: Int?, ok: Bool, reason: String?, write: Bool,
        cleanup: Bool, address: String?, servedBy: String?
    ) {
        (self.name, self.startedAt, self.milliseconds, self.status) = (name, startedAt, milliseconds, status)
        (self.ok, self.reason, self.write, self.cleanup) = (ok, reason, write, cleanup)
        (self.address, self.servedBy) = (address, servedBy)
    }

    /// Milliseconds since 1970 at which it ended.
    package var endedAt: Double { Double(startedAt) + milliseconds }
    /// Which system served it: its own word, else its address.
    package var system: String? { servedBy ?? address }
}
