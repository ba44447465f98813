import BasculeModel
import BasculeNet
import Testing

@testable import BasculeData

/// A peer that sends what it is given, so many bytes at a time.
private final class ScriptedStream: ByteStream, @unchecked Sendable {
    let peer = "script"
    private var left: ArraySlice<UInt8>
    private let step: Int

    init(_ text: String, step: Int) {
        left = Array(text.utf8)[...]
        self.step = step
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline) -> Int {
        let part = left.prefix(min(step, buffer.count))
        buffer.copyBytes(from: part)
        left = left.dropFirst(part.count)
        return part.count
    }

    func write(_ bytes: UnsafeRawBufferPointer, deadline: Deadline) {}
    func close() {}
}

struct RedisCodecTests {
    private func replies(_ text: String, count: Int, step: Int, limits: RedisLimits = RedisLimits()) throws
        -> [RedisValue]
    {
        let stream = ScriptedStream(text, step: step)
        var reader = RedisReplyReader(limits: limits)
        return try (0..<count).map { _ in try reader.next(from: stream, deadline: .seconds(5)) }
    }

    @Test(arguments: [1, 2, 3, 7, 100_000])
    func repliesArriveInAnyPieces(step: Int) throws {
        let long = String(repeating: "x", count: 70_000)
        let text =
            "+OK\r\n-ERR no\r\n:-42\r\n$-1\r\n*-1\r\n$0\r\n\r\n*2\r\n$3\r\na\r\n\r\n*1\r\n:7\r\n$70000\r\n\(long)\r\n+end\r\n"
        let expected: [RedisValue] = [
            .simple("OK"), .error("ERR no"), .integer(-42), .null, .null, .bulk([]),
            .array([.bulk(Array("a\r\n".utf8)), .array([.integer(7)])]), .bulk(Array(long.utf8)), .simple("end"),
        ]
        #expect(try replies(text, count: 9, step: step) == expected)
    }

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\n", "$999999999999\r\n", "*99999999999\r\n", ":abc\r\n", "$3\r\nabcd\r\n", "+OK\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "$5\r\nab", "",
    ])
    func aStrangerCannotHarm(text: String) {
        #expect(throws: BasculeError.self) { try replies(text, count: 1, step: 3) }
    }

    @Test func anEndlessLineEnds() {
        #expect(throws: BasculeError.self) {
            try replies("+" + String(repeating: "x", count: 200_000), count: 1, step: 5000)
        }
    }

    @Test func addresses() throws {
        let full = try RedisAddress(url: Secret("rediss://app:p%40ss%3A%2F@cache.example:6380/2?x=1"))
        #expect(full.endpoint == .host("cache.example", port: 6380))
        #expect(full.tlsName == "cache.example")
        #expect(full.user == "app")
        #expect(full.password == Secret("p@ss:/"))
        #expect(full.database == 2)
        #expect(!"\(full)".contains("app"))
        #expect(full.isExposed == false)
        let bare = try RedisAddress(url: Secret("redis://:pw@[::1]"))
        #expect(bare.endpoint == .host("::1", port: 6379))
        #expect(bare.user == nil)
        #expect(try RedisAddress(url: Secret("redis://h.example")).isExposed)
    }

    @Test(arguments: [
        "", "hunter2", "http://hunter2@h", "redis://hunter2@", "redis://h:0", "redis://u:hunter2%2@h", "redis://h/x",
    ])
    func badAddressesAreRefusedWithoutRepeatingThem(url: String) {
        let error = #expect(throws: BasculeError.self) { try RedisAddress(url: Secret(url)) }
        #expect(error?.code == .redisAddressInvalid)
        #expect(error.map { "\($0)".contains("hunter2") } == false)
    }

    @Test func digestsIgnoreOrderAndSpelling() {
        let state = RedisKeyState(key: [1], type: .sortedSet, expiry: nil, size: nil)
        func digest(_ parts: RedisPart..., pages: Bool = false) -> UInt128 {
            var digest = RedisValueDigest(pages: pages)
            for part in parts { digest.take(part) }
            return digest.finish(state)
        }
        func words(_ text: String) -> [[UInt8]] { text.split(separator: " ").map { Array($0.utf8) } }
        #expect(digest(.scores(words("a 0.1 b inf"))) == digest(.scores(words("b inf a 0.10000000000000001"))))
        #expect(digest(.scores(words("a 0.1"))) != digest(.scores(words("a 0.2"))))
        #expect(digest(.members(words("a b b"))) != digest(.members(words("a"))))
        #expect(digest(.members(words("a b")), .members(words("b")), pages: true) == digest(.members(words("b a"))))
        #expect(digest(.elements(words("a b"))) != digest(.elements(words("b a"))))
        #expect(digest(.elements(words("ab c"))) != digest(.elements(words("a bc"))))
        #expect(digest(.fields(words("f 1 g 2"))) != digest(.fields(words("f 2 g 1"))))
    }
}
