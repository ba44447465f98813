import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeStore
import Foundation

/// `bascule snapshot drill`
struct SnapshotDrill: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drill", abstract: "Restore everything onto a throwaway node, and sign what it was worth.",
        discussion: """
            From the copies that survive the node and the keys alone: files, databases,
            apps; then it reads every page, walks the customers' path, and damages copies
            to see it noticed. A migration goes on to its copy only with evidence that has
            not expired. Status: 0 all passed, 1 something did not.
            Example: bascule snapshot drill
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var contact: ContactOptions
    @Option(help: "Days for which its evidence counts.") var days = 7
    @Flag(help: "Leave the throwaway node up.") var keep = false

    func run() async throws {
        guard (1...90).contains(days) else { throw BasculeError(.invalidInput, "--days takes 1 to 90") }
        let parsed = try options.parse()
        let session = try FleetSession(parsed, file: options.file, storePath: options.store)
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        let view = RunView(json: output.json, isTask: true)
        let drill = Drill(
            parsed: parsed, file: options.file, session: session, contact: contact.contact(),
            lifetime: Double(days) * 86_400, keeps: keep, observer: view.observer)
        let record = try await drill.run()
        view.finish()
        await session.close()
        if output.json {
            try Terminal.json(record)
        } else {
            for one in record.evidence {
                Terminal.say(
                    "\(one.passed ? Terminal.paint("✓", .green) : Terminal.paint("✗", .red)) \(Terminal.escape(one.subject)): \(Terminal.escape(one.value))\(one.threshold.map { " (\($0))" } ?? "")"
                )
            }
            Terminal.say(
                record.passed
                    ? "the backups can be restored; this counts for \(days) days"
                    : "the backups cannot be relied on: what is marked did not pass")
        }
        if !record.passed { throw ExitStatus(code: 1) }
    }
}
