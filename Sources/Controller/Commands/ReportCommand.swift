import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeNet
import BasculeStore
import Foundation

/// `bascule report`
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "What the migration did, measured: report.md and report.json.",
        discussion: "Example: bascule report --customer customer.jsonl --out .")
    @OptionGroup var options: FleetOptions
    @Option(help: "The record of a synthetic customer (bascule journey watch --record).") var customer: String?
    @Option(
        help:
            "Names by which the old system's servers call themselves, in the customer's record (a comma between them).")
    var old = ""
    @Option(help: "The same for the new system.") var new = ""
    @Option(help: "The folder for report.md and report.json.") var out = "."
    @Option(help: "Orders in the new database, to be compared with those that the customer was told are placed.")
    var orders: Int?

    func run() throws {
        let session = try options.session()
        var report = try MigrationReport.make(session)
        if let customer {
            let attempts = try CustomerRecord.read(path: customer)
            report.add(
                attempts, old: Set(old.split(separator: ",").map(String.init)),
                new: Set(new.split(separator: ",").map(String.init)), orders: orders)
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(report).write(to: URL(fileURLWithPath: "\(out)/report.json"))
        let text = report.markdown
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(out)/report.md"))
        Terminal.say(text)
    }
}
