import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeStore
import Foundation

/// `bascule secret`
struct SecretCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret", abstract: "Secrets: encrypted in the store, never in a file.",
        subcommands: [Set.self, List.self])

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set a secret, typed or from standard input.",
            discussion: """
                Examples:
                  bascule secret set SOURCE_DATABASE_URL
                  bascule secret set TSIG < tsig.key
                """)
        @OptionGroup var options: FleetOptions
        @Argument(help: "The name that the fleet file uses with !secret.") var name: String

        func run() throws {
            guard !name.isEmpty,
                name.utf8.allSatisfy({
                    ($0 >= 48 && $0 <= 57) || ($0 >= 65 && $0 <= 90) || ($0 >= 97 && $0 <= 122) || $0 == 95 || $0 == 45
                })
            else {
                throw BasculeError(.invalidInput, "a secret's name is made of letters, digits, _ and -")
            }
            let store = try options.session().store
            let value: Secret?
            if Terminal.isInteractive {
                value = Terminal.secret("\(name): ")
            } else {
                // A key file keeps its line ends; a single line loses its last one.
                let text = String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
                value = Secret(
                    text.hasSuffix("\n") && text.dropLast().contains("\n") == false ? String(text.dropLast()) : text)
            }
            guard let value, !value.reveal().isEmpty else {
                throw BasculeError(
                    .invalidInput, "nothing was given for \(name)",
                    hint: "type it, or feed it: bascule secret set \(name) < FILE")
            }
            try store.setSecret(SecretName(name), value)
            Terminal.say("\(name) is set")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Names of the secrets that are set; never a value.")
        @OptionGroup var options: FleetOptions
        @OptionGroup var output: OutputOptions

        func run() throws {
            for secret in try options.session().store.secrets() {
                if output.json {
                    try Terminal.json(secret)
                } else {
                    let date = ISO8601DateFormatter().string(from: Date(timeIntervalSince1970: secret.changed))
                    Terminal.say("\(secret.name)  \(secret.origin)  \(date)")
                }
            }
        }
    }
}
