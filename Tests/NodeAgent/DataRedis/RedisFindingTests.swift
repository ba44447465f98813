import BasculeModel
import BasculeNet
import Foundation
import Testing

@testable import BasculeData

/// Findings that a server can be brought to on this machine, by name and weight.
@Suite(.enabled(if: RedisFixture.isInstalled, "redis-server is not installed"), .serialized)
struct RedisFindingTests {
    private func expect(
        _ pair: RedisPairFixture, url: String? = nil, _ code: RedisFindingCode, _ weight: RedisFinding.Weight
    ) throws -> RedisReport {
        let report = try pair.run(RedisTask.preflight, url: url)
        #expect(report.findings.contains { $0.code == code && $0.weight == weight }, "\(report.findings)")
        return report
    }

    @Test func limitsAndWhatStaysBehindAreNamed() throws {
        let pair = try RedisPairFixture()
        try pair.fill()
        let library = "#!lua name=mine\nredis.register_function('f', function() return 1 end)"
        _ = try pair.source.client().call(RedisCommand("FUNCTION", "LOAD").with(Array(library.utf8)))
        let report = try expect(pair, .functions, .warn)
        #expect(report.method == .dump && report.keysRead > 1500)
        for code in [RedisFindingCode.versions, .bigKeys] { _ = try expect(pair, code, .info) }
        try pair.source.run("SETRANGE pad 8000000 x")
        try pair.target.run("CONFIG SET maxmemory 4000000")
        _ = try expect(pair, .memoryLimit, .refuse)
        var cache = pair
        cache.move.purpose = .cache
        _ = try expect(cache, .memoryLimit, .warn)
        _ = try expect(cache, .evictionPolicy, .warn)
    }

    /// A login that may neither dump nor ask for anything: values travel by commands, and compare by them.
    @Test func aNarrowLoginIsEnough() throws {
        let pair = try RedisPairFixture()
        try pair.fill()
        try pair.source.run(
            "ACL SETUSER narrow on >moves ~* +@read +@connection -dump -info -memory -pexpiretime +scan")
        let url = "redis://narrow:moves@127.0.0.1:\(pair.source.port)/0"
        _ = try expect(pair, url: url, .unknown, .warn)
        let report = try expect(pair, url: url, .payloadVersion, .info)
        #expect(report.method == .commands)
        #expect(try pair.run(RedisTask.copy, url: url).method == .commands)
        let verified = try pair.run(RedisTask.verify, url: url)
        #expect(verified.isEqual && verified.keysEqual > 1500, "\(verified.differences)")
        try pair.target.run("SET key:7 other")
        #expect(try pair.run(RedisTask.verify, url: url).differences.map(\.key) == ["key:7"])
    }

    /// Equal values that the servers write differently are equal all the same.
    @Test func equalValuesOfOtherEncodingsAreEqual() throws {
        let pair = try RedisPairFixture()
        try pair.target.run("CONFIG SET hash-max-listpack-entries 1", "CONFIG SET set-max-intset-entries 0")
        try pair.fill()
        let client = try pair.source.client()
        _ = try client.send((0..<3000).map { RedisCommand("HSET", "h:\($0)", "a", "\($0)", "b", "2", "c", "3") })
        try pair.source.run("SADD numbers 1 2 3", "SET repeated \(String(repeating: "ab", count: 500))")
        try pair.target.run("CONFIG SET rdbcompression no")
        _ = try pair.run(RedisTask.copy)
        let verified = try pair.run(RedisTask.verify)
        #expect(verified.isEqual && verified.keysDiffering == 0, "\(verified.differences)")
        try pair.target.run("HSET h:2999 c 4")
        #expect(try pair.run(RedisTask.verify).differences.map(\.key) == ["h:2999"])
    }

    @Test func aClusterIsRefused() throws {
        let cluster = try RedisFixture(
            "--cluster-enabled", "yes", "--cluster-port", "\(RedisFixture.freePort())")
        let pair = try RedisPairFixture()
        _ = try expect(pair, url: cluster.url, .cluster, .refuse)
    }
}
