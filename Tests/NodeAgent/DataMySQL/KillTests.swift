import BasculeData
import BasculeModel
import BasculePostgres
import BasculeTesting
import Foundation
import Synchronization
import Testing

extension MySQLToPostgres {
    /// The agent's child is killed with `kill -9` in the middle, and the same task run again.
    @Suite(
        .enabled(if: BuiltAgent.exists, "needs the agent: BASCULE_AGENTS"),
        .enabled(
            if: ProcessInfo.processInfo.environment["BASCULE_TEST_ALL"] == "1", "takes seconds: BASCULE_TEST_ALL=1"))
    struct KillTests {
        @Test func aKilledCopyAndAKilledSyncLoseAndDoubleNothing() throws {
            let crossing = try Crossing(
                "killed",
                """
                CREATE TABLE first (id INT PRIMARY KEY);
                INSERT INTO first VALUES (1), (2);
                CREATE TABLE large (id INT PRIMARY KEY, t TEXT);
                INSERT INTO large SELECT seq, REPEAT('x', 600) FROM seq_1_to_30000;

                """)
            #expect(try KilledMover(.copy, crossing).wasKilled(atReading: 1))
            try idle(crossing)
            #expect(try crossing.scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0")
            try losesItsSource(crossing)
            #expect(try crossing.run(.copy).rows == 30_002)
            try crossing.source.script(
                "killed",
                """
                UPDATE large SET t = 'new' WHERE id % 2 = 0;
                DELETE FROM large WHERE id % 7 = 0;
                INSERT INTO first VALUES (3);

                """)
            #expect(try KilledMover(.sync, crossing).wasKilled(atReading: 1))
            try idle(crossing)
            let kept = try crossing.rows("SELECT (SELECT count(*) FROM first), count(*), max(length(t)) FROM large")
            #expect(kept == [["2", "30000", "600"]], "as it was before")
            #expect(Set(try crossing.run(.sync).tables.map(\.table)) == ["first", "large"])
            let check = try crossing.run(.validate)
            #expect(check.isEqual && check.rows == 3 + 30_000 - 30_000 / 7, "\(check)")
            try crossing.run(.finish)
            let left = try crossing.rows(
                """
                SELECT nspname::text FROM pg_namespace WHERE nspname LIKE '%bascule%' UNION ALL
                SELECT rolname::text FROM pg_roles WHERE rolname LIKE '%bascule%'
                """)
            #expect(left.isEmpty, "\(left)")
        }

        /// The source's server ends the session in the middle of a copy.
        private func losesItsSource(_ crossing: Crossing) throws {
            let (server, name) = (crossing.source, crossing.name)
            let cut = Atomic(false)
            let failure = #expect(throws: BasculeError.self) {
                try MySQLMover.run(
                    MySQLTask(.copy, crossing.move), resolve: { _ in server.url(name) },
                    progress: {
                        guard $0.subject == "large", $0.rows > 0, !cut.exchange(true, ordering: .relaxed),
                            let root = try? server.connect()
                        else { return }
                        let ids = try? root.query("SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '\(name)'")
                        for row in ids ?? [] { _ = try? root.query("KILL \(row[0] ?? "0")") }
                    })
            }
            let wasCut = cut.load(ordering: .relaxed)
            #expect(wasCut, "\(String(describing: failure))")
            #expect(try crossing.scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0")
        }

        /// Waits until the target's server has noticed that its client is gone.
        private func idle(_ crossing: Crossing) throws {
            let sql = """
                SELECT count(*) FROM pg_stat_activity WHERE datname = '\(crossing.name)' AND pid <> pg_backend_pid()
                    AND backend_type = 'client backend'
                """
            let watching = try crossing.target.connect(crossing.name)
            let until = Date().addingTimeInterval(30)
            while try watching.query(sql).scalar != "0", Date() < until { usleep(20_000) }
            #expect(try watching.query(sql).scalar == "0")
        }
    }
}

/// A task in a process of its own, as the agent runs it.
private final class KilledMover {
    private struct Job: Codable {
        var task: DataTask
        var secrets: [SecretName: String]
    }

    private let process = Process()
    private let (output, told) = (Pipe(), Pipe())

    init(_ verb: MySQLTask.Verb, _ crossing: Crossing) throws {
        let input = Pipe()
        process.executableURL = URL(fileURLWithPath: BuiltAgent.path ?? "")
        process.arguments = ["task"]
        (process.standardInput, process.standardOutput, process.standardError) = (input, output, told)
        try process.run()
        let task = DataTask.mysql(MySQLTask(verb, crossing.move))
        let secrets = [crossing.move.source: crossing.source.url(crossing.name).reveal()]
        try input.fileHandleForWriting.write(contentsOf: JSONEncoder().encode(Job(task: task, secrets: secrets)))
        try input.fileHandleForWriting.close()
    }

    /// Kills it when it tells of rows of `large` in its nth reading of them. False where it ended before.
    func wasKilled(atReading wanted: Int) throws -> Bool {
        var text = ""
        var (reading, last) = (0, Int64.max)
        while case let data = told.fileHandleForReading.availableData, !data.isEmpty {
            text += String(decoding: data, as: UTF8.self)
            var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            text = String(lines.removeLast())
            for line in lines where line.hasPrefix("P ") {
                let progress = try JSONDecoder().decode(MoveProgress.self, from: Data(line.dropFirst(2).utf8))
                guard progress.subject == "large", progress.rows > 0 else { continue }
                if progress.rows < last { reading += 1 }
                last = progress.rows
                if reading >= wanted { kill(process.processIdentifier, SIGKILL) }
            }
        }
        let answer = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return answer.isEmpty && process.terminationReason == .uncaughtSignal
    }
}
