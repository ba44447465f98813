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
                Terminal.say(
                    "\(path) is valid: \(fleet.nodes.count) nodes, \(fleet.apps.count) apps, \(fleet.resources.count) resources of its own\(fleet.migration == nil ? "" : ", a migration")"
                )
            }
        } catch let errors as FleetErrors {
            try show(errors.warnings + errors.errors)
            if !output.json { Terminal.error("\(errors.errors.count) mistakes in \(path)") }
            throw ExitStatus(code: 1)
        }
    }

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
