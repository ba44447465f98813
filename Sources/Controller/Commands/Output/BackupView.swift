import BasculeConducting
import BasculeModel

/// Backups for people. All texts are a node's, so they are escaped.
enum BackupView {
    static func show(_ state: PostgresBackupState, on node: NodeName) {
        for target in state.targets {
            let verified = target.verified.map { "verified \(HistoryCommand.time($0))" } ?? "never verified"
            let name = "PostgreSQL on \(node) → \(text(target.name)) (\(text(target.place)))"
            if let labels = target.labels {
                let time = target.copied.map { "has everything as of \(HistoryCommand.time($0))" } ?? "has nothing yet"
                Terminal.say("\(name): a copy of \(labels.count) base backups and their WAL, \(time)")
                if let error = target.error { Terminal.say("  \(Terminal.paint("trouble: \(text(error))", .red))") }
                continue
            }
            Terminal.say(
                "\(name): \(target.backups.count) base backups, \(verified)\(target.running ? ", one is being made" : "")"
            )
            if let error = target.error { Terminal.say("  \(Terminal.paint("trouble: \(text(error))", .red))") }
            if let system = target.system, !state.system.isEmpty, system != state.system {
                Terminal.say(
                    "  \(Terminal.paint("of another cluster: \(text(system)), here is \(text(state.system))", .red))")
            }
            for backup in target.backups {
                let size = "\(backup.bytes.bytesText), \(backup.stored.bytesText) stored"
                let mark = backup.damaged ? Terminal.paint("  has damaged pages", .red) : ""
                Terminal.say(
                    "  \(HistoryCommand.time(backup.ended))  \(text(backup.type))  \(text(backup.label))  from \(text(backup.from))  \(size)\(mark)"
                )
            }
            for wal in target.wal { Terminal.say("  WAL \(text(wal.first)) to \(text(wal.last))") }
        }
        for point in state.points {
            Terminal.say("  point \(text(point.name))  \(HistoryCommand.time(point.time))  \(text(point.lsn))")
        }
        if let waiting = state.waiting {
            let archived =
                state.archived.map { $0 > 0 ? "last archived \(HistoryCommand.time($0))" : "nothing archived yet" }
                ?? ""
            let late =
                waiting.files == 0
                ? "nothing waits" : "\(waiting.files) segments wait, the oldest for \(waiting.seconds.durationText)"
            Terminal.say("  archiving: \(late), \(archived)")
        }
        if let server = state.server {
            Terminal.say("  \(Terminal.paint("the server says nothing: \(text(server))", .red))")
        }
        if state.checksums == false {
            Terminal.say(
                "  the cluster has no page checksums: a damaged page would be backed up unseen (docs/services/backup.md)"
            )
        }
    }

    static func show(_ forecast: RestoreForecast, on node: NodeName, replaces: Bool) {
        if let fetch = forecast.fetch {
            let have = fetch.have > 0 ? ", \(fetch.have.bytesText) are here already" : ""
            Terminal.say(
                "first the backups of the cluster \(text(fetch.system)) are brought from \(text(fetch.place)): \(fetch.bytes.bytesText)\(have), about \(fetch.seconds.durationText)"
            )
        }
        Terminal.say(
            "base backup \(text(forecast.label)) of \(HistoryCommand.time(forecast.ended)) from \(text(forecast.target)), \(forecast.bytes.bytesText), then \(forecast.segments) segments of WAL at most"
        )
        for warning in forecast.warnings { Terminal.say("warning: \(text(warning))") }
        if let into = forecast.into { Terminal.say("it goes into \(text(into)); nothing that is there is touched") }
        if replaces {
            let before = forecast.before.map { " (\(text($0)))" } ?? ", which is empty"
            Terminal.say(
                "it replaces the cluster on \(node)\(before); that one is kept, and serves until the restored one is ready"
            )
        }
        Terminal.say("about \(forecast.seconds.durationText), by \(text(forecast.basis))")
    }

    static func show(_ report: RestoreReport, on node: NodeName) {
        let last = report.latest.isEmpty ? "" : "; the last transaction in it is of \(text(report.latest))"
        Terminal.say("restored up to \(text(report.reached))\(last)")
        Terminal.say("\(report.copied.durationText) copying, \(report.replayed.durationText) replaying")
        if let into = report.into { Terminal.say("it is in \(text(into))") }
        if let socket = report.socket {
            Terminal.say(
                "on \(node), as postgres: psql -h \(text(socket)); when it is no longer needed: bascule snapshot discard \(text(report.id))"
            )
        }
        if let repository = report.repository {
            Terminal.say(
                "the node's repository is now the one that was brought; its own, of another cluster, is kept in \(text(repository))"
            )
        }
        if let kept = report.kept {
            Terminal.say(
                "what was there is kept in \(text(kept)); bascule snapshot discard \(text(report.id)) removes it")
        }
    }

    private static func text(_ value: String) -> String { Terminal.escape(value) }
}
