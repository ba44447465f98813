import BasculeData
import BasculeModel
import BasculePostgres
import BasculeTesting
import Foundation
import Testing

extension AgainstServers {
    /// Whole moves of a source that is written to all the time, some with a `kill -9` in the middle, which the seed
    /// chooses: of the agent's child at a step and a moment, or of the source's server. `BASCULE_SEED` repeats one.
    @Suite(.enabled(if: BuiltAgent.exists, "needs the agent: BASCULE_AGENTS"))
    struct FollowRunTests {
        private static let environment = ProcessInfo.processInfo.environment

        @Test func noRowIsLostOrDoubled() throws {
            let seed = Self.environment["BASCULE_SEED"].flatMap { UInt64($0) } ?? .random(in: 1...999_999)
            // Every other run is disturbed; where there is time for one only, it is.
            for number in Self.environment["BASCULE_TEST_ALL"] == "1" ? 0..<20 : 1..<2 {
                try run(number, seed: seed + UInt64(number), disturbed: number % 2 == 1)
            }
        }

        /// A generator that a seed repeats.
        private struct Seeded: RandomNumberGenerator {
            var state: UInt64
            mutating func next() -> UInt64 {
                state &+= 0x9e37_79b9_7f4a_7c15
                var z = state
                z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
                z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
                return z ^ (z >> 31)
            }
        }

        private func run(_ number: Int, seed: UInt64, disturbed: Bool) throws {
            var seeded = Seeded(state: seed)
            var pair = try Pair("run\(number)", Writer.schema)
            pair.move.follow = PostgresFollow(mode: .auto)
            try pair.source.connect(pair.name).query(
                "INSERT INTO orders (customer, total, note) SELECT 1, i, repeat('y', 400) FROM generate_series(1, 60000) i"
            )
            let (name, source) = (pair.name, pair.source)
            let writer = Writer { try source.connect(name, as: "app") }
            defer {
                writer.stop()
                _ = try? pair.follow(.end)
            }
            writer.wrote(10)
            let steps = ["copy", "prove", "acquire", "sync", "changed"]
            let victim = disturbed ? steps[Int.random(in: 0..<steps.count, using: &seeded)] : ""
            let moment = Double.random(in: 0.02...1.2, using: &seeded)
            let ofTheSource = disturbed && Int.random(in: 0..<3, using: &seeded) == 0
            var killed = false
            func step(_ title: String, _ task: PostgresTask) throws -> PostgresReport {
                for _ in 0..<6 {
                    let mover = try Mover(task, secret: pair.url().reveal())
                    if title == victim, !killed {
                        killed = true
                        Thread.sleep(forTimeInterval: moment)
                        if ofTheSource { try source.crash() } else { mover.kill() }
                    }
                    do { if let report = try mover.report() { return report } } catch let error as BasculeError {
                        guard killed, title == victim else { throw error }
                    }
                }
                throw BasculeError(.defect, "\(title) does not end after a kill")
            }
            let said = "run \(number), BASCULE_SEED=\(seed): \(victim) at \(moment) s, source: \(ofTheSource)"
            _ = try step("copy", .copy(pair.move))
            writer.wrote(20)
            _ = try step("prove", .follow(.prove, pair.move))
            writer.wrote(20)
            guard case .captured(let fence) = try step("capture", .fenceCapture(pair.move)) else { throw Unexpected() }
            _ = try step("acquire", .fenceAcquire(pair.move, fence))
            guard case .synced(let synced) = try step("sync", .sync(pair.move)) else { throw Unexpected() }
            guard case .followed(let changed) = try step("changed", .follow(.changed, pair.move)) else {
                throw Unexpected()
            }
            writer.stop()
            let found = try #require(changed.verification)
            #expect(found.differingTables.isEmpty && found.shapeDifferences.isEmpty, "\(said): \(changed)")
            // A server that crashed skips values of a sequence that it had set aside: none was given out.
            #expect(found.differingSequences.isEmpty || ofTheSource, "\(said): \(changed)")
            #expect(disturbed || synced.followed != nil, "\(said)")
            let all = try pair.verify()
            #expect(all.differingTables.isEmpty && all.shapeDifferences.isEmpty, "\(said): \(all)")
            #expect(all.differingSequences.isEmpty || ofTheSource, "\(said): \(all)")
            let target = try pair.target.connect(pair.name)
            let there = Set(try target.query("SELECT id::text FROM orders").rows.compactMap { $0[0] })
            #expect(there.isSuperset(of: writer.accepted) && writer.accepted.count > 40, "\(said)")
            _ = try pair.follow(.end)
            #expect(try pair.leftovers(pair.source).isEmpty && pair.leftovers(pair.target).isEmpty, "\(said)")
            _ = try pair.run(.fenceRelease(pair.move, fence))
            for cluster in [pair.source, pair.target] {
                try cluster.connect("postgres").query("DROP DATABASE \(pair.name) WITH (FORCE)")
            }
            print(
                "\(said); \(writer.accepted.count) orders, \(changed.keys) touched rows compared, followed: \(synced.followed != nil)"
            )
        }
    }
}

/// A data task in a process of its own, as the agent runs it.
final class Mover {
    private struct Job: Codable {
        var task: DataTask
        var secrets: [SecretName: String]
    }

    private enum Answer: Codable {
        case report(DataReport)
        case failed(BasculeError)
    }

    private let process = Process()
    private let output = Pipe()

    init(_ task: PostgresTask, secret: String) throws {
        let input = Pipe()
        process.executableURL = URL(fileURLWithPath: BuiltAgent.path ?? "")
        process.arguments = ["task"]
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle(forWritingAtPath: "/dev/null")
        try process.run()
        try input.fileHandleForWriting.write(
            contentsOf: JSONEncoder().encode(Job(task: .postgres(task), secrets: [task.move.source: secret])))
        try input.fileHandleForWriting.close()
    }

    func kill() { Foundation.kill(process.processIdentifier, SIGKILL) }

    /// nil where it was killed.
    func report() throws -> PostgresReport? {
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard !bytes.isEmpty else { return nil }
        switch try JSONDecoder().decode(Answer.self, from: bytes) {
        case .report(.postgres(let report)): return report
        case .report: throw Unexpected()
        case .failed(let error): throw error
        }
    }
}
