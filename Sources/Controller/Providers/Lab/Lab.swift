import BasculeModel
import Foundation
import Glibc

/// Throwaway nodes: Debian with its real systemd and sshd in systemd-nspawn, over an overlay of a cached image, each
/// with its own network namespace on a bridge of the lab. Labs with different names share nothing and run side by side.
///
/// A command that must leave nothing behind uses `lifetime: .process` and calls `down()` from its signal handler; if it
/// is killed before it can, the next `up` of any lab cleans up after it.
package struct Lab: Sendable {
    package enum Lifetime: String, Codable, Sendable {
        /// Stays until `down`, across programs.
        case persistent
        /// Belongs to the process that made it; once that has ended, the next `up` removes it.
        case process
    }

    /// What `up` does with a node that is already there.
    package enum Existing: Sendable {
        /// Leaves it as it is, and starts it if it is stopped.
        case keep
        /// Throws it away and makes a new one.
        case replace
    }

    package let labName: String
    package let lifetime: Lifetime
    let paths: LabPaths

    /// - Parameters:
    ///   - labName: at most 40 lower-case letters, digits and dashes.
    ///   - home: where images and nodes are kept; must be on a file system that can carry an overlay's upper layer.
    /// - Throws: `invalid-input` for a bad name.
    package init(labName: String, lifetime: Lifetime = .persistent, home: String = "/var/lib/bascule-lab") throws {
        try LabNames.check(labName: labName)
        self.labName = labName
        self.lifetime = lifetime
        paths = LabPaths(home: home)
    }

    /// Programs that the lab needs, with the Debian package of each.
    static let programs: [(program: String, package: String)] = [
        ("mmdebstrap", "mmdebstrap"), ("systemd-nspawn", "systemd-container"), ("nft", "nftables"), ("ip", "iproute2"),
        ("nsenter", "util-linux"), ("ssh-keygen", "openssh-client"), ("mkfs.ext4", "e2fsprogs"), ("mount", "mount"),
        ("apt-config", "apt"), ("chroot", "coreutils"),
    ]

    /// Says whether throwaway nodes can run here.
    /// - Throws: `lab-unavailable`, naming all that is missing and the packages that bring it.
    package static func preflight() throws {
        try preflight(isRoot: geteuid() == 0, missing: programs.filter { !Command.exists($0.program) })
        guard LabFiles.read("/proc/filesystems")?.contains("\toverlay\n") == true else {
            throw BasculeError(
                .labUnavailable, "the kernel has no overlay file system", hint: "Run `modprobe overlay` as root.")
        }
    }

    static func preflight(isRoot: Bool, missing: [(program: String, package: String)]) throws {
        #if !os(Linux)
            throw BasculeError(
                .labUnavailable, "throwaway nodes need Linux",
                hint: "Run the controller on a Debian machine, or use servers of your own in the fleet file.")
        #endif
        try requireRoot(isRoot)
        guard missing.isEmpty else {
            let packages = Set(missing.map(\.package)).sorted().joined(separator: " ")
            throw BasculeError(
                .labUnavailable,
                "throwaway nodes need programs that are not installed: "
                    + missing.map(\.program).joined(separator: ", "),
                hint: "Run `apt-get install --no-install-recommends \(packages)` as root.")
        }
    }

    /// Without root a lab would look empty instead of out of reach.
    static func requireRoot(_ isRoot: Bool = geteuid() == 0) throws {
        guard !isRoot else { return }
        throw BasculeError(
            .labUnavailable, "throwaway nodes need root", hint: "Run the command as root, for example with sudo.")
    }

    /// Builds what is missing of these images, so that a later `up` finds them ready.
    package static func prepare(
        _ images: [LabImage], home: String = "/var/lib/bascule-lab", progress: @escaping LabProgress = { _ in }
    ) async throws {
        try preflight()
        let paths = LabPaths(home: home)
        try paths.makeAll()
        for image in images { _ = try await LabImages(paths: paths, progress: progress).lower(for: image) }
    }

    /// Names of all labs of this machine.
    package static func all(home: String = "/var/lib/bascule-lab") -> [String] { LabPaths(home: home).labNames() }

    /// The nodes of this lab with their present health, ordered by name. Needs root.
    package func list() async throws -> [LabNode] {
        try Self.requireRoot()
        var nodes: [LabNode] = []
        for record in paths.loadNodes(of: labName) { nodes.append(try await describe(record)) }
        return nodes
    }

    /// One node as it is. Throws `lab-node-unknown`.
    package func node(_ name: NodeName) async throws -> LabNode { try await describe(try record(of: name)) }

    func record(of name: NodeName) throws -> NodeRecord {
        try Self.requireRoot()
        try LabNames.check(node: name)
        guard let record = LabFiles.decode(NodeRecord.self, from: paths.node(name, of: labName).record) else {
            let known = paths.loadNodes(of: labName).map(\.spec.name.rawValue).joined(separator: ", ")
            throw BasculeError(
                .labNodeUnknown, "lab \(labName) has no node \(name)",
                hint: known.isEmpty ? "Run `bascule lab up \(name)`." : "It has: \(known).")
        }
        return record
    }

    /// The PID of the node's init. Throws `lab-node-unknown` or `lab-node-stopped`.
    func leader(of name: NodeName) throws -> Int32 {
        let record = try record(of: name)
        guard record.isRunning, let supervisor = record.supervisor,
            let leader = ProcessIdentity.leader(of: supervisor.pid)
        else {
            throw BasculeError(
                .labNodeStopped, "the node does not run", at: .node(name: name.rawValue, subject: nil),
                hint: "Start it again with `bascule lab up \(name)`.")
        }
        return leader
    }

    func describe(_ record: NodeRecord) async throws -> LabNode {
        let node = paths.node(record.spec.name, of: labName)
        var leader: Int32?
        if record.isRunning, let supervisor = record.supervisor { leader = ProcessIdentity.leader(of: supervisor.pid) }
        var health = LabHealth.stopped
        if let leader {
            health = try await LabBoot.health(leader: leader)
        } else if record.isRunning {
            health = .starting
        }
        return LabNode(
            name: record.spec.name, labName: labName, image: record.spec.image, address: record.address,
            gateway: paths.loadLab(labName)?.subnet.address(1) ?? "", hostKeys: record.hostKeys,
            machineID: record.machineID, health: health, leader: leader, root: node.root,
            upper: node.upper(record.spec.disk), diskFile: record.spec.disk == .host ? nil : node.diskFile,
            console: node.console)
    }
}
