import BasculeModel
import BasculeNet
import Foundation
import Testing

@testable import BasculeData

@Suite(.enabled(if: RedisFixture.isInstalled, "redis-server is not installed"), .serialized)
struct RedisFenceTests {
    @Test func usersLoseAndRegainTheirRights() throws {
        let pair = try RedisPairFixture()
        try pair.source.run(
            "ACL SETUSER shop on >pw ~* &* +@all -debug", "ACL SETUSER reader on >pw ~* -@all +@read +ping",
            "ACL SETUSER off-duty off >pw ~* +@all", "ACL SETUSER split on >pw -@all +@read ~* (+set ~only:*)")
        let before = try pair.source.run("ACL LIST")
        let open = try pair.source.client(user: "shop", password: "pw")
        try open.call(RedisCommand("SET", "a", "1"))

        let fence = try #require(try pair.run(RedisTask.fenceCapture).fence)
        guard case .users(let users) = fence else {
            Issue.record("not by users: \(fence)")
            return
        }
        #expect(Set(users.map(\.name)) == ["default", "shop", "reader", "split"])
        #expect(try pair.run { .fenceProve($0, fence) }.fenceProofs.contains { !$0.refused })
        for _ in 0..<2 { _ = try pair.run { .fenceAcquire($0, fence, seconds: 30) } }
        // A session that was open before, too.
        #expect(try open.answer(of: RedisCommand("SET", "a", "2")).refusalText?.hasPrefix("NOPERM") == true)
        let split = try pair.source.client(user: "split", password: "pw")
        #expect(try split.answer(of: RedisCommand("SET", "only:1", "2")).refusalText?.hasPrefix("NOPERM") == true)
        let proofs = try pair.run { .fenceProve($0, fence) }.fenceProofs
        #expect(proofs.count == 5)
        #expect(!proofs.map(\.refused).contains(false), "\(proofs)")
        // The movers still read.
        _ = try pair.run(RedisTask.copy)
        #expect(try pair.run(RedisTask.verify).isEqual)
        for _ in 0..<2 { _ = try pair.run { .fenceRelease($0, fence) } }
        try open.call(RedisCommand("SET", "a", "3"))
        #expect(try pair.source.run("ACL LIST") == before)
    }

    @Test func aLoginMadeSinceTheCaptureIsFoundByTheProof() throws {
        let pair = try RedisPairFixture()
        let fence = try #require(try pair.run(RedisTask.fenceCapture).fence)
        try pair.source.run(
            "ACL SETUSER latecomer on >pw ~* &* +@all", "ACL SETUSER looker on >pw ~* -@all +@read",
            "ACL SETUSER elsewhere on >pw ~shop:* +@all", "ACL SETUSER hasher on >pw ~* -@all +hset",
            "ACL SETUSER off-duty off >pw ~* +@all")
        _ = try pair.run { .fenceAcquire($0, fence, seconds: 30) }
        let proofs = try pair.run { .fenceProve($0, fence) }.fenceProofs
        #expect(Set(proofs.filter { !$0.refused }.map(\.writer)) == ["latecomer", "elsewhere", "hasher"], "\(proofs)")
        _ = try pair.run { .fenceRelease($0, fence) }
    }

    @Test func whereUsersCannotBeChangedWritersArePaused() throws {
        let pair = try RedisPairFixture()
        try pair.source.run("ACL SETUSER shop on >pw ~* &* +@all -acl")
        let url = "redis://shop:pw@127.0.0.1:\(pair.source.port)"
        let fence = try #require(try pair.run(RedisTask.fenceCapture, url: url).fence)
        #expect(fence == .pause)
        let held = try pair.run({ .fenceAcquire($0, fence, seconds: 20) }, url: url)
        #expect(try #require(held.fenceExpires) > RedisClock.now() / 1000 + 15)
        let proofs = try pair.run({ .fenceProve($0, fence) }, url: url).fenceProofs
        #expect(proofs.map(\.refused) == [true])
        _ = try pair.run({ .fenceRelease($0, fence) }, url: url)
        try pair.source.run("SET a 1")
        #expect(try pair.run({ .fenceProve($0, fence) }, url: url).fenceProofs.map(\.refused) == [false])
    }

    @Test func whoMayDoNeitherIsTold() throws {
        let pair = try RedisPairFixture()
        try pair.source.run("ACL SETUSER shop on >pw ~* &* +@all -acl -client")
        let url = "redis://shop:pw@127.0.0.1:\(pair.source.port)"
        let fence = try #require(try pair.run(RedisTask.fenceCapture, url: url).fence)
        guard case .impossible = fence else {
            Issue.record("possible: \(fence)")
            return
        }
        let error = #expect(throws: BasculeError.self) {
            try pair.run({ .fenceAcquire($0, fence, seconds: 20) }, url: url)
        }
        #expect(error?.code == .redisFenceFailed)
        #expect(error.map { "\($0)".contains("pw") } == false)
    }
}
