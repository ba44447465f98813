/// What happens to a segment, in the order in which it happened. Journaled before it is acted on.
package enum ExecutionEvent: Hashable, Codable, Sendable {
    case accepted(Segment)
    case started(StepID, attempt: Int)
    case finished(StepID, StepResult)
    /// From here on everything that began is undone.
    case rollingBack(reason: String)
    case compensating(StepID)
    case compensated(StepID, StepResult)
    /// Something for people that changes nothing: progress is not journaled, notes are.
    case note(String)
    case ended(SegmentOutcome)
    /// A change that could lock the administrator out stands, and goes back by itself unless a fresh login confirms
    /// it within so many seconds.
    case awaitingConfirmation(StepID, seconds: Double)
}

/// An event with its place in an agent's journal.
package struct JournalRecord: Hashable, Codable, Sendable {
    /// Counts from 1 within one agent's journal, without gaps.
    package var sequence: Int
    /// Seconds since 1970 by the agent's clock.
    package var time: Double
    package var segment: SegmentID
    package var event: ExecutionEvent

    package init(sequence: Int, time: Double, segment: SegmentID, event: ExecutionEvent) {
        (self.sequence, self.time, self.segment, self.event) = (sequence, time, segment, event)
    }
}

/// Progress of a running step: shown live, never journaled.
package struct StepProgress: Hashable, Codable, Sendable {
    package var step: StepID
    /// One line, from strangers' output: escape before showing.
    package var line: String
    /// From 0 to 1 where it is known.
    package var fraction: Double?

    package init(step: StepID, line: String, fraction: Double? = nil) {
        (self.step, self.line, self.fraction) = (step, line, fraction)
    }
}
