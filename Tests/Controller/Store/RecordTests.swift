import BasculeModel
import Foundation
import Testing

@testable import BasculeStore

@Suite struct RecordTests {
    let folder: StoreFolder
    init() throws { folder = try StoreFolder() }

    @Test func settingsAndCountersSurviveClosing() throws {
        do {
            let store = try folder.open()
            #expect(try store.setting("x") == nil)
            try store.set("x", to: "1")
            try store.set("x", to: "zwei")
            #expect(try (1...3).map { _ in try store.next("serial") } == [1, 2, 3])
            #expect(try store.next("epoch") == 1)
        }
        let store = try folder.open()
        #expect(try store.setting("x") == "zwei")
        #expect(try store.next("serial") == 4)
        try store.check()
    }

    @Test func noTwoEverGetTheSameNumber() async throws {
        let store = try folder.open()
        let numbers = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<50 { group.addTask { try store.next("serial") } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(numbers.sorted() == Array(1...50))
    }

    @Test func aNodeComesBackAsItWas() throws {
        var node = NodeRecord(name: "vps1")
        (node.machine, node.hostKeys, node.sealingKey, node.architecture) = (
            "m", ["ssh-ed25519 AAAA", "x y"], "00", "x86_64"
        )
        (node.address, node.port, node.agent, node.secretsTag) = ("192.0.2.1", 2222, "0.1.0", "t")
        let store = try folder.open()
        #expect(try store.node("vps1") == NodeRecord(name: "vps1"))
        try store.save(node)
        #expect(try folder.open().node("vps1") == node)
        node.hostKeys = []
        node.machine = nil
        try store.save(node)
        #expect(try store.node("vps1") == node)
        try store.forget("vps1")
        #expect(try store.node("vps1") == NodeRecord(name: "vps1"))
    }

    static let facts = NodeFacts(
        hostname: "h", machineID: "m", system: "debian", systemVersion: "12", codename: "bookworm",
        systemName: "Debian", kernel: "6.1", architecture: "x86_64",
        processors: 2, memory: 1, memoryAvailable: 1, disks: [], addresses: [], defaultInterface: nil, services: nil,
        packageCount: 0, packages: [:],
        bootID: "b", uptime: 1, clock: 1)

    @Test func factsStayWhenTheRecordIsSavedAgain() throws {
        let store = try folder.open()
        try store.save(NodeRecord(name: "vps1"))
        #expect(try store.facts("vps1") == nil)
        try store.save(Self.facts, of: "vps1")
        try store.save(NodeRecord(name: "vps1"))
        #expect(try store.facts("vps1") == Self.facts)
    }

    @Test func factsOfANodeThatIsNotRecordedYetAreKept() throws {
        let store = try folder.open()
        try store.save(Self.facts, of: "vps1")
        #expect(try store.facts("vps1") == Self.facts)
        #expect(try store.node("vps1") == NodeRecord(name: "vps1"))
    }

    @Test func aSavedPlanNeverChanges() throws {
        let store = try folder.open()
        try store.save(plan("p1"))
        var other = plan("p1")
        other.topology = "multi"
        try store.save(other)
        #expect(try folder.open().plan("p1") == plan("p1"))
        #expect(code { try store.plan("p2") } == .notFound)
    }

    @Test func runsAreListedNewestFirst() throws {
        let store = try folder.open()
        try store.save(plan("p1"))
        #expect(code { try store.begin("r0", of: "no plan", through: nil) } != nil)
        try store.begin("r1", of: "p1", through: "copy")
        usleep(5000)
        try store.begin("r2", of: "p1", through: nil)
        try store.end("r1", outcome: "stopped", summary: "as asked")
        try store.begin("r1", of: "p1", through: nil)
        let runs = try store.runs()
        #expect(runs.map(\.id) == ["r2", "r1"])
        #expect(runs.map(\.outcome) == [nil, "stopped"])
        #expect(runs.last?.through == "copy" && runs.last?.summary == "as asked" && runs.last?.ended != nil)
        #expect(try store.runs(limit: 1).map(\.id) == ["r2"])
    }

    @Test func segmentsComeBackInTheOrderOfSending() throws {
        let store = try folder.open()
        try store.save(plan("p1"))
        try store.begin("r1", of: "p1", through: nil)
        for (id, serial) in [("s3", 30), ("s1", 4), ("s2", 5)] {
            try store.save(segment(SegmentID(id), run: "r1", serial: serial))
        }
        try store.save(segment("s1", run: "r1", serial: 99))
        let outcome = SegmentOutcome(.stuck, results: ["a": StepResult(.failed)])
        try store.end("s1", outcome)
        let all = try store.segments(of: "r1")
        #expect(
            all.map(\.segment) == [
                segment("s1", run: "r1", serial: 4), segment("s2", run: "r1", serial: 5),
                segment("s3", run: "r1", serial: 30),
            ])
        #expect(all.map(\.outcome) == [outcome, nil, nil])
        #expect(try store.openSegments().map(\.id) == ["s2", "s3"])
    }

    @Test func addingAJournalRecordAgainChangesNothing() throws {
        let store = try folder.open()
        let proofs = [
            Evidence("rows", value: "3", passed: true, time: 5, origin: "vps1"),
            Evidence("keys", value: "2", passed: false, time: 4, origin: "vps1"),
        ]
        for _ in 0..<3 {
            try store.add(
                JournalRecord(
                    sequence: 1, time: 1, segment: "s1", event: .accepted(segment("s1", run: "r1", serial: 1))),
                of: "r1", node: "vps1")
            try store.add(
                JournalRecord(sequence: 2, time: 2, segment: "s1", event: .started("step", attempt: 1)), of: "r1",
                node: "vps1")
            try store.add(finished(3, proofs, time: 3), of: "r1", node: "vps1")
        }
        let events = try folder.open().events(of: "r1")
        #expect(events.map(\.event) == [.started("step", attempt: 1), finished(3, proofs).event])
        #expect(events.map(\.node) == ["vps1", "vps1"] && events.map(\.time) == [2, 3])
        #expect(try store.evidence(of: "r1") == proofs.reversed())
        #expect(try store.events(of: "r2").isEmpty)
        #expect(try store.evidence(of: "r2").isEmpty)
    }

    /// A node that was set up anew counts from 1 again.
    @Test func theSameNumberOfAnotherSegmentIsAnotherRecord() throws {
        let store = try folder.open()
        var other = finished(2, time: 9)
        other.segment = "s9"
        try store.add(finished(2), of: "r1", node: "vps1")
        try store.add(other, of: "r1", node: "vps1")
        #expect(try store.events(of: "r1").count == 2)
    }
}
