import BasculeModel
import BasculeProtocol
import BasculeResources
import Glibc

/// Puts the agent on a machine: user, unit, forced-command key. Run once as root by the bootstrap; harmless to repeat.
package enum Install {
    package static var architecture: String {
        #if arch(x86_64)
            "x86_64"
        #elseif arch(arm64)
            "aarch64"
        #else
            "unknown"
        #endif
    }

    /// - Parameters:
    ///   - fleetKey: the controller's public key line, which may talk to the agent and nothing else.
    ///   - controllerKey: what the controller's requests are signed with; Ed25519, hexadecimal.
    ///   - epoch: the controller's epoch. A higher one than the node knows takes it over from another controller.
    /// - Returns: what became of the controller's pin.
    package static func run(fleetKey: String, controllerKey: String, epoch: Int, paths: AgentPaths) throws -> PinOutcome
    {
        guard getuid() == 0 else {
            throw BasculeError(.unsupported, "installing the agent needs root", hint: "log in as root, or use sudo")
        }
        LoginSessions.noteInstallation()
        try DurableFile.makeDirectory(paths.state)
        let identity = try AgentIdentity(path: paths.identity)
        let outcome = try ControllerPin.pin(key: controllerKey, epoch: epoch, seen: identity.epoch, paths: paths)
        try ControllerPin.endRotation(paths: paths)
        if getpwnam(AgentPaths.user) == nil {
            try Subprocess.require(
                [
                    "useradd", "--system", "--user-group", "--home-dir", "/nonexistent", "--no-create-home", "--shell",
                    "/bin/sh", AgentPaths.user,
                ],
                "making the user \(AgentPaths.user)")
            // A locked password would also lock out keys under some PAM set-ups; `*` means no password at all.
            try Subprocess.require(
                ["usermod", "--password", "*", AgentPaths.user], "preparing the user \(AgentPaths.user)")
        }
        try onThePath()
        try AuthorizedKeys.admitController(fleetKey)
        if outcome == .replaced { try TokenKeeper.forgetAll(paths) }
        try DurableFile.makeDirectory("/etc/ssh/sshd_config.d", mode: 0o755)
        let before = try DurableFile.read(sshd)
        let wanted = Array(sshdText.utf8)
        if before != wanted { try DurableFile.write(wanted, to: sshd, mode: 0o644) }
        // Also where the file is there already: an installation that was killed may not have come to the reload.
        let check = try Subprocess.run(["sshd", "-t"], Subprocess.Options())
        guard check.status == 0 else {
            if let before { try DurableFile.write(before, to: sshd, mode: 0o644) } else { unlink(sshd) }
            throw BasculeError(.checkFailed, "sshd refuses the agent's drop-in", cause: check.cause())
        }
        try Subprocess.require(["systemctl", "reload", "ssh"], "reloading sshd")
        try Upgrade.keepPrevious()
        try writeUnit()
        try Subprocess.require(
            ["systemctl", "enable", "--quiet", "bascule-agent.service"], "enabling the agent's unit")
        // Accounts and systemd's links are other programs' writes, which a power cut would take back.
        sync()
        try Subprocess.require(["systemctl", "restart", "bascule-agent.service"], "starting the agent")
        // The program and its user came by tools that do not flush: a power cut now must not take them away again.
        sync()
        try waitForSocket(paths)
        return outcome
    }

    /// The unit as this program wants it.
    static func writeUnit() throws {
        let path = "/etc/systemd/system/bascule-agent.service"
        guard try DurableFile.read(path) != PackageResources.bascule_agent_service else { return }
        try DurableFile.write(PackageResources.bascule_agent_service, to: path, mode: 0o644)
        try Subprocess.require(["systemctl", "daemon-reload"], "systemctl daemon-reload")
    }

    static let sshd = "/etc/ssh/sshd_config.d/50-bascule.conf"
    private static let sshdText = """
        # Written by bascule-agent. The agent's user may only run what its keys' forced commands name.
        Match User \(AgentPaths.user)
            AuthorizedKeysFile \(AuthorizedKeys.path)
            PasswordAuthentication no
            KbdInteractiveAuthentication no

        """

    /// On the node's own console it is called by its name alone.
    private static func onThePath() throws {
        let link = "/usr/local/sbin/bascule-agent"
        var status = stat()
        guard lstat(link, &status) != 0 else { return }
        guard symlink(AgentPaths.program, link) == 0 else { throw DurableFile.failure("make the link", link) }
    }

    private static func waitForSocket(_ paths: AgentPaths) throws {
        let deadline = WallClock.monotonic() + 15
        while WallClock.monotonic() < deadline {
            if let descriptor = try? UnixSocket.connect(paths.socket) {
                close(descriptor)
                return
            }
            usleep(20_000)
        }
        let log = try Subprocess.run(
            ["journalctl", "-u", "bascule-agent", "-n", "20", "-o", "cat", "--no-pager"], Subprocess.Options())
        throw BasculeError(
            .agentDown, "the agent was installed and does not answer", cause: log.cause(),
            hint: "look at: journalctl -u bascule-agent")
    }
}
