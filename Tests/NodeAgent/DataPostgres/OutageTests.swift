import BasculeData
import BasculeModel
import BasculePostgres
import BasculeTesting
import Foundation
import Testing

extension AgainstServers {
    /// The part of the write outage that grows, or does not, with the database: from the last write that the fenced
    /// source accepted to the first that the target accepts, with fence, proof of the fence, sync and comparison between
    /// them, each in a process of its own as the agent runs them. `BASCULE_SCALE` is pgbench's (70 is about 1 GB).
    @Suite(
        .enabled(
            if: ProcessInfo.processInfo.environment["BASCULE_TEST_ALL"] == "1" && BuiltAgent.exists, "takes minutes"))
    struct OutageTests {
        @Test func theOutageDoesNotGrowWithTheDatabase() throws {
            let scale = ProcessInfo.processInfo.environment["BASCULE_SCALE"] ?? "70"
            var pair = try Pair("outage", "SELECT 1")
            defer {
                _ = try? pair.follow(.end)
                for cluster in [pair.source, pair.target] {
                    _ = try? cluster.connect("postgres").query("DROP DATABASE outage WITH (FORCE)")
                }
            }
            pair.move.follow = PostgresFollow(mode: .always)
            try bench(pair, ["-i", "-q", "-s", scale]).finish()
            let source = try pair.source.connect("outage")
            try source.script(
                """
                CREATE TABLE beats (id bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp());
                ALTER TABLE beats OWNER TO shop; GRANT INSERT ON beats TO app; GRANT USAGE ON SEQUENCE beats_id_seq TO app;
                GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;
                """)
            for table in ["accounts", "branches", "tellers", "history"] {
                try source.query("ALTER TABLE pgbench_\(table) OWNER TO shop")
            }
            let size = try source.query("SELECT pg_size_pretty(pg_database_size('outage'))").scalar ?? ""
            let load = try bench(pair, ["-n", "-R", "200", "-c", "4", "-T", "3600", "-U", "app"])
            defer { load.stop() }
            _ = try done(.copy(pair.move), pair)
            guard case .followed(let proof) = try done(.follow(.prove, pair.move), pair) else { throw Unexpected() }
            #expect(proof.isFollowing && proof.reloaded.isEmpty, "\(proof)")
            // Writes between proof and fence, as many as half a minute brings; the agent keeps a follower running
            // meanwhile, which rests while a task works on the database.
            let keeper = try Mover(.follow(.keep, pair.move), secret: pair.url().reveal())
            Thread.sleep(forTimeInterval: 30)
            let beats = Beats(pair)
            defer { beats.stop() }
            Thread.sleep(forTimeInterval: 1)
            keeper.kill()
            _ = try keeper.report()
            guard case .captured(let fence) = try done(.fenceCapture(pair.move), pair) else { throw Unexpected() }
            _ = try done(.fenceAcquire(pair.move, fence), pair)
            _ = try done(.fenceProve(pair.move, fence), pair)
            guard case .synced(let synced) = try done(.sync(pair.move), pair) else { throw Unexpected() }
            guard case .followed(let changed) = try done(.follow(.changed, pair.move), pair) else { throw Unexpected() }
            beats.open()
            let outage = try #require(beats.outage())
            beats.stop()
            #expect(synced.followed != nil && changed.verification?.isEqual == true, "\(changed)")
            print(
                "outage \(Int(outage * 1000)) ms at \(size), 200 transactions/s: sync \(Int(synced.seconds * 1000)) ms, \(changed.keys) touched rows and \(synced.recopied.count) tables again, compared in \(Int(changed.seconds * 1000)) ms"
            )
            #expect(outage < 3)
            #expect(try pair.verify().differingTables.filter { $0 != "public.beats" }.isEmpty)
            _ = try pair.run(.fenceRelease(pair.move, fence))
        }

        private func done(_ task: PostgresTask, _ pair: Pair) throws -> PostgresReport {
            let start = Date()
            guard let report = try Mover(task, secret: pair.url().reveal()).report() else { throw Unexpected() }
            print("  \(Int(Date().timeIntervalSince(start) * 1000)) ms \("\(task)".prefix(24))")
            return report
        }

        private func bench(_ pair: Pair, _ arguments: [String]) throws -> Bench {
            try Bench(
                ["-h", pair.source.socket, "-p", "\(pair.source.port)"]
                    + (arguments.contains("-U") ? [] : ["-U", "postgres"]) + arguments + ["outage"])
        }
    }

    private final class Bench {
        private let process = Process()

        init(_ arguments: [String]) throws {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/pgbench")
            process.arguments = arguments
            process.standardOutput = FileHandle(forWritingAtPath: "/dev/null")
            process.standardError = FileHandle(forWritingAtPath: "/dev/null")
            try process.run()
        }

        func finish() { process.waitUntilExit() }
        func stop() {
            process.terminate()
            process.waitUntilExit()
        }
    }

    /// Writes a row every few milliseconds: at the source until it is refused, then at the target once that is open.
    private final class Beats: @unchecked Sendable {
        private let lock = NSLock()
        private var lastOld = 0.0
        private var firstNew: Double?
        private var isOpen = false
        private var isStopped = false

        init(_ pair: Pair) {
            let (source, target) = (pair.source, pair.target)
            Thread.detachNewThread { [self] in
                guard let old = try? source.connect("outage", as: "app") else { return }
                while !locked({ isStopped }) {
                    do { try old.query("INSERT INTO beats DEFAULT VALUES") } catch { break }
                    locked { lastOld = Date().timeIntervalSinceReferenceDate }
                    usleep(3000)
                }
                guard let new = try? target.connect("outage"), (try? new.query("SET ROLE app")) != nil else { return }
                while !locked({ isStopped || isOpen }) { usleep(1000) }
                while !locked({ isStopped }) {
                    if (try? new.query("INSERT INTO beats DEFAULT VALUES")) != nil {
                        locked { firstNew = Date().timeIntervalSinceReferenceDate }
                        return
                    }
                    usleep(3000)
                }
            }
        }

        func open() { locked { isOpen = true } }
        func stop() { locked { isStopped = true } }

        /// In seconds; waits for the first new write.
        func outage() -> Double? {
            let until = Date().addingTimeInterval(20)
            while Date() < until {
                if let first = locked({ firstNew }) { return first - locked { lastOld } }
                usleep(5000)
            }
            return nil
        }

        @discardableResult
        private func locked<T>(_ body: () -> T) -> T { lock.withLock(body) }
    }
}
