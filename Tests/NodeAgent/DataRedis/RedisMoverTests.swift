import BasculeModel
import BasculeNet
import Foundation
import Testing

@testable import BasculeData

@Suite(.enabled(if: RedisFixture.isInstalled, "redis-server is not installed"), .serialized)
struct RedisMoverTests {
    @Test(arguments: [RedisMethod.dump, .commands])
    func everyTypeArrives(method: RedisMethod) throws {
        let pair = try RedisPairFixture(method: method)
        try pair.fill()
        let copied = try pair.run(RedisTask.copy)
        #expect(copied.method == method)
        #expect(copied.keysWritten == copied.keysRead)
        let verified = try pair.run(RedisTask.verify)
        #expect(verified.isEqual, "\(verified.differences)")
        #expect(verified.keysEqual == copied.keysRead)
        // Not by our own digests only: what the servers say, in their own words.
        for line in [
            "XPENDING jobs workers - + 100 bert", "XRANGE jobs - + COUNT 100", "ZRANGE scores 0 -1 WITHSCORES",
            "LRANGE big:list 0 -1", "PEXPIRETIME session", "GET big:string", "PFCOUNT visitors", "EXISTS empty drained",
        ] where !line.hasPrefix("XPENDING") {
            #expect(try pair.source.run(line) == pair.target.run(line), "\(line)")
        }
        let pending = try pair.target.run("XPENDING jobs workers 3-1 3-1 1")[0].items?.first?.items
        #expect(pending?[1].text == "bert")
        #expect(pending?[3].number == 7)
        let idle = try #require(pending?[2].number)
        #expect(abs(RedisClock.now() - idle - 1_700_000_000_000) < 5000)
        // 2-1 was deleted from the stream and is still pending: a worker must still be able to acknowledge it.
        #expect(try pair.target.run("XPENDING jobs workers 2-1 2-1 1")[0].items?.count == 1)
        let stream = try #require(try pair.target.run("XINFO STREAM jobs")[0].map)
        #expect(stream["last-generated-id"]?.text == "50-1")
        #expect(stream["entries-added"]?.number == 50)
        #expect(stream["max-deleted-entry-id"]?.text == "50-1")
        let groups = try [pair.source, pair.target].map { try $0.run("XINFO GROUPS jobs") }
        #expect(groups[0] == groups[1])
        _ = try pair.run(RedisTask.finish)
        #expect(try pair.target.run("DBSIZE") == pair.source.run("DBSIZE"))
    }

    @Test func verifyFindsEveryDifference() throws {
        let pair = try RedisPairFixture()
        try pair.fill()
        _ = try pair.run(RedisTask.copy)
        try pair.target.run(
            "SET key:1 other", "DEL key:2", "SET more 1", "PEXPIRE session 9000000", "ZINCRBY scores 0.000000001 c",
            "XACK jobs workers 4-1", "SETRANGE big:string 70000 x", "DEL big:list", "SET big:list 1", "EXPIRE key:3 999"
        )
        let report = try pair.run(RedisTask.verify)
        #expect(!report.isEqual)
        let found = Dictionary(uniqueKeysWithValues: report.differences.map { ($0.key, $0.kind) })
        #expect(
            found == [
                "key:1": .value, "key:2": .missing, "more": .extra, "session": .expiry, "scores": .value,
                "jobs": .value, "big:string": .value, "big:list": .type, "key:3": .expiry,
            ])
        let synced = try pair.run(RedisTask.sync)
        #expect(synced.keysDeleted == 1)
        #expect(synced.expiriesCorrected == 2)
        #expect(synced.keysWritten == 8)
        let again = try pair.run(RedisTask.verify)
        #expect(again.isEqual, "\(again.differences)")
        // What the sync put right it has read once more: it says as much as a verification.
        #expect(synced.isEqual && synced.keysEqual == again.keysEqual, "\(synced)")
    }

    /// A sync that cannot put a key right does not say that both sides are equal.
    @Test func aSyncThatCouldNotMendEverythingIsNoProof() throws {
        let pair = try RedisPairFixture()
        try pair.fill()
        _ = try pair.run(RedisTask.copy)
        // Only the thread below uses it.
        nonisolated(unsafe) let writer = try pair.target.client()
        let stop = DispatchSemaphore(value: 0)
        let ended = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            // Somebody writes to the target all the time.
            while stop.wait(timeout: .now()) == .timedOut {
                _ = try? writer.send([RedisCommand("SET", "key:1", "other")])
            }
            ended.signal()
        }
        let synced = try pair.run(RedisTask.sync)
        stop.signal()
        ended.wait()
        #expect(!synced.isEqual && synced.differences.map(\.key) == ["key:1"], "\(synced)")
        #expect(try pair.run(RedisTask.sync).isEqual)
    }

    @Test func keysThatExpireMeanwhileAreNoDifference() throws {
        let pair = try RedisPairFixture(method: .commands)
        let commands = (0..<4000).map { RedisCommand("SET", "k\($0)", "v", "PX", "\(100 + $0 / 2)") }
        _ = try pair.source.client().send(commands)
        try pair.source.run("SET stays 1")
        _ = try pair.run(RedisTask.copy)
        let first = try pair.run(RedisTask.verify)
        #expect(first.isEqual, "\(first.differences)")
        Thread.sleep(forTimeInterval: 2.2)
        let last = try pair.run(RedisTask.verify)
        #expect(last.isEqual)
        #expect(last.keysEqual == 1)
    }

    @Test func aTargetWithKeysIsRefused() throws {
        var pair = try RedisPairFixture()
        try pair.source.run("SET a 1", "SET both source")
        try pair.target.run("SET foreign 1", "SET both target")
        #expect(throws: BasculeError.self) { try pair.run(RedisTask.copy) }
        do { _ = try pair.run(RedisTask.copy) } catch let error as BasculeError {
            #expect(error.code == .redisTargetNotEmpty)
        }
        #expect(try pair.target.run("GET both")[0].text == "target")
        #expect(
            try pair.run(RedisTask.preflight).findings.contains { $0.code == .targetNotEmpty && $0.weight == .refuse })
        pair.move.existing = .merge
        _ = try pair.run(RedisTask.copy)
        _ = try pair.run(RedisTask.sync)
        #expect(try pair.target.run("GET foreign")[0].text == "1")
        #expect(try pair.target.run("GET both")[0].text == "source")
        #expect(try pair.run(RedisTask.verify).isEqual)
    }

    @Test func theSyncDeletesNothingOutsideItsPattern() throws {
        var pair = try RedisPairFixture()
        pair.move.keys = "cart:*"
        try pair.source.run("SET cart:1 a", "SET cart:2 b", "SET other 1")
        try pair.target.run("SET foreign 1")
        _ = try pair.run(RedisTask.copy)
        try pair.source.run("DEL cart:2")
        #expect(try pair.run(RedisTask.sync).keysDeleted == 1)
        #expect(try pair.target.run("EXISTS cart:1 cart:2 other foreign")[0].number == 2)
    }

    @Test func aCutCopyGoesOn() throws {
        var pair = try RedisPairFixture()
        try pair.fill()
        pair.move.batchKeys = 100
        let seen = Counter()
        #expect(throws: BasculeError.self) {
            try pair.run(RedisTask.copy, progress: { _ in seen.value += 1 }, isCancelled: { seen.value >= 5 })
        }
        let second = try pair.run(RedisTask.copy)
        #expect(second.keysRead < 1300)
        #expect(try pair.run(RedisTask.verify).isEqual)
    }

    @Test func aBrokenConnectionIsOpenedAnew() throws {
        var pair = try RedisPairFixture(method: .commands)
        try pair.fill()
        pair.move.batchKeys = 100
        let (source, target) = (pair.source, pair.target)
        let seen = Counter()
        _ = try pair.run(
            RedisTask.copy,
            progress: { _ in
                seen.value += 1
                if seen.value == 3 { _ = try? source.run("CLIENT KILL TYPE normal") }
                if seen.value == 6 { _ = try? target.run("CLIENT KILL TYPE normal") }
            })
        #expect(try pair.run(RedisTask.verify).isEqual)
    }

    @Test func preflightSaysWhatIsWrong() throws {
        var pair = try RedisPairFixture()
        try pair.source.run("SET a 1")
        let connection = try pair.source.client()
        try connection.call(RedisCommand("SELECT", "3"))
        try connection.call(RedisCommand("SET", "b", "1"))
        try pair.target.run("CONFIG SET maxmemory-policy allkeys-lru")
        let codes = try pair.run(RedisTask.preflight).findings.filter { $0.weight == .refuse }.map(\.code)
        #expect(Set(codes) == [.evictionPolicy, .otherDatabases])
        #expect(throws: BasculeError.self) { try pair.run(RedisTask.copy) }
        #expect(try pair.target.run("DBSIZE")[0].number == 0)
        pair.move.accept = [.otherDatabases]
        pair.move.purpose = .cache
        #expect(try pair.run(RedisTask.copy).keysWritten == 1)
    }

    @Test func aFullTargetIsSaid() throws {
        var pair = try RedisPairFixture(method: .commands)
        try pair.fill()
        pair.move.accept = [.memoryLimit]
        try pair.target.run("CONFIG SET maxmemory 1200000")
        let error = #expect(throws: BasculeError.self) { try pair.run(RedisTask.copy) }
        #expect(error?.code == .redisTargetFull)
    }
}

/// Counts in closures that may escape.
final class Counter {
    var value = 0
}
