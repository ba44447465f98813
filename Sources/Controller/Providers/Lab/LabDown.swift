import BasculeModel
import Glibc

extension Lab {
    /// Removes nodes and, with the last one, the lab: processes, mounts, bridge, nftables table, directories. What is
    /// not there is no error.
    /// - Parameter names: the nodes; nil for the whole lab.
    package func down(_ names: [NodeName]? = nil) async throws {
        try Self.requireRoot()
        guard LabFiles.exists(paths.lab(labName)) else { return }
        for name in names ?? [] { try LabNames.check(node: name) }
        // Also from a cancelled task, such as a command's on Ctrl-C.
        try await uncancelled { try await FileLock.with(paths.lock(of: labName)) { try await downLocked(names) } }
    }

    func downLocked(_ names: [NodeName]?) async throws {
        if let lab = paths.loadLab(labName) {
            let network = LabNetwork(tag: lab.tag, subnet: lab.subnet)
            let wanted = paths.loadNodes(of: labName).filter { names?.contains($0.spec.name) ?? true }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for record in wanted { group.addTask { try await remove(record, network: network) } }
                try await group.waitForAll()
            }
        }
        if names == nil { LabMounts.detachAll(under: paths.lab(labName)) }
        // A node directory without a readable record is what a crash in its first moment leaves.
        let wanted = names?.map(\.rawValue) ?? LabFiles.list(paths.nodes(of: labName))
        for name in wanted { try await LabFiles.removeTree("\(paths.nodes(of: labName))/\(name)") }
        try await removeLabIfEmpty()
    }

    /// Removes one node, last-in first-out.
    func remove(_ record: NodeRecord, network: LabNetwork) async throws {
        let node = paths.node(record.spec.name, of: labName)
        let cgroup = LabCgroup(tag: network.tag, machine: record.machine)
        try await cgroup.kill(supervisor: supervisor(of: record, at: node))
        let link = LabNames.link(machine: record.machine)
        if LabFiles.exists("/sys/class/net/\(link)") {
            // It goes with the node's namespace in a moment anyway; failing to hurry it up is no error.
            _ = try await Command.run(["ip", "link", "delete", link])
        }
        forgetInNspawn(record, root: node.root)
        // By name first: mountinfo can skip a line while a neighbour's mount goes.
        LabMounts.detach(node.root)
        LabMounts.detach(node.disk)
        LabMounts.detachAll(under: node.directory)
        await cgroup.remove()
        try await LabFiles.removeTree(node.directory)
    }

    /// The record at hand may be older than the one on disk, which knows the process.
    private func supervisor(of record: NodeRecord, at node: NodePaths) -> Int32? {
        (LabFiles.decode(NodeRecord.self, from: node.record) ?? record).supervisor?.pid
    }

    /// systemd-nspawn leaves these behind when it is killed.
    private func forgetInNspawn(_ record: NodeRecord, root: String) {
        rmdir("/run/systemd/nspawn/propagate/\(record.machine)")
        var status = stat()
        if stat(root, &status) == 0 {
            unlink("/run/systemd/nspawn/locks/inode-\(status.st_dev):\(status.st_ino)")
        }
    }

    /// With the last node goes the network; with the last lab, forwarding.
    func removeLabIfEmpty() async throws {
        guard LabFiles.list(paths.nodes(of: labName)).isEmpty else { return }
        try await FileLock.with(paths.lock) {
            if let lab = paths.loadLab(labName) {
                try await LabNetwork(tag: lab.tag, subnet: lab.subnet).down()
            }
            try await LabFiles.removeTree(paths.lab(labName))
            if paths.labNames().isEmpty { try LabNetwork.restoreForwarding(paths: paths) }
        }
    }

    /// Cuts a node's power as far as processes are concerned: all die at once, nothing is told. Its files stay as they
    /// are, and `boot` starts it again.
    package func kill(_ name: NodeName) async throws {
        try await FileLock.with(paths.lock(of: labName)) {
            try await halt(name) { record, cgroup in try await cgroup.kill(supervisor: record.supervisor?.pid) }
        }
    }

    /// Shuts a node down in good order, by force after `deadline`. `boot` starts it again.
    package func stop(_ name: NodeName, deadline: Duration = .seconds(30)) async throws {
        try await FileLock.with(paths.lock(of: labName)) {
            try await halt(name) { record, cgroup in
                if let supervisor = record.supervisor, supervisor.isAlive { Glibc.kill(supervisor.pid, SIGTERM) }
                let end = ContinuousClock.now.advanced(by: deadline)
                while record.isRunning, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(20)) }
                try await cgroup.kill(supervisor: record.supervisor?.pid)
            }
        }
    }

    func halt(_ name: NodeName, _ end: (NodeRecord, LabCgroup) async throws -> Void) async throws {
        var record = try record(of: name)
        guard let lab = paths.loadLab(labName) else { throw BasculeError(.defect, "a node without a lab") }
        let node = paths.node(name, of: labName)
        // Recorded first: a crash in between must not make the next `up` throw the node away.
        record.isStopped = true
        try node.save(record)
        let cgroup = LabCgroup(tag: lab.tag, machine: record.machine)
        try await end(record, cgroup)
        forgetInNspawn(record, root: node.root)
        await cgroup.remove()
        // A connection that never ended keeps the network's namespace, and a boot would find its link taken.
        let link = LabNames.link(machine: record.machine)
        if LabFiles.exists("/sys/class/net/\(link)") {
            _ = try await Command.run(["ip", "link", "delete", link], deadline: .seconds(10))
        }
    }
}
