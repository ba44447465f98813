import BasculeData
import BasculeModel
import FoundationEssentials
import Glibc
import Synchronization

/// The data task's own process: reads a job, reports progress on standard error, answers on standard output.
enum DataChild {
    static func run() -> Int32 {
        watchParent()
        do {
            let bytes = try readInput()
            let job = try JSONDecoder().decode(DataJob.self, from: Data(bytes))
            let answer: DataAnswer
            do {
                answer = .report(try perform(job))
            } catch {
                answer = .failed(BasculeError.wrapping(error, "the data task failed"))
            }
            try DurableFile.writeAll(
                Array(try JSONEncoder().encode(answer)), to: STDOUT_FILENO, path: "standard output")
            return 0
        } catch {
            StandardError.write(line: "\(error)")
            return 1
        }
    }

    private static func perform(_ job: DataJob) throws -> DataReport {
        let secrets = job.secrets
        let resolve: @Sendable (SecretName) throws -> Secret = { name in
            guard let value = secrets[name] else {
                throw BasculeError(.secretMissing, "the task was not given the secret \(name)")
            }
            return Secret(value)
        }
        let last = Mutex(0.0)
        let progress: @Sendable (MoveProgress) -> Void = { progress in
            let now = WallClock.monotonic()
            guard last.withLock({ if now - $0 > 0.1 { $0 = now; return true } else { return false } }),
                let line = try? JSONEncoder().encode(progress)
            else { return }
            StandardError.write(line: "P \(String(decoding: line, as: UTF8.self))")
        }
        switch job.task {
        case .postgres(let task):
            return .postgres(try PostgresMover.run(task, resolve: resolve, progress: progress, isCancelled: { false }))
        case .redis(let task):
            return .redis(try RedisMover.run(task, resolve: resolve, progress: progress, isCancelled: { false }))
        case .mysql(let task):
            return .mysql(try MySQLMover.run(task, resolve: resolve, progress: progress, isCancelled: { false }))
        case .files(let task, let key):
            return .files(
                try withLogin(key, task.move.identity, resolve) {
                    try FilesMover.run(task, progress: progress, isCancelled: { false })
                })
        case .archive(let task):
            var (identity, key): (String, SecretName?) = ("", nil)
            if case .files(let move, let login) = task.source { (identity, key) = (move.identity, login) }
            return .archive(
                try withLogin(key, identity, resolve) {
                    try Archiver.run(task, resolve: resolve, progress: progress, isCancelled: { false })
                })
        case .borg(let task):
            return .borg(try BorgKeeper.run(task, resolve: resolve, progress: progress))
        }
    }

    /// While `body` runs, the login's private key lies where ssh looks for it.
    private static func withLogin<T>(
        _ key: SecretName?, _ path: String, _ resolve: (SecretName) throws -> Secret, _ body: () throws -> T
    ) throws -> T {
        if let key {
            try DurableFile.makeDirectory(String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)))
            try DurableFile.write(try resolve(key).revealBytes(), to: path)
        }
        defer { if key != nil { unlink(path) } }
        return try body()
    }

    private static func readInput() throws -> [UInt8] {
        var out: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(STDIN_FILENO, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw DurableFile.failure("read", "standard input") }
            if count == 0 { return out }
            out.append(contentsOf: buffer[..<count])
        }
    }

    /// An agent that died starts this task again when it is back: two of it would get into each other's way.
    private static func watchParent() {
        let parent = getppid()
        Thread.detach {
            while getppid() == parent { usleep(200_000) }
            kill(0, SIGKILL)
        }
    }
}
