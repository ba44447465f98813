import ArgumentParser
import BasculeFleet
import BasculeModel
import BasculeNet
import Foundation

/// `bascule journey`
struct JourneyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journey", abstract: "Walk a journey, once or for as long as a customer would.",
        subcommands: [Run.self, Watch.self])

    /// Where the site is.
    struct Site: ParsableArguments {
        @Option(help: "Where paths start, e.g. https://shop.example.") var url: String
        @Option(help: "Ask this name server, honouring TTLs.") var nameServer: String?
        @Flag(help: "Accept any certificate: for self-signed ones in a rehearsal.") var insecure = false
        @Option(help: "A journey's variable, NAME=VALUE; may be repeated.") var `var`: [String] = []

        func target() throws -> JourneyRunner.Target {
            var resolver: any Resolver = SystemResolver()
            if let nameServer {
                guard let address = IPAddress(nameServer) else {
                    throw BasculeError(.invalidInput, "\(nameServer) is not an address")
                }
                resolver = CachingResolver(DNSClient(server: address), types: [.a])
            }
            return JourneyRunner.Target(baseURL: url, resolver: resolver, trust: insecure ? .unverified : .systemStore)
        }

        func variables() throws -> [String: String] {
            try `var`.reduce(into: [:]) { known, text in
                let parts = text.split(separator: "=", maxSplits: 1)
                guard parts.count == 2 else { throw BasculeError(.invalidInput, "\(text) is not NAME=VALUE") }
                known[String(parts[0])] = String(parts[1])
            }
        }

        static func journey(_ path: String) throws -> Journey {
            do { return try JourneyFile.parse(path: path) } catch {
                Terminal.error(error.render(color: Terminal.errorsHaveColor))
                throw ExitStatus(code: 1)
            }
        }
    }

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Walk a journey once. Example: bascule journey run journeys/shop.yaml --url https://shop.example")
        @OptionGroup var site: Site
        @OptionGroup var output: OutputOptions
        @Argument(help: "The journey's file.") var file: String

        func run() throws {
            let result = JourneyRunner(try site.target()).run(
                try Site.journey(file), variables: try site.variables(), deadline: .seconds(120))
            if output.json {
                try Terminal.json(result)
            } else {
                for step in result.steps {
                    Terminal.say(
                        "\(step.ok ? Terminal.paint("✓", .green) : Terminal.paint("✗", .red)) \(step.name)  \(step.milliseconds.rounded(to: 0)) ms\(step.reason.map { "  \(Terminal.escape($0))" } ?? "")"
                    )
                }
                Terminal.say("\(result.outcome) in \(result.milliseconds.rounded(to: 0)) ms")
            }
            if !result.ok { throw ExitStatus(code: 1) }
        }
    }

    struct Watch: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Walk journeys again and again as a synthetic customer, and write down every attempt, until interrupted."
        )
        @OptionGroup var site: Site
        @Option(help: "A journey and its pace, FILE@SECONDS; may be repeated, each walks on its own.") var lane:
            [String]
        @Option(help: "Where every attempt is written, one JSON object a line.") var record: String

        func run() throws {
            let lanes = try lane.map { text -> SyntheticCustomer.Lane in
                let parts = text.split(separator: "@")
                guard parts.count == 2, let pace = Double(parts[1]), pace > 0 else {
                    throw BasculeError(.invalidInput, "\(text) is not FILE@SECONDS")
                }
                return SyntheticCustomer.Lane(journey: try Site.journey(String(parts[0])), every: pace, timeout: 10)
            }
            let customer = SyntheticCustomer(
                target: try site.target(), lanes: lanes, variables: try site.variables(), secrets: [:],
                record: try CustomerRecord(path: record))
            let interrupt = Interrupt { customer.stop() }
            defer { withExtendedLifetime(interrupt) {} }
            try customer.run(until: .never)
        }
    }
}
