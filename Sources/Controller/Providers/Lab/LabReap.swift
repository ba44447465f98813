import BasculeModel

/// Cleaning up after runs that could not do it themselves.
extension Lab {
    /// Removes what crashed runs left in any lab of this machine: labs whose process is gone, and half-made ones.
    /// - Returns: the names of the labs that were removed.
    @discardableResult
    package static func reap(
        home: String = "/var/lib/bascule-lab", progress: @escaping LabProgress = { _ in }
    ) async throws -> [String] {
        let paths = LabPaths(home: home)
        try paths.makeAll()
        var removed: [String] = []
        for name in paths.labNames() {
            // Whoever holds the lock is alive and knows what it is doing.
            let done = try await FileLock.tryWith(paths.lock(of: name)) {
                guard paths.loadLab(name)?.isAbandoned ?? true else { return false }
                progress("removing what a crashed run left of lab \(name)")
                try await Lab(labName: name, home: home).downLocked(nil)
                return true
            }
            if done == true { removed.append(name) }
        }
        return removed
    }

    func reapOthers(progress: @escaping LabProgress) async throws {
        try await Self.reap(home: paths.home, progress: progress)
    }

    /// In a lab that stays, removes the nodes that died on their own or never came up. In a lab that belongs to this
    /// process a dead node may be a test's intention, and is left alone once it had been started.
    func reapOwn(progress: LabProgress) async throws {
        guard let lab = paths.loadLab(labName) else { return }
        let network = LabNetwork(tag: lab.tag, subnet: lab.subnet)
        for record in paths.loadNodes(of: labName) where record.isDead {
            if lab.lifetime == .process && record.supervisor != nil { continue }
            progress("removing the dead node \(record.spec.name)")
            try await remove(record, network: network)
        }
    }
}
