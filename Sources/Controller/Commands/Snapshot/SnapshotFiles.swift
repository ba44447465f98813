import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeStore
import Foundation

/// `bascule snapshot archives`
struct SnapshotArchives: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "archives", abstract: "The archives of files, asked of the nodes that keep them.",
        discussion: """
            What was seen goes on record here; an archive on record that is gone is said,
            and fails the command.
            Example: bascule snapshot archives
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var contact: ContactOptions

    func run() async throws {
        let session = try options.session()
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        let desk = BorgDesk(session: session)
        var gone = 0
        for place in try await desk.places() {
            let planned = try desk.plan(
                .archives(place.repository), on: place.keeper,
                title: "list the archives of \(place.node) at \(place.target)", estimate: 3)
            let report = try await BorgRun(session: session, contact: contact, output: output).carryOut(planned)
            let missing = try desk.note(report.archives, of: place)
            for archive in report.archives {
                if output.json {
                    try Terminal.json(Line(node: place.node.rawValue, target: place.target, archive: archive))
                } else {
                    Terminal.say(
                        "\(HistoryCommand.time(archive.time))  \(place.node)  \(place.target)  \(Terminal.escape(archive.name))"
                    )
                }
            }
            for archive in missing {
                Terminal.error(
                    "\(Terminal.escape(archive.name)) of \(place.node) was at \(place.target) and is gone: do not prune; docs/services/borg.md tells how it comes back"
                )
            }
            gone += missing.count
        }
        await session.close()
        if gone > 0 { throw ExitStatus(code: 1) }
    }

    private struct Line: Encodable {
        var event = "archive"
        var node: String
        var target: String
        var archive: BorgArchive
    }
}

/// `bascule snapshot prune`
struct SnapshotPrune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Delete archives and base backups beyond what the fleet file keeps.",
        discussion: """
            Files by services.backup.borg.keep, PostgreSQL by its keep: on other nodes, and
            in buckets with a key for it. Only from here, never by a node: first every
            backup on record has to be there, then all that stay are read and checked, and
            only then old ones go. The first prune of a target only puts it on record.
            Example: bascule snapshot prune
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var contact: ContactOptions
    @Option(help: "Only this target.") var target: String?
    @Option(help: "Days of PostgreSQL to keep this once, instead of its keep; 0 keeps the newest full base backup.")
    var days: Int?

    func run() async throws {
        guard (0...3650).contains(days ?? 0) else { throw BasculeError(.invalidInput, "--days takes 0 to 3650") }
        let session = try options.session()
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        let desk = BorgDesk(session: session)
        let databases = PostgresPruning(
            session: session, contact: contact.contact(), observer: RunView(json: output.json, isTask: true).observer)
        let keep = session.fleet.services.backup?.borg?.keep
        guard keep != nil || !databases.places().isEmpty else {
            throw BasculeError(
                .notFound, "the fleet file declares no backups whose retention is to be kept from here",
                hint: "files: services.backup.borg; PostgreSQL: a target on another node, or one with prune")
        }
        var failed = false
        for place in databases.places() where target == nil || place.target == target {
            do { try await prune(databases, place) } catch let error as BasculeError {
                Terminal.fail(error)
                failed = true
            }
        }
        for place in try await desk.places() where target == nil || place.target == target {
            guard let keep else { continue }
            let record = try desk.record(of: place)
            let order = BorgTask.prune(
                place.repository, BorgKeep(daily: keep.daily, weekly: keep.weekly, monthly: keep.monthly),
                record: record.map(\.name))
            let planned = try desk.plan(
                order, on: place.keeper, title: "check and prune the archives of \(place.node) at \(place.target)",
                estimate: 60)
            do {
                let report = try await BorgRun(session: session, contact: contact, output: output).carryOut(planned)
                try desk.set(report.archives, of: place)
            } catch is ExitStatus { failed = true }
        }
        await session.close()
        if failed { throw ExitStatus(code: 1) }
    }
}

extension SnapshotPrune {
    private func prune(_ databases: PostgresPruning, _ place: PostgresPruning.Place) async throws {
        let what = "base backups of \(place.node) at \(place.target)"
        guard let report = try await databases.prune(place, days: days) else {
            Terminal.say("the \(what) are on record now; the next prune removes what is older than is kept")
            return
        }
        let wal = report.segments.map { ", \($0) segments of WAL, \((report.bytes ?? 0).bytesText)" } ?? ""
        Terminal.say("\(what): \(report.kept.count) checked and kept, \(report.pruned.count) removed\(wal)")
        for label in report.pruned { Terminal.say("  removed \(Terminal.escape(label))") }
    }
}

/// `bascule snapshot files`
struct SnapshotFiles: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "files", abstract: "Bring files or folders back from an archive.",
        discussion: """
            They appear below --into with their whole paths; nothing that is there is
            overwritten unless told.
            Examples:
              bascule snapshot files --path /srv/shop/uploads/7.jpg
              bascule snapshot files --path /etc --into /root/before --archive ARCHIVE
              bascule snapshot files --path /srv/shop/uploads --into / --overwrite
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var contact: ContactOptions
    @Option(parsing: .upToNextOption, help: "Absolute paths, as they were on the node.") var path: [String]
    @Option(help: "The folder below which they appear.") var into = "/var/lib/bascule-restore/files"
    @Option(help: "The archive; the newest if absent.") var archive: String?
    @Option(help: "Whose files; the node with the role backup, where there is one.") var node: String?
    @Option(name: .customLong("from"), help: "The target to take them from; the nearest if absent.") var target: String?
    @Flag(help: "Also over what is there.") var overwrite = false
    @Flag(help: "Do not ask.") var yes = false

    func run() async throws {
        guard !path.isEmpty, (path + [into]).allSatisfy({ $0.hasPrefix("/") && !$0.contains("/../") }) else {
            throw BasculeError(.invalidInput, "paths are absolute", hint: "--path /srv/shop/uploads")
        }
        let session = try options.session()
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        let desk = BorgDesk(session: session)
        let places = try await desk.places()
        let node = NodeName(node ?? places.first?.node.rawValue ?? "")
        guard let place = places.first(where: { $0.node == node && (target == nil || $0.target == target) }) else {
            throw BasculeError(
                .notFound, "no archives of \(node) are kept\(target.map { " at \($0)" } ?? "")",
                hint: "declare services.backup.borg, and give the node the role backup")
        }
        // On the node itself: its own repository, or the other node's as its own login sees it.
        let repository =
            place.keeper == node && place.remote == nil ? place.repository : place.remote ?? place.repository
        var wanted = BorgRestore(archive: archive, paths: path, into: into, overwrites: overwrite, isEstimate: true)
        let run = BorgRun(session: session, contact: contact, output: output)
        let forecast = try await run.carryOut(
            try desk.plan(
                .restore(repository, wanted), on: node, title: "see what a restore from \(place.target) would be",
                estimate: 5))
        Terminal.say(
            "\(forecast.files) files, \(forecast.bytes.bytesText) of \(Terminal.escape(forecast.archive ?? "")) into \(into), about \(forecast.estimate.durationText)"
        )
        guard yes || Terminal.isInteractive && Terminal.ask("Restore them?") else {
            throw BasculeError(
                .cancelled, "nothing was done",
                hint: Terminal.isInteractive ? nil : "without a terminal, --yes starts it")
        }
        (wanted.isEstimate, wanted.archive) = (false, forecast.archive)
        _ = try await run.carryOut(
            try desk.plan(
                .restore(repository, wanted), on: node, title: "restore files from \(place.target)",
                estimate: forecast.estimate))
        await session.close()
    }
}

/// Carries out a task of Borg's and gives its report.
struct BorgRun {
    let session: FleetSession
    let contact: ContactOptions
    let output: OutputOptions

    func carryOut(_ planned: Planned) async throws -> BorgReport {
        let view = RunView(json: output.json, isTask: true)
        view.expect(planned.plan)
        let report = try await Runner(session: session, contact: contact.contact(), observer: view.observer).run(
            planned)
        view.finish()
        if report.outcome.exitStatus != 0 { throw ExitStatus(code: report.outcome.exitStatus) }
        guard let found = BorgDesk.report(report) else {
            throw BasculeError(.protocolViolation, "the agent did not say what came of it")
        }
        return found
    }
}
