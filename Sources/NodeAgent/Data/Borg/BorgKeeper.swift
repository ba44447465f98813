import BasculeModel
import Glibc

/// Works on Borg's repositories: lists, checks and prunes, restores, and damages copies to see it noticed.
package enum BorgKeeper {
    /// Does one task and reports. Blocks the calling thread until done. Throws `borg-failed`, `files-target-not-empty`,
    /// `invalid-input`, `disk-full`, `input-output`.
    package static func run(
        _ task: BorgTask, resolve: @escaping (SecretName) throws -> Secret,
        progress: @escaping @Sendable (MoveProgress) -> Void = { _ in }
    ) throws -> BorgReport {
        let start = MoveClock.now()
        var report = BorgReport()
        switch task {
        case .archives(let repository):
            report.archives = try BorgTool(repository, resolve: resolve).archives()
        case .prune(let repository, let keep, let record):
            report = try prune(repository, keep, record, resolve, progress)
        case .restore(let repository, let wanted):
            report = try restore(try fetched(repository, resolve, progress), wanted, resolve, progress)
        case .controls(let repository, let scratch):
            report.controls = try BorgControls(
                repository: try fetched(repository, resolve, progress), scratch: scratch, resolve: resolve
            ).run()
        }
        report.seconds = MoveClock.now() - start
        return report
    }

    /// Where the repository is a copy in a bucket: brought here first.
    private static func fetched(
        _ repository: BorgRepository, _ resolve: @escaping (SecretName) throws -> Secret,
        _ progress: @Sendable (MoveProgress) -> Void
    ) throws -> BorgRepository {
        guard let bucket = repository.bucket, access("\(repository.location)/config", F_OK) != 0 else {
            return repository
        }
        progress(MoveProgress(subject: bucket.bucket, phase: "fetch"))
        try BucketCopy(bucket, resolve: resolve).fetch(to: repository.location)
        return repository
    }

    // MARK: prune

    private static func prune(
        _ repository: BorgRepository, _ keep: BorgKeep, _ record: [String],
        _ resolve: @escaping (SecretName) throws -> Secret,
        _ progress: @Sendable (MoveProgress) -> Void
    ) throws -> BorgReport {
        var report = BorgReport()
        let tool = try BorgTool(repository, resolve: resolve)
        report.archives = try tool.archives()
        let names = Set(report.archives.map(\.name))
        report.missing = record.filter { !names.contains($0) }
        guard report.missing.isEmpty else { return report }
        progress(MoveProgress(subject: repository.location, phase: "check", rows: Int64(names.count)))
        // With the data: an archive that cannot be read is none that may stay in another's place.
        _ = try tool.output(["check", "--verify-data"])
        progress(MoveProgress(subject: repository.location, phase: "prune", rows: Int64(names.count)))
        // Each series by itself: a dump is no younger archive of the files.
        for series in Set(report.archives.map { Self.series($0.name) }).sorted() {
            _ = try tool.output(
                [
                    "prune", "--glob-archives=\(series)-????-??-??T??:??:??", "--keep-within=1d",
                    "--keep-daily=\(keep.daily)", "--keep-weekly=\(keep.weekly)", "--keep-monthly=\(keep.monthly)",
                ])
        }
        _ = try tool.output(["compact"])
        let left = try tool.archives()
        let kept = Set(left.map(\.name))
        report.pruned = report.archives.map(\.name).filter { !kept.contains($0) }
        report.archives = left
        if let bucket = repository.bucket {
            try BucketCopy(bucket, resolve: resolve).mirror(from: repository.location)
        }
        return report
    }

    /// An archive's name without its time, which is 20 characters with the dash before it.
    static func series(_ name: String) -> String { String(name.dropLast(20)) }

    // MARK: restore

    private static func restore(
        _ repository: BorgRepository, _ wanted: BorgRestore, _ resolve: @escaping (SecretName) throws -> Secret,
        _ progress: @escaping @Sendable (MoveProgress) -> Void
    ) throws -> BorgReport {
        var report = BorgReport()
        let tool = try BorgTool(repository, resolve: resolve)
        report.archives = try tool.archives()
        guard let archive = wanted.archive ?? report.archives.last(where: { !$0.name.contains("-dump-") })?.name,
            report.archives.contains(where: { $0.name == archive })
        else {
            throw BasculeError(
                .invalidInput, "The repository has no archive \(wanted.archive ?? "at all")",
                at: .thing(repository.location),
                hint: "bascule snapshot list shows what there is")
        }
        report.archive = archive
        let patterns = wanted.paths.map { "pp:\($0.drop { $0 == "/" })" }
        try tool.lines(["list", "--format", "{type} {size}{NL}", "::\(archive)"] + patterns) { line in
            guard line.hasPrefix("-") else { return }
            report.files += 1
            report.bytes += line.split(separator: " ").last.flatMap { Int64($0) } ?? 0
        }
        guard report.files > 0 else {
            throw BasculeError(
                .invalidInput, "\(archive) holds nothing of \(wanted.paths.joined(separator: ", "))",
                hint: "paths are written whole, as they were on their node")
        }
        // Measured on two cores: 60 MB a second from a disk of its own, 400 files a second besides.
        report.estimate = 1 + Double(report.bytes) / 60e6 + Double(report.files) / 400
        if wanted.isEstimate { return report }
        try prepare(wanted, report.bytes)
        let total = report.bytes
        progress(MoveProgress(subject: archive, phase: "restore", totalBytes: total))
        _ = try tool.output(["extract", "--numeric-ids", "::\(archive)"] + patterns, in: wanted.into)
        sync()
        return report
    }

    /// The target is there, has room, and holds nothing of what would be written, unless told.
    private static func prepare(_ wanted: BorgRestore, _ bytes: Int64) throws {
        var path = ""
        for part in wanted.into.split(separator: "/") {
            path += "/\(part)"
            guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw ArchiveFolder.failure("make", path) }
        }
        var status = statvfs()
        let free =
            statvfs(wanted.into, &status) == 0
            ? Int64(clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).0)
            : Int64.max
        guard bytes < free / 10 * 9 else {
            throw BasculeError(
                .diskFull, "The restore needs about \(bytes >> 20) MiB, \(free >> 20) MiB are free",
                at: .thing(wanted.into))
        }
        guard !wanted.overwrites else { return }
        // Into a folder of its own nothing may be; into the root only what is restored may not be there.
        let root = wanted.into.hasSuffix("/") ? String(wanted.into.dropLast()) : wanted.into
        let places = root.isEmpty ? wanted.paths : [root]
        for place in places where !isEmpty(place) {
            throw BasculeError(
                .filesTargetNotEmpty, "There is something at \(place) already", at: .thing(place),
                hint: "Restore into an empty folder (--into), or say --overwrite.")
        }
    }

    /// Whether nothing is there, or an empty folder.
    private static func isEmpty(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0 else { return errno == ENOENT }
        guard status.st_mode & S_IFMT == S_IFDIR, let directory = opendir(path) else { return false }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { return false }
        }
        return true
    }
}
