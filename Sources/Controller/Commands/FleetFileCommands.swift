import ArgumentParser
import BasculeFleet
import BasculeModel
import Foundation

/// `bascule validate`
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Check a fleet file; every mistake at its place.",
        discussion: "Example: bascule validate fleet.yaml")

    @Argument(help: "The fleet file.")
    var path = "fleet.yaml"
    @OptionGroup var output: OutputOptions

    private struct Mistake: Encodable {
        var severity: String
        var error: BasculeError
    }

    func run() throws {
        do {
            let parsed = try FleetFile.parse(path: path)
            try show(parsed.warnings)
            if !output.json {
                let fleet = parsed.fleet
                let parts = [
                    Self.counted(fleet.nodes.count, "node"), Self.counted(fleet.apps.count, "app"),
                    Self.counted(fleet.resources.count, "resource") + " of its own",
                ]
                let migration = fleet.migration == nil ? "" : ", a migration"
                Terminal.say("\(path) is valid: \(parts.joined(separator: ", "))\(migration)")
            }
        } catch let errors as FleetErrors {
            try show(errors.warnings + errors.errors)
            if !output.json { Terminal.error("\(Self.counted(errors.errors.count, "mistake")) in \(path)") }
            throw ExitStatus(code: 1)
        }
    }

    private static func counted(_ count: Int, _ word: String) -> String { "\(count) \(word)\(count == 1 ? "" : "s")" }

    private func show(_ diagnostics: [FleetDiagnostic]) throws {
        for diagnostic in diagnostics {
            if output.json {
                try Terminal.json(Mistake(severity: diagnostic.severity.rawValue, error: diagnostic.error))
            } else {
                Terminal.error(diagnostic.render(color: Terminal.errorsHaveColor))
            }
        }
    }
}

/// `bascule schema`
struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the fleet file's JSON Schema.",
        discussion: "Example: bascule schema > fleet.schema.json")
    func run() { Terminal.say(FleetSchema.json()) }
}
