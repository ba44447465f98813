import BasculeExecution
import BasculeModel
import Synchronization
import Testing

@Suite struct ForwardTests {
    @Test func runsNothing() async throws {
        let performer = NotingPerformer()
        let journal = MemoryJournal()
        #expect(try await execute([], journal: journal, performer) == SegmentOutcome(.converged, results: [:]))
        #expect(journal.events == [.ended(SegmentOutcome(.converged, results: [:]))])
    }

    @Test(arguments: 1...40) func aStepBeginsAfterAllThatItNeeds(seed: UInt64) async throws {
        let graph = RandomGraph(seed: seed)
        let journal = MemoryJournal()
        _ = try await execute(graph.steps, journal: journal, NotingPerformer())
        for step in graph.steps {
            let begun = try #require(journal.events.firstIndex { $0.startedStep == step.id })
            for need in step.requires {
                let ended = try #require(journal.events.firstIndex { $0.finishedStep == need })
                #expect(ended < begun, "\(step.id) began before \(need) had ended")
            }
        }
        #expect(journal.events.compactMap(\.startedStep).count == graph.steps.count)
    }

    @Test(arguments: [1, 2, 3]) func neverMoreAtOnceThanTheWidthAndThatManyWhereItCan(width: Int) async throws {
        // Each waits until as many run as may, so a narrower executor would time out and be seen.
        let inside = Mutex(0)
        let performer = NotingPerformer { _ in
            inside.withLock { $0 += 1 }
            for _ in 0..<400 where inside.withLock({ $0 }) < width { try? await Task.sleep(for: .milliseconds(5)) }
        }
        let steps = (0..<6).map { step(StepID("s\($0)")) }
        _ = try await execute(steps, width: width, performer)
        #expect(performer.mostRunning == width)
        #expect(Set(performer.calls.map(\.step)).count == 6)
        #expect(performer.calls.count == 6)
    }

    @Test func dependentsOfAFailureAreSkippedAndOthersGoOn() async throws {
        // The order of the list is the reverse of the graph's, so that skipping has to travel against it.
        let steps = [
            step("d", requires: ["c"]), step("c", requires: ["b"]), step("b", requires: ["a"]), step("a"), step("x"),
            step("y", requires: ["x"]),
        ]
        let performer = NotingPerformer(failing: ["b"])
        let outcome = try await execute(steps, performer)
        #expect(outcome.status == .failed)
        #expect(
            outcome.results.mapValues(\.status) == [
                "a": .done, "b": .failed, "c": .skipped, "d": .skipped, "x": .done, "y": .done,
            ])
        #expect(outcome.results["c"]?.summary == "b did not end well")
        #expect(Set(performer.calls.map(\.step)) == ["a", "b", "x", "y"])
        #expect(performer.undone.isEmpty)
    }

    @Test func anUnreachableResourceHoldsUpNobody() async throws {
        struct Unreachable: StepPerformer {
            func perform(_ step: Step, attempt: Int, interrupted: Bool) async -> StepResult {
                StepResult(step.id == "a" ? .unreachable : .done)
            }
            func compensate(_ step: Step, by action: StepAction) async -> StepResult { StepResult(.done) }
        }
        let outcome = try await StepExecutor(
            steps: [step("a"), step("b", requires: ["a"])], onFailure: .compensate, history: ExecutionHistory(),
            journal: MemoryJournal(),
            performer: Unreachable()
        ).run()
        #expect(outcome.status == .converged)
        #expect(outcome.results["b"]?.status == .done)
    }

    @Test func whatIsNeededOfOtherSegmentsIsNotWaitedFor() async throws {
        let outcome = try await execute([step("a", requires: ["another-node/x"])], NotingPerformer())
        #expect(outcome.status == .converged)
    }

    @Test func aCircleEndsAsFailedInsteadOfHanging() async throws {
        let performer = NotingPerformer()
        let outcome = try await execute([step("a", requires: ["b"]), step("b", requires: ["a"]), step("c")], performer)
        #expect(outcome.status == .failed)
        #expect(performer.calls.map(\.step) == ["c"])
    }

    @Test func anOutcomeThatIsThereIsGivenAgainAndNothingDone() async throws {
        let known = SegmentOutcome(.failed, results: ["a": StepResult(.failed)])
        let (performer, journal) = (NotingPerformer(), MemoryJournal())
        #expect(try await execute([step("a")], history: [.ended(known)], journal: journal, performer) == known)
        #expect(performer.calls.isEmpty && journal.events.isEmpty)
    }

    @Test func nothingIsDoneBeforeItsBeginningIsOnDisk() async throws {
        let performer = NotingPerformer()
        await #expect(throws: MemoryJournal.PowerCut.self) {
            _ = try await execute([step("a")], journal: MemoryJournal(records: 0), performer)
        }
        #expect(performer.calls.isEmpty)
    }

    @Test(arguments: [Segment.OnFailure.skipDependents, .compensate]) func stopLetsTheRunningStepEndAndBeginsNoOther(
        onFailure: Segment.OnFailure
    ) async throws {
        let (begun, go) = (AsyncStream<Void>.makeStream(), AsyncStream<Void>.makeStream())
        let performer = NotingPerformer { id in
            guard id == "b" else { return }
            begun.continuation.finish()
            for await _ in go.stream {}
        }
        let journal = MemoryJournal()
        let executor = StepExecutor(
            steps: chain(["a", "b", "c"]), onFailure: onFailure, history: ExecutionHistory(), journal: journal,
            performer: performer)
        let run = Task { try await executor.run() }
        for await _ in begun.stream {}
        await executor.stop(reason: "enough")
        await executor.stop(reason: "a second word changes nothing")
        go.continuation.finish()
        let outcome = try await run.value
        #expect(outcome.results.mapValues(\.status) == ["a": .done, "b": .done, "c": .skipped])
        #expect(outcome.results["c"]?.summary == "enough")
        if onFailure == .compensate {
            #expect(outcome.status == .rolledBack)
            #expect(journal.events.contains(.rollingBack(reason: "enough")))
            #expect(performer.undone.suffix(2) == ["b", "a"])
        } else {
            #expect(outcome.status == .failed)
            #expect(performer.undone.isEmpty)
        }
    }
}
