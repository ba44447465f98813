import BasculeModel
import Testing

@testable import BasculeStore

@Suite struct AgentEventTests {
    private func event(_ sequence: Int, _ time: Double) -> AgentEvent {
        AgentEvent(sequence: sequence, time: time, kind: .healed, resource: "n/file:/a", text: "event \(sequence)")
    }

    @Test func everyEventIsKeptOnce() throws {
        let store = try StoreFolder().open()
        #expect(try store.eventMark(of: "n", machine: "m") == EventMark(generation: 0, sequence: 0))
        try store.add([event(1, 5), event(2, 6)], of: "n", machine: "m", generation: 0, skew: 0)
        try store.add([event(2, 6), event(3, 7)], of: "n", machine: "m", generation: 0, skew: 0)
        #expect(try store.agentEvents(limit: 10).map(\.event.sequence) == [1, 2, 3])
        #expect(try store.eventMark(of: "n", machine: "m") == EventMark(generation: 0, sequence: 3))
        // Another machine of that name, and an agent that counts anew, begin at 1 and lose nothing.
        try store.add([event(1, 8)], of: "n", machine: "other", generation: 0, skew: 0)
        try store.add([event(1, 9)], of: "n", machine: "m", generation: 1, skew: 0)
        #expect(try store.eventMark(of: "n", machine: "m") == EventMark(generation: 1, sequence: 1))
        #expect(try store.agentEvents(limit: 10).map(\.event.sequence) == [1, 2, 3, 1, 1])
        #expect(try store.agentEvents(of: "x", limit: 10).isEmpty)
    }

    @Test func aClockThatJumpsChangesNoOrder() throws {
        let store = try StoreFolder().open()
        // A day ahead, then set right between two events.
        try store.add([event(1, 86_500), event(2, 86_510)], of: "n", machine: "m", generation: 0, skew: 86_400)
        try store.add([event(3, 90), event(4, 130)], of: "n", machine: "m", generation: 0, skew: 0)
        let events = try store.agentEvents(limit: 10)
        #expect(events.map(\.event.sequence) == [1, 2, 3, 4])
        #expect(events.map(\.time) == [100, 110, 110, 130])
    }

    /// The events of a run come in the order in which the node told them, whatever its clock said.
    @Test func aRunsEventsAreInSequenceOrder() throws {
        let store = try StoreFolder().open()
        try store.save(plan("p1"))
        try store.begin("r1", of: "p1", through: nil)
        for (sequence, time) in [(1, 100.0), (2, 90_000), (3, 50), (4, 51)] {
            try store.add(finished(sequence, time: time), of: "r1", node: "vps1")
        }
        #expect(try store.events(of: "r1").map(\.time) == [100, 90_000, 50, 51])
    }
}
