import BasculeModel
import BasculeTesting
import BasculeNet
import BasculeStore
import Foundation
import Glibc
import Testing

@testable import BasculeCommands

@Suite struct BenchTests {
    private func measured(_ side: Benchmark.Side, p95: Double = 100, throughput: Double = 80, errors: Double = 0)
        -> Benchmark
    {
        Benchmark(
            side: side, time: 1, urls: ["http://a/"], seconds: 30, concurrency: 8, requests: 100, p50: 50, p95: p95,
            p99: 999.9, throughput: throughput, serverErrors: errors, unanswered: 0, limited: 0, refused: 0)
    }

    /// The guide's seven rows and its targets.
    @Test func theTableIsTheGuides() {
        let table = BenchTable(before: nil, after: nil)
        #expect(
            table.rows.map(\.target) == ["< 100", "< 500", "< 1000", "> 50", "< 0.1", "< 50", "> 80"])
        #expect(table.unmeasured == 7 && table.missed == 0)
    }

    @Test func aVerdictARow() {
        var after = measured(.after, p95: 500, throughput: 50, errors: 0.1)
        after.database = .init(12, origin: "database shop on vps1, 9 transactions during the load")
        after.hitRate = .init(80.1, origin: "as given")
        let table = BenchTable(before: measured(.before, p95: 740), after: after)
        // Exactly the limit is not beyond it.
        #expect(table.rows.map(\.met) == [true, false, true, false, false, true, true])
        #expect(table.rows[1].before == 740 && table.rows[5].before == nil)
        let text = table.lines.joined(separator: "\n")
        for part in [
            "latency p95", "740 ms", "< 500 ms", "500 ms", "missed", "3 of 7 targets missed", "9 transactions",
        ] {
            #expect(text.contains(part), "\(part)\n\(text)")
        }
    }

    @Test func measurementsAreKept() throws {
        let path = NSTemporaryDirectory() + "bascule-bench-\(UUID().uuidString).db"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = try Store(path: path)
        #expect(try store.benchmark(.before) == nil)
        for (side, p95) in [(Benchmark.Side.before, 1.0), (.after, 2), (.after, 3)] {
            try store.add(measured(side, p95: p95))
        }
        #expect(try store.benchmark(.after)?.p95 == 3 && store.benchmark(.before) == measured(.before, p95: 1))
    }

    /// A server that answers every fourth request with 500, every fifth with 429, and hangs up on every seventh.
    @Test func aLoadIsCountedAsItWas() throws {
        let server = try SmallServer { number in
            number % 7 == 6 ? nil : number % 5 == 4 ? 429 : number % 4 == 3 ? 500 : 200
        }
        defer { server.stop() }
        var load = Load(urls: ["http://shop.example/a", "http://shop.example/b"], seconds: 1, concurrency: 4)
        load.connectTo = .host("127.0.0.1", port: server.port)
        try load.check()
        let result = load.run()
        #expect(result.requests > 20 && result.seconds >= 1 && result.seconds < 30, "\(result.requests)")
        #expect(result.good.count > 0 && result.serverErrors > 0 && result.limited > 0 && result.unanswered > 0)
        #expect(result.refused == 0 && result.reason != nil)
        #expect(server.paths == ["/a", "/b"])
    }

    @Test func aLoadIsNoFasterThanAsked() throws {
        let server = try SmallServer { _ in 200 }
        defer { server.stop() }
        var load = Load(urls: ["http://127.0.0.1:\(server.port)/"], seconds: 1, concurrency: 8, rate: 20)
        load.timeout = 5
        let result = load.run()
        #expect((1...21).contains(result.requests), "\(result.requests)")
    }

    @Test func whatIsNotThereIsNotMeasured() throws {
        let server = try SmallServer { _ in 404 }
        defer { server.stop() }
        let error = #expect(throws: BasculeError.self) {
            try Load(urls: ["http://127.0.0.1:\(server.port)/x"], seconds: 1, concurrency: 1).check()
        }
        #expect(error?.message.contains("404") == true)
    }

    @Test(arguments: [
        ["--as", "after"], ["--url", "u"], ["--url", "u", "--as", "between"],
        ["--url", "u", "--as", "after", "--seconds", "0"], ["--url", "u", "--as", "after", "--concurrency", "1000"],
        ["--url", "u", "--as", "after", "--rate", "0"], ["--url", "u", "--as", "before", "--hit-rate", "101"],
        ["--url", "u", "--as", "after", "--connect-to", "nowhere"],
    ])
    func nonsenseIsRefused(_ words: [String]) {
        #expect(throws: (any Error).self) { _ = try BenchRun.parseAsRoot(words) }
    }
}

/// Answers each request with the status that its number gets, or hangs up.
private final class SmallServer: Sendable {
    private final class Log: @unchecked Sendable {
        private let lock = NSLock()
        private var count = 0
        private var seen: Set<String> = []

        var paths: Set<String> { lock.withLock { seen } }

        /// The request's number, from 0.
        func note(_ path: String) -> Int {
            lock.withLock {
                seen.insert(path)
                count += 1
                return count - 1
            }
        }
    }

    private let log = Log()
    private let listener: LoopbackListener

    var port: UInt16 { listener.port }
    var paths: Set<String> { log.paths }

    init(_ status: @escaping @Sendable (Int) -> Int?) throws {
        listener = try LoopbackListener { [log] in Self.serve($0, status, log) }
    }

    func stop() { listener.stop() }

    private static func serve(_ peer: Int32, _ status: (Int) -> Int?, _ log: Log) {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            var heard = ""
            while !heard.contains("\r\n\r\n") {
                let count = recv(peer, &buffer, buffer.count, 0)
                guard count > 0 else { return }
                heard += String(decoding: buffer.prefix(count), as: UTF8.self)
            }
            let path = String(heard.split(separator: " ").dropFirst().first ?? "")
            guard let status = status(log.note(path)) else { return }
            let answer = Array("HTTP/1.1 \(status) x\r\nContent-Length: 2\r\n\r\nok".utf8)
            guard send(peer, answer, answer.count, Int32(MSG_NOSIGNAL)) == answer.count else { return }
        }
    }
}
