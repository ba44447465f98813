import BasculeModel
import BasculeResources
import Glibc

/// Takes the agent off a machine: unit, keys, user, state, program. What it configured stays as it is.
enum Uninstall {
    /// Begins it from within the agent, in a unit of its own: stopping the agent must not stop this.
    static func begin(paths: AgentPaths) throws {
        try Subprocess.require(
            [
                "systemd-run", "--quiet", "--collect", "--no-block", "--unit", "bascule-uninstall",
                AgentPaths.program, "uninstall",
            ], "beginning to take the agent off")
    }

    /// Does it; harmless to repeat. Nothing that lets the controller in is left before anything else goes.
    static func run(paths: AgentPaths) throws {
        guard getuid() == 0 else {
            throw BasculeError(.unsupported, "taking the agent off needs root", hint: "log in as root, or use sudo")
        }
        // The answer to the controller's request is on its way.
        usleep(300_000)
        unlink(AuthorizedKeys.path)
        rmdir("/etc/bascule")
        _ = try Subprocess.run(["systemctl", "disable", "--quiet", "--now", unit], Subprocess.Options())
        if unlink(Install.sshd) == 0 {
            try Subprocess.require(["systemctl", "reload", "ssh"], "reloading sshd")
        }
        unlink("/etc/systemd/system/\(unit)")
        _ = try Subprocess.run(["systemctl", "daemon-reload"], Subprocess.Options())
        if getpwnam(AgentPaths.user) != nil {
            // The bridge of the last connection ends with the agent; `--force` is for one that hangs.
            try Subprocess.require(["userdel", "--force", AgentPaths.user], "removing the user \(AgentPaths.user)")
        }
        try Subprocess.require(
            ["rm", "-rf", "--one-file-system", paths.runtime, paths.state, "/usr/local/lib/bascule"],
            "removing the agent's files")
    }

    private static let unit = "bascule-agent.service"
}

extension ErrorCode {
    /// What was asked must wait until the node's running segment has ended.
    static let segmentRuns: ErrorCode = "segment-runs"
}
