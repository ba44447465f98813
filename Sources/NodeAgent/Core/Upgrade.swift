import BasculeCrypto
import BasculeExecution
import BasculeModel
import BasculeResources
import FoundationEssentials
import Glibc

/// Replaces the running program by an uploaded one, on trial: the previous one comes back by itself unless a controller
/// that reached the new one keeps it in time.
///
/// Who brings it back is the previous program, never the new one: it runs before every start of the unit and counts
/// them, and a timer of systemd's runs it at the end of the trial. So a new program may crash at once or hang.
enum Upgrade {
    /// A program on trial.
    struct Trial: Codable, Equatable {
        var program: Digest
        /// Seconds since boot at which the previous one comes back, and the boot that they count from.
        var deadline: Double
        var boot: String
        /// Seconds that the trial lasts; it begins anew after a reboot, which nobody could be blamed for.
        var seconds: Double
        /// Starts of the new program so far.
        var starts = 0
    }

    /// A program that was started so often within its trial and never kept crashes.
    static let starts = 3
    static let timer = "bascule-agent-trial"
    static let unit = "bascule-agent.service"

    static var previous: String { "\(AgentPaths.program).previous" }
    static var next: String { "\(AgentPaths.program).next" }

    /// Puts the uploaded program in place, on trial; the caller then ends this process.
    static func begin(_ digest: Digest, seconds: Double, paths: AgentPaths) throws {
        let blob = "\(paths.blobs)/\(digest.rawValue)"
        guard let hash = try FileDigests.hash(blob) else {
            throw BasculeError(.invalidInput, "the program \(digest.rawValue.prefix(12)) was not uploaded")
        }
        guard Hex.encode(hash) == digest.rawValue else {
            unlink(blob)
            throw BasculeError(
                .uploadDamaged, "the uploaded program is not what was announced", hint: "run the same command again")
        }
        guard (1...3600).contains(seconds) else {
            throw BasculeError(.invalidInput, "a trial lasts 1 to 3600 seconds")
        }
        try DurableFile.write(try DurableFile.read(blob) ?? [], to: next, mode: 0o755)
        do { try check(next) } catch {
            unlink(next)
            throw error
        }
        // Two names of one file: at no moment is there no program.
        unlink(previous)
        guard link(AgentPaths.program, previous) == 0 else { throw DurableFile.failure("keep", AgentPaths.program) }
        try DurableFile.syncDirectory(of: previous)
        let trial = Trial(
            program: digest, deadline: WallClock.sinceBoot() + seconds, boot: bootID(), seconds: seconds)
        try DurableFile.save(trial, to: paths.trial)
        do {
            try arm(trial)
            Failpoint.hit("agent.upgrade.rename.before")
            guard rename(next, AgentPaths.program) == 0 else { throw DurableFile.failure("rename", next) }
            try DurableFile.syncDirectory(of: AgentPaths.program)
            Failpoint.hit("agent.upgrade.rename.after")
        } catch {
            end(paths)
            throw error
        }
        unlink(blob)
    }

    /// What runs.
    static func program() throws -> Digest { Digest(rawValue: Hex.encode(try FileDigests.hashOfOwnProgram())) }

    /// Sees that there is a previous program for the unit to run, even where there was no other one yet.
    static func keepPrevious() throws {
        guard access(previous, X_OK) != 0 else { return }
        unlink(previous)
        guard link(AgentPaths.program, previous) == 0 else { throw DurableFile.failure("keep", AgentPaths.program) }
    }

    /// A program that does not even tell its version never gets to run as the agent.
    private static func check(_ program: String) throws {
        let outcome = try Subprocess.run([program, "version"], Subprocess.Options(deadline: .seconds(10)))
        guard outcome.status == 0, outcome.text.hasPrefix("bascule-agent ") else {
            throw BasculeError(
                .commandFailed, "the uploaded program does not run here", cause: outcome.cause(),
                hint: "the present one goes on")
        }
    }

    /// Has systemd run the previous program at the trial's end.
    private static func arm(_ trial: Trial) throws {
        _ = try Subprocess.run(["systemctl", "stop", "\(timer).timer"], Subprocess.Options())
        _ = try Subprocess.run(["systemctl", "reset-failed", "\(timer).service"], Subprocess.Options())
        let left = max(1, trial.deadline - WallClock.sinceBoot())
        try Subprocess.require(
            [
                "systemd-run", "--quiet", "--collect", "--unit", timer, "--on-active=\(Int(left.rounded(.up)))s",
                "--timer-property=AccuracySec=100ms", previous, "trial", "--over",
            ], "arming the trial's end")
    }

    /// Keeps the program that runs. Harmless where none is on trial.
    static func keep(_ digest: Digest, paths: AgentPaths) throws {
        guard let trial = try DurableFile.load(Trial.self, from: paths.trial) else { return }
        guard trial.program == digest else {
            throw BasculeError(.invalidInput, "another program than that is on trial")
        }
        guard try program() == digest else {
            throw BasculeError(.invalidInput, "the program on trial is not the one that runs")
        }
        end(paths)
        try Install.writeUnit()
    }

    private static func end(_ paths: AgentPaths) {
        unlink(paths.trial)
        try? DurableFile.syncDirectory(of: paths.trial)
        _ = try? Subprocess.run(["systemctl", "stop", "\(timer).timer"], Subprocess.Options())
    }

    // MARK: - What the previous program does

    /// Run by the unit before every start of the agent, and by the timer when the trial is over. Whatever happens here,
    /// the agent is started.
    static func judge(isOver: Bool, paths: AgentPaths) throws {
        guard var trial = try DurableFile.load(Trial.self, from: paths.trial) else { return }
        let now = WallClock.sinceBoot()
        if trial.boot != bootID() {
            (trial.boot, trial.deadline, trial.starts) = (bootID(), now + trial.seconds, 0)
            try? arm(trial)
        }
        trial.starts += isOver ? 0 : 1
        guard isOver || trial.starts > starts || now >= trial.deadline else {
            return try DurableFile.save(trial, to: paths.trial)
        }
        // The name of the program is exchanged in one go; the trial ends after it, so that a crash repeats this.
        unlink(next)
        guard link(previous, next) == 0, rename(next, AgentPaths.program) == 0 else {
            throw DurableFile.failure("bring back", previous)
        }
        try DurableFile.syncDirectory(of: AgentPaths.program)
        let reason = isOver || now >= trial.deadline ? "no controller kept it in time" : "it did not stay up"
        try DurableFile.save(Failed(program: trial.program, reason: reason), to: paths.failedTrial)
        unlink(paths.trial)
        StandardError.write(line: "the agent's previous program is back: \(reason)")
        guard isOver else { return }
        // A program that hangs does not end when it is asked to.
        _ = try Subprocess.run(["systemctl", "kill", "--signal=KILL", "--kill-whom=main", unit], Subprocess.Options())
        try Subprocess.require(["systemctl", "restart", unit], "starting the previous program")
    }

    /// A program that was tried and did not stay; told by the agent that came back.
    struct Failed: Codable, Equatable {
        var program: Digest
        var reason: String
    }

    /// What became of the last trial, where it failed; told once.
    static func takeFailure(_ paths: AgentPaths) -> Failed? {
        guard let failed = (try? DurableFile.load(Failed.self, from: paths.failedTrial)) ?? nil else { return nil }
        unlink(paths.failedTrial)
        return failed
    }
}
