import BasculeExecution
import BasculeModel
import Testing

@Suite struct RollbackTests {
    @Test func everythingThatBeganIsUndoneInReverseOrder() async throws {
        let performer = NotingPerformer(failing: ["d"])
        let journal = MemoryJournal()
        let outcome = try await execute(chain(["a", "b", "c", "d", "e"]), .compensate, journal: journal, performer)
        #expect(outcome.status == .rolledBack)
        #expect(performer.undone == ["d", "c", "b", "a"])
        #expect(outcome.results["e"]?.status == .skipped)
        #expect(Set(outcome.compensations.keys) == ["a", "b", "c", "d"])
        #expect(journal.events.contains(.rollingBack(reason: "step d: failed")))
    }

    /// Of steps that run at once, one that was cancelled because another failed is not the reason.
    @Test func theReasonIsNotWhatWasCancelledBecauseOfIt() async throws {
        struct Performer: StepPerformer {
            func perform(_ step: Step, attempt: Int, interrupted: Bool) async -> StepResult {
                let error =
                    step.id == "a" ? BasculeError(.cancelled, "was cancelled") : BasculeError(.defect, "is broken")
                return StepResult(.failed, error: error)
            }
            func compensate(_ step: Step, by action: StepAction) async -> StepResult { StepResult(.done) }
        }
        let journal = MemoryJournal()
        let executor = StepExecutor(
            steps: [step("a"), step("b")], onFailure: .compensate, history: ExecutionHistory(), journal: journal,
            performer: Performer())
        _ = try await executor.run()
        let reasons = journal.events.compactMap { if case .rollingBack(let reason) = $0 { reason } else { nil } }
        #expect(reasons.count == 1 && reasons[0].contains("is broken"), "\(reasons)")
    }

    @Test func whatHasNoCompensationIsLeftAlone() async throws {
        let performer = NotingPerformer(failing: ["c"])
        let steps = [step("a", undo: true), step("b", requires: ["a"]), step("c", requires: ["b"])]
        #expect(try await execute(steps, .compensate, performer).status == .rolledBack)
        #expect(performer.undone == ["a"])
    }

    @Test func aFailingCompensationIsStuckAndTheOthersAreUndoneAllTheSame() async throws {
        let performer = NotingPerformer(failing: ["c"], stuck: ["b"])
        let outcome = try await execute(chain(["a", "b", "c"]), .compensate, performer)
        #expect(outcome.status == .stuck)
        #expect(performer.undone == ["c", "b", "a"])
        #expect(outcome.compensations["b"]?.status == .failed)
    }

    /// T0 has one authority: after it, new writes exist, and nothing goes back by itself.
    static let opening: [Step] = [
        step("fence", undo: true),
        step("open", requires: ["fence"], action: .migrate(.open(domains: ["shop.example"]))),
        step("watch", requires: ["open"], undo: true),
    ]

    @Test func afterOpenNothingIsUndoneAtAnyPrefix() async throws {
        let first = MemoryJournal()
        let outcome = try await execute(Self.opening, .compensate, journal: first, NotingPerformer(failing: ["watch"]))
        #expect(outcome.status == .failed)
        let opened = try #require(first.events.firstIndex { $0.finishedStep == "open" })
        for length in (opened + 1)...first.events.count {
            let performer = NotingPerformer(failing: ["watch"])
            let again = try await execute(
                Self.opening, .compensate, history: Array(first.events.prefix(length)), performer)
            #expect(again.status == .failed)
            #expect(performer.undone.isEmpty, "undone after T0, resumed from record \(length)")
        }
    }

    @Test func aFailingOpenIsUndone() async throws {
        let performer = NotingPerformer(failing: ["open"])
        #expect(try await execute(Self.opening, .compensate, performer).status == .rolledBack)
        #expect(performer.undone == ["fence"])
    }

    @Test func stopAfterOpenUndoesNothing() async throws {
        let (begun, go) = (AsyncStream<Void>.makeStream(), AsyncStream<Void>.makeStream())
        let performer = NotingPerformer(failing: ["watch"]) { id in
            guard id == "watch" else { return }
            begun.continuation.finish()
            for await _ in go.stream {}
        }
        let executor = StepExecutor(
            steps: Self.opening, onFailure: .compensate, history: ExecutionHistory(), journal: MemoryJournal(),
            performer: performer)
        let run = Task { try await executor.run() }
        for await _ in begun.stream {}
        await executor.stop(reason: "the administrator asked for a rollback")
        go.continuation.finish()
        #expect(try await run.value.status == .failed)
        #expect(performer.undone.isEmpty)
    }

    @Test func aRollbackThatWasJournaledGoesOnForwardNeverAgain() async throws {
        let history: [ExecutionEvent] = [
            .started("a", attempt: 1), .finished("a", StepResult(.done)), .rollingBack(reason: "told so"),
        ]
        let performer = NotingPerformer()
        let outcome = try await execute(chain(["a", "b", "c"]), .compensate, history: history, performer)
        #expect(outcome.status == .rolledBack)
        #expect(performer.calls.isEmpty)
        #expect(performer.undone == ["a"])
    }

    @Test func aCompensationThatFailedBeforeTheCrashIsTriedAgain() async throws {
        let history: [ExecutionEvent] = [
            .started("a", attempt: 1), .finished("a", StepResult(.failed)), .rollingBack(reason: "a"),
            .compensating("a"),
            .compensated("a", StepResult(.failed)),
        ]
        let performer = NotingPerformer()
        #expect(try await execute(chain(["a"]), .compensate, history: history, performer).status == .rolledBack)
        #expect(performer.undone == ["a"])
    }
}
