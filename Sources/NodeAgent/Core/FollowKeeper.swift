import BasculeData
import BasculeModel
import BasculeResources
import FoundationEssentials
import Glibc
import Synchronization

/// Keeps a follower running for each database that is followed, or carried back: a child process each, started again
/// when it dies and after this agent's own restart, resting while another task works on the same database.
package final class FollowKeeper: Sendable {
    private struct Entry {
        var task: DataTask
        /// Resting while above zero, and until then on the monotonic clock.
        var resting = 0
        var quietUntil = 0.0
        var running = false
        var gone = false
    }

    private let entries = Mutex<[String: Entry]>([:])
    private let folder: String
    private let secrets: AgentSecrets
    private let told: @Sendable (String) -> Void

    /// `told` hears of a follower that ended by itself.
    init(folder: String, secrets: AgentSecrets, told: @escaping @Sendable (String) -> Void) throws {
        (self.folder, self.secrets, self.told) = (folder, secrets, told)
        try DurableFile.makeDirectory(folder)
    }

    private func path(_ database: String) -> String {
        // A database's name may hold anything; a file's may not.
        "\(folder)/\(database.utf8.map { String($0, radix: 16) }.joined()).json"
    }

    /// Takes up what an earlier life of this agent kept running.
    package func resume() {
        for name in names where name.hasSuffix(".json") {
            guard let task = try? DurableFile.load(DataTask.self, from: "\(folder)/\(name)"),
                case .postgres(let postgres) = task
            else { continue }
            start(task, postgres.move.targetDatabase)
        }
    }

    private var names: [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names
    }

    /// From now on, also after a restart.
    func keep(_ task: PostgresFollowTask, _ move: PostgresMove) throws {
        let task = DataTask.postgres(.follow(task, move))
        forget(move.targetDatabase)
        try DurableFile.save(task, to: path(move.targetDatabase))
        start(task, move.targetDatabase)
    }

    /// No more, and not running when it returns.
    func forget(_ database: String) {
        unlinkFile(path(database))
        entries.withLock { $0[database]?.gone = true }
        waitUntilIdle(database)
        entries.withLock { $0[database] = nil }
    }

    /// The follower rests until `rise`.
    func rest(_ database: String) {
        entries.withLock { $0[database]?.resting += 1 }
        waitUntilIdle(database)
    }

    func rise(_ database: String) {
        entries.withLock { all in
            let resting = all[database]?.resting ?? 0
            all[database]?.resting = max(0, resting - 1)
            // The steps of a freeze follow each other closely, and a follower between them would hold up the next.
            all[database]?.quietUntil = WallClock.monotonic() + 3
        }
    }

    private func unlinkFile(_ path: String) { unlink(path) }

    private func waitUntilIdle(_ database: String) {
        while entries.withLock({ $0[database]?.running ?? false }) { usleep(5000) }
    }

    private func shouldStop(_ database: String) -> Bool {
        entries.withLock { all in all[database].map { $0.gone || $0.resting > 0 } ?? true }
    }

    private func start(_ task: DataTask, _ database: String) {
        entries.withLock { $0[database] = Entry(task: task) }
        Thread.detach { [self] in
            var pause = 1.0
            while let entry = entries.withLock({ $0[database] }), !entry.gone, entry.task == task {
                let mayRun = entries.withLock { all in
                    guard let now = all[database], !now.gone, now.resting <= 0, WallClock.monotonic() >= now.quietUntil
                    else { return false }
                    all[database]?.running = true
                    return true
                }
                guard mayRun else {
                    usleep(50_000)
                    continue
                }
                let began = WallClock.monotonic()
                let ended = once(task, database)
                if let ended {
                    unlinkFile(path(database))
                    entries.withLock { $0[database]?.gone = true }
                    told("\(database) is not followed any more: \(ended)")
                }
                entries.withLock { $0[database]?.running = false }
                if WallClock.monotonic() - began > 60 { pause = 1 }
                let until = WallClock.monotonic() + pause
                while WallClock.monotonic() < until, !shouldStop(database) { usleep(100_000) }
                pause = min(pause * 2, 60)
            }
        }
    }

    /// One life of the child; why it is over for good, nil where it is to be started again.
    private func once(_ task: DataTask, _ database: String) -> String? {
        guard
            let values = try? task.secrets.reduce(
                into: [SecretName: String](), { $0[$1] = try secrets.resolve($1).reveal() }),
            let job = try? JSONEncoder().encode(DataJob(task: task, secrets: values))
        else { return nil }
        var options = Subprocess.Options()
        options.stdin = Array(job)
        options.user = task.runsAs
        options.deadline = .seconds(30 * 86_400)
        options.isCancelled = { [self] in shouldStop(database) }
        guard let outcome = try? Subprocess.run([AgentPaths.program, "task"], options),
            let answer = try? JSONDecoder().decode(DataAnswer.self, from: Data(outcome.stdout)),
            case .report(.postgres(.followed(let report))) = answer, !report.isFollowing
        else { return nil }
        return report.reason
    }
}

extension FollowKeeper {
    /// What a finished task means for the follower of its database.
    func note(_ task: PostgresTask, _ report: PostgresReport, phase: Phase) throws {
        let move = task.move
        switch (task, report) {
        case (.copy, .copied(let copy)) where copy.findings.contains { $0.code == "following" }:
            try keep(.keep, move)
        case (.follow(.prove, _), .followed(let proof)) where proof.isFollowing: try keep(.keep, move)
        case (.follow(.end, _), _) where phase == .watch && move.follow?.back != nil: try keep(.backKeep, move)
        case (.follow(.end, _), _), (.follow(.backEnd, _), _), (.finish, _): forget(move.targetDatabase)
        default: break
        }
    }
}
