import ArgumentParser
import Testing

@testable import BasculeCommands

/// What `--help` prints, on a terminal of 80 columns.
struct HelpTests {
    /// Lines that are broken in the middle look as if somebody had lost the rest.
    @Test func explanationsFitAsTheyAreWritten() {
        var commands: [any ParsableCommand.Type] = [Bascule.self]
        var seen = 0
        while let command = commands.popLast() {
            commands += command.configuration.subcommands
            seen += 1
            let help = Bascule.helpMessage(for: command, columns: 80).split(separator: "\n").map(String.init)
            for line in command.configuration.discussion.split(separator: "\n") {
                #expect(help.contains(String(line)), "\(command): \(line)")
            }
        }
        #expect(seen > 40)
    }
}
