import BasculeModel
import BasculeResources
import FoundationEssentials

/// What the child process of a data task reads on its standard input.
package struct DataJob: Codable {
    package var task: DataTask
    /// Secrets by name, in the clear: they travel over a pipe to a child of ours only.
    package var secrets: [SecretName: String]
}

/// What it answers on its standard output.
package enum DataAnswer: Codable {
    case report(DataReport)
    case failed(BasculeError)
}

extension SegmentPerformer {
    /// Runs a data task and judges its report.
    func move(_ task: DataTask, _ step: Step) async throws -> StepResult {
        let report: DataReport
        if case .postgres(let postgres) = task {
            let (database, following) = (postgres.move.targetDatabase, services.following)
            try await Blocking.run { following.rest(database) }
            defer { following.rise(database) }
            if case .copy(let move) = postgres { try await unfenceTarget(move, step) }
            report = try await run(task, step)
            if case .postgres(let said) = report {
                let phase = step.phase
                try await Blocking.run { try following.note(postgres, said, phase: phase) }
            }
        } else if case .mysql(let mysql) = task {
            report = try await run(.mysql(goneBack(mysql)), step)
            forgetGoneBack(mysql)
        } else {
            report = try await run(task, step)
        }
        return judge(task, report)
    }

    /// A report as this step's result.
    func judge(_ task: DataTask, _ report: DataReport) -> StepResult {
        DataJudge.judge(
            task, report, evidence: { self.evidence($0, $1, threshold: $2, passed: $3, measure: $4, unit: $5) })
    }

    /// Runs a data task in a child process of its own: its memory goes when it ends, cancelling kills its group.
    func run(_ task: DataTask, _ step: Step) async throws -> DataReport {
        let services = services
        let control = control
        let sink = sink
        let secrets = try task.secrets.reduce(into: [:]) { $0[$1] = try services.secrets.resolve($1).reveal() }
        let job = Array(try JSONEncoder().encode(DataJob(task: task, secrets: secrets)))
        return try await Blocking.run {
            var options = Subprocess.Options()
            options.stdin = job
            options.user = task.runsAs
            options.deadline = .seconds(86_400)
            options.limit = 64 << 20
            options.isCancelled = { control.isCancelled }
            options.onLine = { line in
                guard line.hasPrefix("P "),
                    let progress = try? JSONDecoder().decode(MoveProgress.self, from: Data(line.utf8.dropFirst(2)))
                else { return }
                sink.progress(StepProgress(step: step.id, line: progress.line, fraction: progress.fraction))
            }
            let outcome = try Subprocess.run([AgentPaths.program, "task"], options)
            guard let answer = try? JSONDecoder().decode(DataAnswer.self, from: Data(outcome.stdout)) else {
                throw BasculeError(
                    .commandFailed, "the data task ended with status \(outcome.status) and no answer",
                    cause: outcome.cause(),
                    hint: "run the same command again: it goes on where it stopped")
            }
            switch answer {
            case .report(let report): return report
            case .failed(let error): throw error
            }
        }
    }
}

extension DataTask {
    /// The operating system's user that the task needs: peer authentication for PostgreSQL, else root.
    var runsAs: String? {
        switch self {
        case .postgres(let task): task.move.targetUser
        case .mysql(let task): task.move.targetUser
        case .redis, .files, .archive, .borg: nil
        }
    }
}
