import BasculeExecution
import BasculeModel
import Testing

/// "Do the next unfinished step": whatever stands in the journal, going on from there ends as if nothing had happened.
@Suite struct ResumeTests {
    /// What must hold of a run that was resumed from `prefix`.
    private func check(_ prefix: [ExecutionEvent], _ performer: NotingPerformer, _ name: String) {
        let history = ExecutionHistory(prefix)
        var seen: Set<StepID> = []
        for call in performer.calls {
            #expect(history.results[call.step] == nil, "\(call.step) was finished and performed again (\(name))")
            #expect(seen.insert(call.step).inserted, "\(call.step) was performed twice (\(name))")
            #expect(
                call.interrupted == (history.attempts[call.step] != nil),
                "wrong interrupted flag of \(call.step) (\(name))")
            #expect(call.attempt == (history.attempts[call.step] ?? 0) + 1, "wrong attempt of \(call.step) (\(name))")
        }
        let undone = Set(prefix.compactMap(\.undoneStep))
        for id in performer.undone { #expect(!undone.contains(id), "\(id) was undone and undone again (\(name))") }
        #expect(Set(performer.undone).count == performer.undone.count)
    }

    @Test(arguments: 1...60) func everyPrefixOfAnyJournalEndsTheSame(seed: UInt64) async throws {
        let graph = RandomGraph(seed: seed)
        let whole = MemoryJournal()
        let outcome = try await execute(graph.steps, journal: whole, NotingPerformer(failing: graph.failing))
        for length in 0...whole.events.count {
            let prefix = Array(whole.events.prefix(length))
            let performer = NotingPerformer(failing: graph.failing)
            let again = try await execute(graph.steps, history: prefix, performer)
            #expect(again.status == outcome.status)
            #expect(
                again.results.mapValues(\.status) == outcome.results.mapValues(\.status),
                "seed \(seed), from record \(length)")
            check(prefix, performer, "seed \(seed), from record \(length)")
        }
    }

    @Test(arguments: 1...60) func everyPrefixOfARollbackUndoesEverythingThatBegan(seed: UInt64) async throws {
        let graph = RandomGraph(seed: seed)
        let whole = MemoryJournal()
        let outcome = try await execute(
            graph.steps, .compensate, journal: whole, NotingPerformer(failing: graph.failing))
        #expect(outcome.status == (graph.failing.isEmpty ? .converged : .rolledBack))
        for length in 0...whole.events.count {
            let prefix = Array(whole.events.prefix(length))
            let (performer, journal) = (NotingPerformer(failing: graph.failing), MemoryJournal(prefix))
            let again = try await execute(graph.steps, .compensate, history: prefix, journal: journal, performer)
            #expect(again.status == outcome.status, "seed \(seed), from record \(length)")
            check(prefix, performer, "seed \(seed), from record \(length)")
            guard outcome.status == .rolledBack else { continue }
            let begun = ExecutionHistory(journal.events).begun.filter { id in
                graph.steps.first { $0.id == id }?.compensation != nil
            }
            #expect(journal.events.compactMap(\.undoneStep) == begun.reversed(), "seed \(seed), from record \(length)")
        }
    }

    @Test func everyPrefixOfAChainGivesTheSameOutcomeToTheLetter() async throws {
        let steps = chain(["a", "b", "c", "d", "e"])
        for failing in [[], ["a"], ["c"], ["e"]] as [Set<StepID>] {
            let whole = MemoryJournal()
            let outcome = try await execute(steps, .compensate, journal: whole, NotingPerformer(failing: failing))
            for length in 0...whole.events.count {
                let prefix = Array(whole.events.prefix(length))
                #expect(
                    try await execute(steps, .compensate, history: prefix, NotingPerformer(failing: failing)) == outcome
                )
            }
        }
    }

    /// The power goes again and again, at every place, with the last record on disk or not.
    @Test(arguments: 1...60) func anyNumberOfPowerCutsFinishesEachStepOnce(seed: UInt64) async throws {
        let graph = RandomGraph(seed: seed)
        let onFailure: Segment.OnFailure = seed.isMultiple(of: 2) ? .compensate : .skipDependents
        let undisturbed = try await execute(graph.steps, onFailure, NotingPerformer(failing: graph.failing))
        var random = Seeded(seed)
        var events: [ExecutionEvent] = []
        var outcome: SegmentOutcome?
        for _ in 0..<200 where outcome == nil {
            let journal = MemoryJournal(
                events, records: Int.random(in: 0...9, using: &random), keepsLast: Bool.random(using: &random))
            let performer = NotingPerformer(failing: graph.failing)
            outcome = try? await execute(graph.steps, onFailure, history: events, journal: journal, performer)
            check(events, performer, "seed \(seed)")
            events = journal.events
        }
        #expect(outcome?.status == undisturbed.status)
        let finished = events.compactMap(\.finishedStep)
        #expect(Set(finished).count == finished.count, "a step was finished twice")
        #expect(Set(finished) == Set(graph.steps.map(\.id)))
        if onFailure == .skipDependents {
            #expect(outcome?.results.mapValues(\.status) == undisturbed.results.mapValues(\.status))
        }
    }
}
