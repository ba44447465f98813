import BasculeModel
import Foundation
import Testing

@testable import BasculeAgentCore

/// The heal set follows from the journal, step by step, and from nothing else but manifests.
struct HealSetTests {
    private func file(_ name: String, _ text: String = "x", state: Presence = .present) -> DesiredResource {
        DesiredResource(.file(FileSpec("/srv/\(name)", Content(text), state: state)), on: "n", origin: "t")
    }

    private func step(_ id: StepID, _ desired: [DesiredResource]) -> Step {
        Step(
            id: id, phase: .install, node: "n", title: "t",
            action: .converge(desired.map { ConvergeItem(desired: $0, before: nil, change: nil) }),
            reversal: .reversible(seconds: 1), estimate: 1)
    }

    private func records(
        _ segment: SegmentID, from first: Int, _ steps: [Step], _ results: [StepResult.Status], ended: Bool = true,
        lease: MigrationLease? = nil, status: SegmentOutcome.Status = .converged
    ) -> [JournalRecord] {
        let whole = Segment(
            id: segment, plan: "p", run: "r", node: "n", epoch: 1, serial: 1, steps: steps, lease: lease)
        var events: [ExecutionEvent] = [.accepted(whole)]
        for (step, result) in zip(steps, results) { events.append(.finished(step.id, StepResult(result))) }
        if ended { events.append(.ended(SegmentOutcome(status, results: [:]))) }
        return events.enumerated().map {
            JournalRecord(sequence: first + $0.offset, time: 0, segment: segment, event: $0.element)
        }
    }

    private func set(_ records: [JournalRecord]) -> HealSet {
        var set = HealSet()
        for record in records { set.take(record) }
        return set
    }

    @Test func whatSucceededJoinsAndNothingElse() {
        let steps = [
            step("a", [file("a")]), step("b", [file("b")]), step("c", [file("c")]), step("d", [file("d"), file("e")]),
        ]
        let set = set(records("s", from: 1, steps, [.done, .failed, .satisfied, .done]))
        #expect(Set(set.entries.keys) == Set(["a", "c", "d", "e"].map { file($0).id }))
        #expect(set.through == 6 && set.inSegments.isEmpty)
    }

    @Test func whatIsRemovedLeaves() {
        let first = records("s1", from: 1, [step("a", [file("a")])], [.done])
        let second = records("s2", from: 4, [step("a", [file("a", state: .absent)])], [.done])
        #expect(set(first + second).entries.isEmpty)
    }

    @Test func aRunningSegmentIsReadAgainAfterACrash() throws {
        let steps = [step("a", [file("a")]), step("b", [file("b")])]
        var now = set(records("s1", from: 1, [step("c", [file("c")])], [.done]))
        for record in records("s2", from: 4, steps, [.done], ended: false) { now.take(record) }
        #expect(now.inSegments == [file("a").id, file("b").id])
        #expect(now.through == 3, "the segment's records must be read again")
        let saved = try JSONDecoder().decode(HealSet.self, from: JSONEncoder().encode(now))
        #expect(saved.entries == now.entries && saved.inSegments.isEmpty)
        var later = saved
        for record in records("s2", from: 4, steps, [.done, .done]) { later.take(record) }
        #expect(later.entries.count == 3 && later.through == 7)
    }

    @Test func anUndoBringsBackWhatWasAcceptedBefore() {
        var set = set(
            records("s1", from: 1, [step("a", [file("a", "old")])], [.done])
                + records("s2", from: 4, [step("a", [file("a", "new")]), step("b", [file("b")])], [.done, .done]))
        set.undo("s2", [file("a").id, file("b").id])
        #expect(set.entries.mapValues(\.desired) == [file("a").id: file("a", "old")])
        set.undo("s1", [file("a").id])
        #expect(set.entries.isEmpty)
    }

    @Test func aManifestTakesInWhatIsSoAndDropsWhatItDoesNotName() {
        var set = set(records("s", from: 1, [step("a", [file("a"), file("b", "old")])], [.done]))
        let named = [file("b", "new"), file("c"), file("d")]
        let changed = set.accept(named, digest: "1", satisfied: [file("c").id])
        #expect(changed)
        #expect(set.entries.mapValues(\.desired) == [file("b").id: file("b", "old"), file("c").id: file("c")])
        #expect(set.manifest == nil, "not all of it is kept yet: it has to be told again")
        let more = set.accept(named, digest: "1", satisfied: [file("b").id, file("d").id])
        #expect(more)
        #expect(set.manifest == "1" && set.entries[file("b").id]?.desired == file("b", "new"))
        let none = set.accept(named, digest: "1", satisfied: [])
        #expect(!none, "nothing changed: nothing to save")
    }

    @Test func aMigrationThatGotStuckStaysOneUntilTheNext() {
        let lease = MigrationLease(seconds: 60, ifAlone: .rollback, attempt: 1)
        var set = set(records("m", from: 1, [step("a", [file("a")])], [.done], ended: false, lease: lease))
        #expect(set.migration == "m")
        for record in records("m", from: 1, [step("a", [file("a")])], [.done], lease: lease, status: .stuck) {
            set.take(record)
        }
        #expect(set.migration == "m")
        for record in records("m2", from: 9, [step("a", [file("a")])], [.done], lease: lease) { set.take(record) }
        #expect(set.migration == nil)
    }

    @Test func commandsAreNeverKept() {
        let command = DesiredResource(
            .command(CommandSpec("x", command: ["a"], unless: ["b"])), on: "n", origin: "t")
        #expect(set(records("s", from: 1, [step("a", [command])], [.done])).entries.isEmpty)
    }
}
