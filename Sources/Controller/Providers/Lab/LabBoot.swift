import BasculeModel
import Foundation
import Glibc

/// The way of one node from a record to multi-user.
struct LabBoot: Sendable {
    let node: NodePaths
    let network: LabNetwork

    /// Makes the node's file system and puts its identity there. The record's host keys are filled in.
    func prepare(_ record: inout NodeRecord) async throws {
        try LabFiles.makeDirectory(node.root)
        if case .limited(let megabytes) = record.spec.disk { try await makeDisk(megabytes: megabytes) }
        try await mount(record)
        try write(record)
        record.hostKeys = []
        for type in ["ed25519", "ecdsa"] {
            let path = "\(node.root)/etc/ssh/ssh_host_\(type)_key"
            let name = "root@\(record.spec.name)"
            _ = try await Command.run(["ssh-keygen", "-q", "-t", type, "-N", "", "-C", name, "-f", path])
                .requireSuccess("making a host key")
            let words = (LabFiles.read("\(path).pub") ?? "").split(separator: " ")
            record.hostKeys.append(words.prefix(2).joined(separator: " "))
        }
        // A node's identity is not what a test with a pulled plug wants to lose.
        if record.spec.disk != .host {
            _ = try await Command.run(["sync", "-f", node.disk]).requireSuccess("flushing a node's disk")
        }
    }

    /// Mounts what is not mounted: everything at first, and after a reboot of the host.
    func mount(_ record: NodeRecord) async throws {
        if record.spec.disk != .host, !LabMounts.isMounted(node.disk) {
            _ = try await Command.run(["mount", "-o", "loop", node.diskFile, node.disk])
                .requireSuccess("mounting a node's disk")
        }
        guard !LabMounts.isMounted(node.root) else { return }
        let (upper, work) = (node.upper(record.spec.disk), node.work(record.spec.disk))
        for directory in [upper, work] { try LabFiles.makeDirectory(directory) }
        try LabMounts.overlay(lower: record.lower, upper: upper, work: work, at: node.root)
    }

    private func makeDisk(megabytes: Int) async throws {
        guard (16...1_000_000).contains(megabytes) else {
            throw BasculeError(.invalidInput, "a node's disk of \(megabytes) MB; 16 to 1000000 are possible")
        }
        try LabFiles.makeDirectory(node.disk)
        try LabFiles.write("", to: node.diskFile, mode: 0o600)
        guard truncate(node.diskFile, megabytes << 20) == 0 else {
            throw LabFiles.failure("could not grow", node.diskFile)
        }
        _ = try await Command.run(["mkfs.ext4", "-q", "-F", "-m", "0", node.diskFile])
            .requireSuccess("making a node's file system")
    }

    private func write(_ record: NodeRecord) throws {
        let name = record.spec.name
        let etc = "\(node.root)/etc"
        try LabFiles.write("\(name)\n", to: "\(etc)/hostname")
        try LabFiles.write("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 \(name)\n", to: "\(etc)/hosts")
        try LabFiles.write("\(record.machineID)\n", to: "\(etc)/machine-id", mode: 0o444)
        try LabFiles.write(Self.resolver(), to: "\(etc)/resolv.conf")
        try LabFiles.write(
            """
            [Match]
            Name=host0

            [Network]
            Address=\(record.address)/\(network.subnet.prefix)
            Gateway=\(network.gateway)
            LinkLocalAddressing=no
            IPv6AcceptRA=no

            """, to: "\(etc)/systemd/network/10-lab.network")
        guard !record.spec.authorizedKeys.isEmpty else { return }
        let ssh = "\(node.root)/root/.ssh"
        try LabFiles.makeDirectory(ssh, mode: 0o700)
        let keys = record.spec.authorizedKeys.map { $0.trimmingCharacters(in: .newlines) + "\n" }.joined()
        try LabFiles.write(keys, to: "\(ssh)/authorized_keys", mode: 0o600)
    }

    /// Starts the node, detached from us: it outlives this program.
    func start(_ record: NodeRecord) throws -> ProcessIdentity {
        let procs = try LabCgroup(tag: network.tag, machine: record.machine).make()
        let console = open(node.console, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard console >= 0 else { throw LabFiles.failure("could not be opened", node.console) }
        defer { close(console) }
        let argv = Self.joining(
            procs,
            [
                "systemd-nspawn", "-q", "-D", node.root, "-M", record.machine, "--register=no", "--keep-unit",
                "--resolv-conf=off", "--link-journal=no", "--console=pipe", "--hostname=\(record.spec.name)",
                "--network-bridge=\(network.bridge)",
                // A server's kernel lets a container's runtime join a keyring and say which devices it sees.
                "--system-call-filter=@keyring bpf", "--boot",
            ])
        let pid = try Spawn.start(
            argv,
            environment: [
                // A server has one hierarchy, and its /tmp where its release puts it.
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": LabCgroup.hasUnified ? "1" : nil, "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
                "NOTIFY_SOCKET": nil,
            ], descriptors: (-1, console, console), group: .session)
        guard let identity = ProcessIdentity(pid: pid) else {
            _ = Spawn.poll(pid)
            throw bootFailure("systemd-nspawn ended at once")
        }
        return identity
    }

    /// Waits until the node is multi-user and its sshd could answer.
    func waitUntilUp(_ supervisor: ProcessIdentity, deadline: Duration) async throws -> LabHealth {
        let end = ContinuousClock.now.advanced(by: deadline)
        while ContinuousClock.now < end {
            guard supervisor.isAlive else {
                _ = Spawn.poll(supervisor.pid)
                throw bootFailure("systemd-nspawn ended while the node came up")
            }
            if let leader = ProcessIdentity.leader(of: supervisor.pid) {
                let health = try await Self.health(leader: leader, wait: true, deadline: end - ContinuousClock.now)
                if health != .starting { return health }
            }
            try await Task.sleep(for: .milliseconds(15))
        }
        throw bootFailure("the node was not up within \(deadline)")
    }

    private func bootFailure(_ message: String) -> BasculeError {
        BasculeError(
            .labBootFailed, message, at: .thing(node.directory),
            cause: CommandResult.tail(of: LabFiles.read(node.console) ?? ""))
    }

    /// What the node's systemd says of itself.
    static func health(leader: Int32, wait: Bool = false, deadline: Duration = .seconds(10)) async throws -> LabHealth {
        let wanted = ["systemctl", "is-system-running"] + (wait ? ["--wait"] : [])
        let answer: CommandResult
        do {
            answer = try await Command.run(["nsenter", "-t", "\(leader)", "-a", "--"] + wanted, deadline: deadline)
        } catch let error as BasculeError where error.code == .timedOut { return .starting }
        switch answer.text.trimmingCharacters(in: .whitespacesAndNewlines) {
        case "running": return .running
        case "degraded":
            let failed = try await Command.run(
                ["nsenter", "-t", "\(leader)", "-a", "--", "systemctl", "--failed", "--plain", "--no-legend"])
            return .degraded(
                failed.text.split(separator: "\n").compactMap { $0.split(separator: " ").first.map(String.init) })
        default: return .starting
        }
    }

    /// The host's resolvers as a node can use them: a stub on the host's loopback answers nobody else, and
    /// systemd-resolved keeps the real ones beside it.
    static func resolver() -> String {
        let own = LabFiles.read("/etc/resolv.conf") ?? ""
        return resolver(own: own, behindStub: LabFiles.read("/run/systemd/resolve/resolv.conf"))
    }

    static func resolver(own: String, behindStub: String?) -> String {
        let servers = own.split(separator: "\n").filter { $0.hasPrefix("nameserver") }
        let reachable = servers.contains { !$0.contains(" 127.") && !$0.hasSuffix(" ::1") }
        let text = reachable ? own : behindStub ?? own
        return text.hasSuffix("\n") ? text : text + "\n"
    }

    /// A command that first moves itself into control groups. The script is a constant; paths and command are its
    /// arguments.
    static func joining(_ procs: [String], _ argv: [String]) -> [String] {
        let script = #"while [ "$1" != -- ]; do echo $$ > "$1" || exit 1; shift; done; shift; exec "$@""#
        return ["/bin/sh", "-c", script, "bascule-lab"] + procs + ["--"] + argv
    }
}
