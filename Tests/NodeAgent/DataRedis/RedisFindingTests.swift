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

    /// A target that takes nothing more is a finding like any other, and no failure of the preflight.
    @Test func aFullTargetIsNamed() throws {
        let pair = try RedisPairFixture()
        try pair.source.run("SET a b")
        try pair.target.run("CONFIG SET maxmemory 1")
        let report = try expect(pair, .memoryLimit, .refuse)
        #expect(report.findings.filter { $0.code == .memoryLimit }.map(\.message).first?.contains("takes not") == true)
        let error = #expect(throws: BasculeError.self) { try pair.run(RedisTask.copy) }
        #expect(error?.code == .redisMoveRefused && error?.cause?.contains("memoryLimit") == true)
    }

    /// Of a real module: refused by name, left behind and told where that was accepted, moved where the target has it.
    @Test func aModulesKeysAreNamed() throws {
        let (library, folder) = try RedisFixture.built("redis-type")
        defer { try? FileManager.default.removeItem(at: folder) }
        let source = try RedisFixture("--loadmodule", library)
        try source.run("SET plain x", "BASCULE.MAKE odd 42", "BASCULE.MAKE other 43")
        var pair = try RedisPairFixture(source: source)
        let report = try expect(pair, .unsupportedTypes, .refuse)
        let said = report.findings.first { $0.code == .unsupportedTypes }?.message ?? ""
        #expect(said.hasPrefix("The target cannot hold 2 keys of type bascule-t, such as o"), "\(said)")
        let refused = #expect(throws: BasculeError.self) { try pair.run(RedisTask.copy) }
        #expect(refused?.code == .redisTypeUnsupported)
        pair.move.accept = [.unsupportedTypes]
        _ = try expect(pair, .unsupportedTypes, .warn)
        let copied = try pair.run(RedisTask.copy)
        #expect(copied.keysWritten == 1 && copied.keysDiffering == 2, "\(copied)")
        #expect(Set(copied.differences.map(\.key)) == ["odd", "other"])
        var whole = try RedisPairFixture(source: source, target: RedisFixture("--loadmodule", library))
        whole.move.method = .dump
        #expect(try !whole.run(RedisTask.preflight).findings.contains { $0.code == .unsupportedTypes })
        #expect(try whole.run(RedisTask.copy).keysWritten == 3)
        #expect(try whole.run(RedisTask.verify).isEqual)
        try source.run("BASCULE.MAKE odd 44")
        #expect(try whole.run(RedisTask.verify).differences.map(\.key) == ["odd"])
    }

    @Test func whatDoesNotConnectSaysWhatToDo() throws {
        let pair = try RedisPairFixture()
        func failure(_ url: String) -> BasculeError? {
            #expect(throws: BasculeError.self) { try pair.run(RedisTask.preflight, url: url) }
        }
        let base = "redis://:sEcret@127.0.0.1"
        let dead = failure("\(base):1/0")
        #expect(dead?.code == .connectFailed && dead?.hint?.contains("listens") == true, "\(dead as Any)")
        try pair.source.run("CONFIG SET requirepass other")
        let wrong = failure("\(base):\(pair.source.port)/0")
        #expect(wrong?.code == .redisLoginRefused && wrong?.hint?.contains("password") == true, "\(wrong as Any)")
        let number = failure("redis://:other@127.0.0.1:\(pair.source.port)/99")
        #expect(number?.code == .redisRefused && number?.hint?.contains("number") == true, "\(number as Any)")
        for error in [dead, wrong, number] {
            #expect(!"\(error as Any)".contains("sEcret") && error?.place != nil, "\(error as Any)")
        }
    }

    @Test func clocksThatDifferAreNamed() throws {
        let (library, folder) = try RedisFixture.built("clock-shift")
        defer { try? FileManager.default.removeItem(at: folder) }
        let late = try RedisFixture(environment: ["LD_PRELOAD": library, "CLOCK_SHIFT": "-90"])
        let pair = try RedisPairFixture(target: late)
        let report = try expect(pair, .clockSkew, .warn)
        let said = report.findings.first { $0.code == .clockSkew }?.message ?? ""
        #expect(["differ by 89", "differ by 90"].contains { said.contains($0) }, "\(said)")
        let together = try RedisPairFixture().run(RedisTask.preflight)
        #expect(!together.findings.contains { $0.code == .clockSkew })
    }

    /// Redis 7.4, which counts such fields, is not in Debian: what its INFO says is judged as it says it.
    @Test(arguments: [
        ("keys=3,expires=0,avg_ttl=0,subexpiry=2", "7.0.15", RedisMethod.dump, true),
        ("keys=3,expires=0,avg_ttl=0,subexpiry=2", "7.4.0", .dump, false),
        ("keys=3,expires=0,avg_ttl=0,subexpiry=2", "8.0.1", .dump, false),
        ("keys=3,expires=0,avg_ttl=0,subexpiry=2", "7.4.0", .commands, true),
        ("keys=3,expires=0,avg_ttl=0,subexpiry=0", "7.0.15", .dump, false),
        ("keys=3,expires=3,avg_ttl=0", "6.2.0", .dump, false),
    ])
    func expiriesOfFieldsAreNamed(database: String, version: String, method: RedisMethod, isRefused: Bool) {
        let found = RedisCensus.fieldExpiries(["db0": database], method, target: ["redis_version": version])
        #expect(found.map(\.code) == (isRefused ? [.fieldExpiries] : []))
        #expect(found.allSatisfy { $0.weight == .refuse && $0.message.contains(version) })
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
