import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeStore
import Foundation

/// `bascule snapshot`
struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "What can be restored: configuration, databases; and restoring it.",
        discussion: """
            Configuration is kept before every apply (bascule rollback brings it back);
            data goes to the targets of services.backup.
            Examples:
              bascule snapshot list
              bascule snapshot create --point before-sale
              bascule snapshot restore --to-time 2026-12-06T02:59:00Z --replace
              bascule snapshot restore --database shop --table public.orders
            """,
        subcommands: [
            SnapshotList.self, SnapshotCreate.self, SnapshotRestore.self, SnapshotDiscard.self, SnapshotArchives.self,
            SnapshotFiles.self, SnapshotPrune.self, SnapshotDrill.self,
        ])
}

/// `bascule snapshot list`
struct SnapshotList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Everything that can be restored, oldest first.")
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let session = try options.session()
        for node in session.usedNodes where try session.isBootstrapped(node) {
            guard case .snapshots(let list) = try await session.link(node).ask(.snapshots) else { continue }
            for snapshot in list {
                if output.json {
                    try Terminal.json(snapshot)
                } else {
                    Terminal.say(
                        "\(HistoryCommand.time(snapshot.time))  \(node)  \(snapshot.segment)  \(snapshot.resources.count) resources"
                    )
                }
            }
        }
        let desk = BackupDesk(session: session)
        var failed = false
        for (node, kind) in desk.places() where try session.isBootstrapped(node) {
            do {
                switch kind {
                case .postgresql:
                    let state = try await desk.ask(kind, on: node, ["state"], as: PostgresBackupState.self)
                    if output.json { try Terminal.json(state) } else { BackupView.show(state, on: node) }
                }
            } catch let error as BasculeError {
                Terminal.fail(error)
                failed = true
            }
        }
        await session.close()
        if failed { throw ExitStatus(code: 1) }
    }
}

/// `bascule snapshot create`
struct SnapshotCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Take a base backup of PostgreSQL now, or name this moment.",
        discussion: """
            Without --point it makes a base backup to every target and verifies it. A
            point costs nothing: it is a mark in the WAL, which bascule snapshot restore
            --to-point finds again.
            Example: bascule snapshot create --point before-sale
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var contact: ContactOptions
    @Option(help: "A name for this moment: letters, digits, '.', '_' and '-'.") var point: String?

    func run() async throws {
        let session = try options.session()
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        let desk = BackupDesk(session: session)
        let node = try desk.node(of: .postgresql)
        let id = SnapshotRun.identifier()
        if let point {
            try await SnapshotRun(session: session, contact: contact, output: output).carryOut(
                try await desk.plan(
                    .postgresql, on: node, id: "point-\(id)", title: "name this moment \(Terminal.escape(point))",
                    command: ["point", point], unless: ["point-is-there", point], seconds: 2, timeout: 120))
        } else {
            let planned = try await desk.plan(
                .postgresql, on: node, id: "base-\(id)", title: "make a base backup of PostgreSQL",
                command: ["base-now", id], unless: ["made", id], seconds: 60, timeout: 20 * 3600)
            do {
                try await SnapshotRun(session: session, contact: contact, output: output).carryOut(
                    planned, closes: false)
            } catch let status as ExitStatus {
                let full = await desk.fullDisk(on: node)
                await session.close()
                throw full ?? status as any Error
            }
        }
        await session.close()
    }
}

/// `bascule snapshot discard`
struct SnapshotDiscard: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discard",
        abstract: "Remove what a restore left: the cluster that it replaced, or the one beside.")
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var contact: ContactOptions
    @Argument(help: "The restore, as bascule snapshot restore named it.") var restore: String
    @Flag(help: "Do not ask.") var yes = false

    func run() async throws {
        let session = try options.session()
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        let desk = BackupDesk(session: session)
        let node = try desk.node(of: .postgresql)
        guard
            yes
                || Terminal.ask(
                    "Remove what restore \(Terminal.escape(restore)) left on \(node)? It cannot be had back.")
        else { throw BasculeError(.cancelled, "nothing was done") }
        try await SnapshotRun(session: session, contact: contact, output: output).carryOut(
            try await desk.plan(
                .postgresql, on: node, id: "discard-\(SnapshotRun.identifier())",
                title: "remove what restore \(Terminal.escape(restore)) left",
                command: ["discard", restore], unless: ["discarded", restore], seconds: 5, timeout: 3600))
        await session.close()
    }
}

/// Carries out what a command about snapshots planned.
struct SnapshotRun {
    let session: FleetSession
    let contact: ContactOptions
    let output: OutputOptions

    /// For whoever has to name it later.
    static func identifier() -> String {
        String(UUID().uuidString.lowercased().filter { $0 != "-" }.prefix(12))
    }

    func carryOut(_ planned: Planned, closes: Bool = true) async throws {
        let view = RunView(json: output.json, isTask: true)
        view.expect(planned.plan)
        let report = try await Runner(session: session, contact: contact.contact(), observer: view.observer).run(
            planned)
        view.finish()
        if report.outcome.exitStatus != 0 {
            if closes { await session.close() }
            throw ExitStatus(code: report.outcome.exitStatus)
        }
    }
}
