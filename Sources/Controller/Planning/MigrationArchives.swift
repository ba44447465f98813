import BasculeFleet
import BasculeModel

/// What is kept of the old system, and that what is kept of the new one can be restored.
extension MigrationPlanner {
    /// Every source as an archive on the conductor; none where the fleet file wants none.
    func archives() throws -> [ArchiveTask] {
        guard migration.finalBackup != .off else { return [] }
        func archive(_ name: String, _ source: ArchiveTask.Source) -> ArchiveTask {
            ArchiveTask(
                name: name, source: source, folder: "\(Self.archiveFolder)/\(name)", isFenced: false)
        }
        let mysql = migration.sources.sorted { $0.key < $1.key }.compactMap { name, source in
            if case .mysql(let source) = source { archive(name.rawValue, .mysql(source.url)) } else { nil }
        }
        return try postgresMoves().map { archive($0.0, .postgres($0.1)) } + mysql
            + redisMoves().map { archive($0.0, .redis($0.1)) }
            + filesMoves().map { name, move, key in
                var own = move
                // The key lies there only while a task runs, and the copy may run at the same time.
                if key != nil { own.identity += ".archive" }
                return archive(name, .files(own, key: key))
            }
    }

    /// Where the old system's archives stay, one folder a source.
    static var archiveFolder: String { "/srv/bascule/archive" }

    /// A first archive of each source, while it serves.
    mutating func addArchives(_ archives: [ArchiveTask]) {
        for archive in archives {
            let look = StepID("migration/copy/\(archive.name)-preflight")
            _ = add(
                .copy, "\(archive.name)-archive", "keep an archive of \(archive.name) as it is",
                .data(.archive(archive)), requires: steps.contains { $0.id == look } ? [look] : [], estimate: 5)
        }
    }

    /// Backups count only once one of them was restored.
    mutating func addDrillGate() {
        steps.append(
            Step(
                id: StepID("migration/prepare/drill"), phase: .prepare, node: nil,
                title: "see that the backups were restored by a drill that has not expired", action: .migrate(.drilled),
                reversal: .reversible(seconds: 0), cancellation: .abortable, estimate: 0.1))
    }

    /// The archives of the fenced sources; nil where there are none.
    mutating func addFinal(_ archives: [ArchiveTask], _ phase: Phase, after: [StepID]) -> [StepID]? {
        let ids = archives.map { archive in
            var final = archive
            final.isFenced = isFenced(archive)
            return add(
                phase, "\(archive.name)-archive", "keep the last archive of \(archive.name), the old system's",
                .data(.archive(final)), requires: after, estimate: 5)
        }
        return ids.isEmpty ? nil : ids
    }

    /// Whether a fence keeps everybody from writing to the source: the files' owners are only asked to.
    private func isFenced(_ archive: ArchiveTask) -> Bool {
        switch archive.source {
        case .postgres, .redis, .mysql: true
        case .files: false
        }
    }
}
