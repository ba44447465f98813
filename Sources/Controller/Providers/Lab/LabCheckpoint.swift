import BasculeModel

/// Going back to an earlier state of a node in half a second, for tests that need the same start many times.
extension Lab {
    /// Makes what a node holds now the ground that `reset` goes back to. Its processes are killed, and it boots again.
    /// - Throws: `invalid-input` for a node with a disk of its own, whose changes all lie on that.
    @discardableResult
    package func checkpoint(_ name: NodeName) async throws -> LabNode {
        try await rebuild(name) { record, node in
            let ground = "\(node.directory)/ground\(record.lower.count)"
            try LabFiles.move(node.upper(record.spec.disk), to: ground)
            // The topmost layer first.
            record.lower.insert(ground, at: 0)
        }
    }

    /// Throws away what a node changed since its last checkpoint, or since it was made, and boots it.
    @discardableResult
    package func reset(_ name: NodeName) async throws -> LabNode {
        try await rebuild(name) { record, node in
            try await LabFiles.removeTree(node.upper(record.spec.disk))
        }
    }

    private func rebuild(_ name: NodeName, _ change: @escaping (inout NodeRecord, NodePaths) async throws -> Void)
        async throws -> LabNode
    {
        try await FileLock.with(paths.lock(of: labName)) {
            guard try record(of: name).spec.disk == .host else {
                throw BasculeError(.invalidInput, "a node with a disk of its own has no checkpoints")
            }
            try await halt(name) { record, cgroup in try await cgroup.kill(supervisor: record.supervisor?.pid) }
            var record = try record(of: name)
            let node = paths.node(name, of: labName)
            LabMounts.detach(node.root)
            try await change(&record, node)
            try await LabFiles.removeTree(node.work(record.spec.disk))
            try node.save(record)
        }
        return try await boot(name)
    }
}
