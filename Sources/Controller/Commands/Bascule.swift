import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeProtocol
import Foundation

/// The root of the command line.
package struct Bascule: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "bascule",
        abstract:
            "Takes a small shop off rented services onto its own servers, as one plan that can be read, resumed and undone.",
        discussion: """
            A first migration:
              bascule init                  write a commented fleet.yaml
              bascule secret set NAME       set what the file names with !secret
              bascule plan                  what would be done; changes nothing
              bascule apply --through copy  prepare and copy while the old system serves
              bascule apply                 go on to the cutover
              bascule now                   who serves, who takes writes, what comes next
            """,
        version: ProtocolVersion.product,
        subcommands: [
            InitCommand.self, ValidateCommand.self, SchemaCommand.self, SecretCommand.self, NodeCommand.self,
            FactsCommand.self,
            PlanCommand.self, ApplyCommand.self, NowCommand.self, StatusCommand.self, DriftCommand.self,
            HistoryCommand.self,
            GoCommand.self, NoGoCommand.self, RollbackCommand.self, HoldCommand.self, ReleaseCommand.self,
            SnapshotCommand.self, ReportCommand.self,
            JourneyCommand.self, LabCommand.self, HolderCommand.self, RecoveryKitCommand.self, AdoptCommand.self,
            TokenCommand.self, MailCommand.self, ErrorsCommand.self, MonitoringCommand.self, CostCommand.self,
            BenchCommand.self, DataCommand.self,
        ])
    package init() {}

    /// The command that the command line names. Asking only that one, where it is content, spares the reflection of
    /// all the others, which is a third of the time that a small command takes.
    private static func parsed() throws -> any ParsableCommand {
        let words = CommandLine.arguments.dropFirst()
        if let name = words.first,
            let type = configuration.subcommands.first(where: { $0.configuration.commandName == name }),
            type.configuration.subcommands.isEmpty, let command = try? type.parseAsRoot(Array(words.dropFirst()))
        {
            return command
        }
        return try parseAsRoot()
    }

    /// Parses the command line, runs the command, and ends the process with the command's exit status.
    package static func start() async -> Never {
        signal(SIGPIPE, SIG_IGN)
        FileLimit.raise()
        // A core file would hold every secret that passed through.
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        do {
            var command = try parsed()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            LiveScreen.endAll()
            leave(0)
        } catch let status as ExitStatus {
            LiveScreen.endAll()
            leave(status.code)
        } catch let error as BasculeError {
            LiveScreen.endAll()
            Terminal.fail(error)
            leave(1)
        } catch {
            exit(withError: error)
        }
    }

    /// Ends the process at once. A thread may still be in the middle of a login that nobody waits for any more, and
    /// `exit` would take OpenSSL's locks from under it: a crash instead of the status.
    private static func leave(_ status: Int32) -> Never {
        fflush(nil)
        _exit(status)
    }
}

/// Ends a command with a status other than 0 after everything was said.
struct ExitStatus: Error {
    var code: Int32
}
