import ArgumentParser
import BasculeModel
import BasculeStore
import Foundation

/// `bascule bench`
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure the old system and the new one, and compare both with the targets.",
        discussion: """
            Examples:
              bascule bench run --url https://shop.example/ --as before
              bascule bench run --url https://shop.example/ --as after \\
                  --connect-to 203.0.113.10:443
              bascule bench                the table
              bascule bench pooling --yes  what PgBouncer brings, on this node
            """,
        subcommands: [BenchShow.self, BenchRun.self, BenchPooling.self], defaultSubcommand: BenchShow.self)
}

/// `bascule bench show`
struct BenchShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract:
            "The newest measurements before and after. Ends with 0, or 2 where a measured target is missed.")
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let store = try options.session().store
        let (before, after) = (try store.benchmark(.before), try store.benchmark(.after))
        guard before != nil || after != nil else {
            throw BasculeError(
                .notFound, "nothing was measured yet", hint: "bascule bench run --url https://… --as before")
        }
        let table = BenchTable(before: before, after: after)
        if output.json {
            try Terminal.json(table)
        } else {
            for measured in [before, after].compactMap({ $0 }) {
                let urls = measured.urls.map(Terminal.escape).joined(separator: ", ")
                Terminal.say(
                    "\(measured.side.rawValue): \(urls), \(measured.requests) requests by \(measured.concurrency) at a time in \(measured.seconds.durationText), \(HistoryCommand.time(measured.time))"
                )
            }
            Terminal.say()
            table.lines.forEach { Terminal.say($0) }
        }
        if table.missed > 0 { throw ExitStatus(code: 2) }
    }
}
