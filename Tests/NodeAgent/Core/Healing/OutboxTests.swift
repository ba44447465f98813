import BasculeModel
import Glibc
import Synchronization
import Testing

@testable import BasculeAgentCore

/// Events are numbered, on disk when noted, bounded, and survive torn lines.
struct OutboxTests {
    private let folder: Folder
    private var path: String { "\(folder.path)/outbox" }

    init() throws { folder = try Folder() }

    private func open(limit: Int = 1 << 20) throws -> Outbox {
        try Outbox(directory: path, limit: limit, clock: { 7.5 })
    }

    private func event(_ text: String) -> AgentEvent { AgentEvent(sequence: 0, time: 0, kind: .healed, text: text) }

    @Test func numbersGoOnAfterARestart() throws {
        let outbox = try open()
        #expect(outbox.last == 0)
        #expect(try outbox.events(from: 1, limit: 9).isEmpty)
        try outbox.append([event("a"), event("b")])
        let again = try open()
        try again.append([event("c")])
        let all = try again.events(from: 1, limit: 9)
        #expect(all.map(\.sequence) == [1, 2, 3] && all.map(\.text) == ["a", "b", "c"] && all[0].time == 7.5)
        #expect(try again.events(from: 2, limit: 1).map(\.text) == ["b"])
    }

    @Test func theOldestHalfIsDropped() throws {
        let outbox = try open(limit: 2000)
        for number in 1...200 { try outbox.append([event("event \(number)")]) }
        let kept = try outbox.events(from: 1, limit: 1000).map(\.sequence)
        #expect(kept.last == 200 && kept == Array((kept.first ?? 0)...200))
        #expect(kept.count > 10 && kept.count < 60)
        var size = stat()
        #expect(stat("\(path)/current", &size) == 0 && size.st_size <= 2000)
        #expect(try open(limit: 2000).last == 200)
    }

    @Test func aTornLineCostsOnlyItself() throws {
        try open().append([event("a")])
        let bytes = try #require(try DurableFile.read("\(path)/current"))
        try DurableFile.write(bytes + Array("deadbeef {\"kind\":\"hea".utf8), to: "\(path)/current")
        let again = try open()
        try again.append([event("b")])
        #expect(try again.events(from: 1, limit: 9).map(\.text) == ["a", "b"])
        #expect(try again.events(from: 1, limit: 9).map(\.sequence) == [1, 2])
    }
}

/// Holds end by themselves, are replaced by a later one, and survive a restart.
struct HoldsTests {
    @Test func holdsAreKeptReplacedAndEnded() throws {
        let folder = try Folder()
        let path = "\(folder.path)/holds.json"
        let holds = try Holds(path: path)
        try holds.add(Hold(resource: "n/file:/a", since: 0, until: 100, reason: "one"))
        try holds.add(Hold(resource: "n/file:/a", since: 1, until: 50, reason: "two"))
        try holds.add(Hold(resource: nil, since: 2, until: nil, reason: "all"))
        #expect(holds.active(at: 10).map(\.reason) == ["two", "all"])
        let again = try Holds(path: path)
        #expect(again.active(at: 49).map(\.reason) == ["two", "all"])
        #expect(again.expire(at: 50).map(\.reason) == ["two"] && again.expire(at: 50).isEmpty)
        #expect(try again.remove("n/file:/a").isEmpty)
        #expect(try again.remove(nil).map(\.reason) == ["all"])
        #expect(try Holds(path: path).active(at: 0).isEmpty)
    }
}
