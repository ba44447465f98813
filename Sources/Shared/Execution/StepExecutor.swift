import BasculeModel
import Synchronization

/// Where a segment's events go before they are acted on. `record` returns only when the event is safe on disk.
package protocol ExecutionJournal: Sendable {
    func record(_ event: ExecutionEvent) throws
}

/// What executes steps: the agent's keepers and movers, or the controller's own actions.
package protocol StepPerformer: Sendable {
    /// Does one step. `interrupted` says that an earlier attempt began and its end is not known.
    func perform(_ step: Step, attempt: Int, interrupted: Bool) async -> StepResult
    /// Undoes one step that began.
    func compensate(_ step: Step, by action: StepAction) async -> StepResult
}

/// What a journal says of a segment: the state from which the executor goes on.
package struct ExecutionHistory: Sendable {
    package private(set) var results: [StepID: StepResult] = [:]
    package private(set) var attempts: [StepID: Int] = [:]
    package private(set) var compensations: [StepID: StepResult] = [:]
    package private(set) var compensating: Set<StepID> = []
    package private(set) var rollbackReason: String?
    package private(set) var outcome: SegmentOutcome?
    /// Steps in the order in which they first began.
    package private(set) var begun: [StepID] = []

    package init(_ events: some Sequence<ExecutionEvent> = []) { for event in events { apply(event) } }

    package mutating func apply(_ event: ExecutionEvent) {
        switch event {
        case .accepted, .note, .awaitingConfirmation: break
        case .started(let id, let attempt):
            if attempts[id] == nil { begun.append(id) }
            attempts[id] = attempt
        case .finished(let id, let result): results[id] = result
        case .rollingBack(let reason): rollbackReason = rollbackReason ?? reason
        case .compensating(let id): compensating.insert(id)
        case .compensated(let id, let result): compensations[id] = result
        case .ended(let end): outcome = end
        }
    }
}

/// Executes a graph of steps: in parallel where the graph allows, each step at most once to its end, resumable from
/// its journal at any point. The same code runs in the agent and in the controller.
package actor StepExecutor {
    private let steps: [Step]
    private let onFailure: Segment.OnFailure
    private let journal: any ExecutionJournal
    private let performer: any StepPerformer
    private let width: Int
    private var history: ExecutionHistory
    private var stopReason: String?

    /// - Parameters:
    ///   - width: how many steps run at once at most.
    ///   - history: what an earlier run left in the journal.
    package init(
        steps: [Step], onFailure: Segment.OnFailure, history: ExecutionHistory, width: Int = 4,
        journal: any ExecutionJournal,
        performer: any StepPerformer
    ) {
        (self.steps, self.onFailure, self.history, self.width) = (steps, onFailure, history, width)
        (self.journal, self.performer) = (journal, performer)
    }

    /// Asks the executor to begin nothing new and, where the segment compensates, to roll back.
    package func stop(reason: String) { stopReason = stopReason ?? reason }

    /// Runs to the end and journals the outcome. Throws only where the journal cannot be written.
    package func run() async throws -> SegmentOutcome {
        if let outcome = history.outcome { return outcome }
        if history.rollbackReason == nil { try await goForward() }
        let failed = steps.contains { history.results[$0.id].map { !$0.isGood } ?? true }
        let outcome: SegmentOutcome
        if failed, onFailure == .compensate, let reason = history.rollbackReason ?? rollbackReason() {
            outcome = try await goBack(reason)
        } else {
            outcome = SegmentOutcome(failed ? .failed : .converged, results: history.results)
        }
        try note(.ended(outcome))
        return outcome
    }

    /// T0 has one authority: a segment in which *open* is done is never compensated by itself.
    private func rollbackReason() -> String? {
        let opened = steps.contains { step in
            if case .migrate(.open) = step.action { history.results[step.id]?.isGood == true } else { false }
        }
        if opened { return nil }
        if let stopReason { return stopReason }
        let failed = steps.filter {
            history.results[$0.id].map { $0.status == .failed || $0.status == .refused } ?? false
        }
        // What was cancelled because of it may stand before it.
        let first = failed.first { history.results[$0.id]?.error?.code != .cancelled } ?? failed.first
        return first.map { "\($0.title): \(history.results[$0.id]?.error?.message ?? "failed")" }
            ?? "steps were not reached"
    }

    private func note(_ event: ExecutionEvent) throws {
        try journal.record(event)
        history.apply(event)
    }

    private func goForward() async throws {
        try await withThrowingTaskGroup(of: (StepID, StepResult).self) { group in
            var running = 0
            var inFlight: Set<StepID> = []
            while true {
                for step in steps
                where running < width && history.results[step.id] == nil && !inFlight.contains(step.id) {
                    switch readiness(of: step) {
                    case .wait: continue
                    case .skip(let reason):
                        try note(.finished(step.id, StepResult(.skipped, reason)))
                    case .run:
                        let earlier = history.attempts[step.id] ?? 0
                        try note(.started(step.id, attempt: earlier + 1))
                        inFlight.insert(step.id)
                        running += 1
                        let performer = performer
                        group.addTask {
                            (step.id, await performer.perform(step, attempt: earlier + 1, interrupted: earlier > 0))
                        }
                    }
                }
                guard running > 0, let (id, result) = try await group.next() else {
                    if steps.allSatisfy({ history.results[$0.id] != nil }) || !madeProgress() { return }
                    continue
                }
                running -= 1
                inFlight.remove(id)
                try note(.finished(id, result))
            }
        }
    }

    /// Whether anything can still happen: skipping may have made further steps ready.
    private func madeProgress() -> Bool {
        steps.contains { step in
            guard history.results[step.id] == nil else { return false }
            if case .wait = readiness(of: step) { return false }
            return true
        }
    }

    private enum Readiness {
        case run, wait
        case skip(String)
    }

    private func readiness(of step: Step) -> Readiness {
        if let stopReason { return .skip(stopReason) }
        let own = Set(steps.map(\.id))
        for need in step.requires where own.contains(need) {
            guard let result = history.results[need] else { return .wait }
            if !result.isGood { return .skip("\(need) did not end well") }
        }
        if onFailure == .compensate,
            history.results.values.contains(where: { $0.status == .failed || $0.status == .refused })
        {
            return .skip("an earlier step failed")
        }
        return .run
    }

    private func goBack(_ reason: String) async throws -> SegmentOutcome {
        if history.rollbackReason == nil { try note(.rollingBack(reason: reason)) }
        var stuck = false
        for id in history.begun.reversed() {
            guard let step = steps.first(where: { $0.id == id }), let action = step.compensation else { continue }
            if let done = history.compensations[id], done.isGood { continue }
            try note(.compensating(id))
            let result = await performer.compensate(step, by: action)
            try note(.compensated(id, result))
            if !result.isGood { stuck = true }
        }
        return SegmentOutcome(
            stuck ? .stuck : .rolledBack, results: history.results, compensations: history.compensations)
    }
}
