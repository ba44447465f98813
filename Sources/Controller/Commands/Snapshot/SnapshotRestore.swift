import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeStore
import Foundation

/// `bascule snapshot restore`
struct SnapshotRestore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Bring PostgreSQL back as it was at a moment: all of it, one database, or one table.",
        discussion: """
            It is restored beside what is there first, so that a restore which fails
            leaves everything as it is; the cluster that is replaced is kept until bascule
            snapshot discard. Without a moment everything that is archived comes back.
            Examples:
              bascule snapshot restore           onto a new, empty node
              bascule snapshot restore --to-time 2026-12-06T02:59:00Z --replace
              bascule snapshot restore --to-point before-sale --database shop --as before
              bascule snapshot restore --database shop --table public.orders
                  into the schema `restored`
              bascule snapshot restore --beside  a second cluster on a socket of its own
              bascule snapshot restore --from away
                  away is another node: its copy is brought here first
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var contact: ContactOptions
    @Option(help: "A time with its zone: 2026-12-06T02:59:00Z. Every transaction committed up to it is there.")
    var toTime: String?
    @Option(help: "A position in the WAL.") var toLsn: String?
    @Option(help: "A moment that bascule snapshot create --point named.") var toPoint: String?
    @Option(help: "The line to follow where earlier restores left several; the newest if absent.") var timeline: Int?
    @Option(name: .customLong("from"), help: "The target to take it from; the nearest that has it if absent.")
    var target: String?
    @Option(help: "Whose backups, where another node keeps those of several clusters: the system identifier.")
    var cluster: String?
    @Option(name: .customLong("set"), help: "The base backup to begin with; the newest before the moment if absent.")
    var label: String?
    @Option(help: "Only this database, as a new one beside the one that is there.") var database: String?
    @Option(help: "Only this table of it (SCHEMA.NAME), into a schema of its own.") var table: String?
    @Option(name: .customLong("as"), help: "The new database's, or the schema's, name.") var name: String?
    @Flag(help: "Leave the running cluster alone: start a second one, on a Unix socket only.") var beside = false
    @Flag(help: "Replace a cluster that holds data; it is kept until bascule snapshot discard.") var replace = false
    @Flag(help: "Replace it though it is another cluster than the backup's.") var otherCluster = false
    @Flag(help: "Do not ask.") var yes = false

    private var words: [String] {
        let pairs: [(String, String?)] = [
            ("--to-time", toTime), ("--to-lsn", toLsn), ("--to-point", toPoint),
            ("--timeline", timeline.map(String.init)),
            ("--target", target), ("--cluster", cluster), ("--set", label), ("--database", database),
            ("--table", table), ("--as", name),
        ]
        let flags = [("--beside", beside), ("--replace", replace || otherCluster), ("--other-cluster", otherCluster)]
        return pairs.flatMap { key, value in value.map { [key, $0] } ?? [] } + flags.filter(\.1).map(\.0)
    }

    func run() async throws {
        let session = try options.session()
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        let desk = BackupDesk(session: session)
        let node = try desk.node(of: .postgresql)
        let forecast = try await desk.ask(.postgresql, on: node, ["forecast"] + words, as: RestoreForecast.self)
        if let refusal = forecast.refusals.first {
            await session.close()
            throw BasculeError(
                .restoreRefused, Terminal.escape(refusal.text), at: .node(name: node.rawValue, subject: nil),
                hint: Self.hint(refusal.code))
        }
        if !output.json { BackupView.show(forecast, on: node, replaces: database == nil && !beside) }
        guard yes || Terminal.isInteractive && Terminal.ask("Restore it?") else {
            throw BasculeError(
                .cancelled, "nothing was done",
                hint: Terminal.isInteractive ? nil : "without a terminal, --yes starts it")
        }
        let id = SnapshotRun.identifier()
        let planned = try await desk.plan(
            .postgresql, on: node, id: "restore-\(id)",
            title: "restore PostgreSQL from \(Terminal.escape(forecast.label))",
            command: ["restore", id] + words, unless: ["restored", id], seconds: forecast.seconds,
            // A restore that takes three times as long as reckoned still goes on.
            timeout: max(3600, Int(min(forecast.seconds * 4, 7 * 86_400))))
        try await SnapshotRun(session: session, contact: contact, output: output).carryOut(planned)
        let report = try await desk.ask(.postgresql, on: node, ["restored", id], as: RestoreReport.self)
        await session.close()
        if output.json { try Terminal.json(report) } else { BackupView.show(report, on: node) }
    }

    private static func hint(_ code: String) -> String {
        switch code {
        case "restore-not-empty":
            "--replace puts the restored one in its place and keeps this one; --beside leaves it alone; --as takes another name"
        case "restore-other-cluster":
            "if it really is to go: --replace --other-cluster (it is kept until bascule snapshot discard)"
        case "restore-gap": "another target may have it: --from NAME; up to the gap: --to-lsn or --to-time"
        case "restore-space":
            "bascule snapshot discard removes what earlier restores kept; or restore onto another node"
        default: "bascule snapshot list shows what there is"
        }
    }
}
