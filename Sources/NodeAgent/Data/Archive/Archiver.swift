import BasculeModel
import FoundationEssentials
import Glibc

/// Keeps a source as files: what was there before a cutover. Everything blocks; the caller owns the thread.
package enum Archiver {
    /// What one kind of source counted.
    struct Count {
        var unit: String
        var count: Int64
        var expected: Int64?
        var sourceBytes: Int64
        var faults: [String] = []
        var about: [(String, String)] = []

        /// A source that is in use may have other numbers by now; one that is fenced may not.
        func missing(isFenced: Bool) -> [String] {
            guard let expected, isFenced ? count != expected : count * 2 < expected else { return [] }
            return ["\(count) \(unit) of \(expected)"]
        }
    }

    /// Takes one archive. Run again, it begins anew and replaces the earlier one whole.
    /// - Throws: what reaching and reading the source throws, `disk-full`, `cancelled`. An archive that is not what the
    ///   source says it holds does not throw: its report names the faults, and nothing is put into place.
    package static func run(
        _ task: ArchiveTask, resolve: (SecretName) throws -> Secret,
        progress: @escaping @Sendable (MoveProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> ArchiveReport {
        let start = MoveClock.now()
        let folder = try ArchiveFolder(task.folder)
        // What was begun and does not count would only take space.
        defer { folder.discard() }
        let tell: (String, Int64, Int64, Int64?) throws -> Void = { subject, rows, bytes, total in
            if isCancelled() { throw BasculeError(.cancelled, "The archive was cancelled") }
            progress(MoveProgress(subject: subject, phase: "archive", rows: rows, bytes: bytes, totalBytes: total))
        }
        let counted: Count =
            switch task.source {
            case .postgres(let move):
                try PostgresArchive(move: move, url: resolve(move.source), folder: folder, tell: tell).run()
            case .mysql(let url):
                try MySQLArchive(url: resolve(url), folder: folder, tell: tell, isCancelled: isCancelled).run()
            case .redis(let move):
                try RedisArchive(
                    session: RedisSession(move, resolve: resolve, isCancelled: isCancelled), folder: folder, tell: tell
                ).run(isFenced: task.isFenced)
            case .files(let move, _):
                try FilesArchive(
                    source: FilesSource(move, isCancelled: isCancelled), folder: folder, tell: tell
                ).run(isFenced: task.isFenced)
            }
        var report = ArchiveReport(
            folder: task.folder, files: folder.entries.count, bytes: folder.entries.reduce(0) { $0 + $1.bytes },
            sourceBytes: counted.sourceBytes, unit: counted.unit, count: counted.count, expected: counted.expected,
            manifest: Digest(rawValue: ""), faults: counted.faults, seconds: 0)
        report.faults += counted.missing(isFenced: task.isFenced)
        if report.faults.isEmpty {
            report.manifest = try folder.finish(
                [
                    ("source", task.name), ("unit", counted.unit), ("count", "\(counted.count)"),
                    ("expected", counted.expected.map { "\($0)" } ?? "not told"),
                    ("sourceBytes", "\(counted.sourceBytes)"), ("fenced", task.isFenced ? "yes" : "no"),
                    ("taken", Date().ISO8601Format()),
                ] + counted.about)
        }
        report.seconds = MoveClock.now() - start
        return report
    }
}
