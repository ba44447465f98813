import ArgumentParser
import BasculeConducting
import BasculeModel
import Foundation

/// `bascule mail`
struct MailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mail", abstract: "Whether the fleet's mail will arrive.", subcommands: [Check.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What to publish, what the world sees, and whether mail gets out.",
            discussion: """
                Asks every name server of the domain, and has the mail node hand itself a
                message and reach port 25 outside. Status: 0 all is right, 2 something is to
                be done, 1 it could not be found out.
                Examples:
                  bascule mail check
                  bascule mail check --publish
                """)
        @OptionGroup var options: FleetOptions
        @OptionGroup var output: OutputOptions
        @Flag(help: "Write what is missing, where the fleet file says how (services.mail.dns or migration.dns).")
        var publish = false
        @Option(help: "The resolver to ask: a node, an address, or ADDRESS:PORT. This machine's own if not given.")
        var resolver: String?
        @Option(
            help: ArgumentHelp(
                "A mail server that the node should reach. A large receiver's if not given, or none with a relay.",
                valueName: "host[:port]"))
        var egress: String?

        func run() async throws {
            let session = try options.session()
            let json = output.json
            let check = MailCheck(session: session, publish: publish, resolver: resolver, egress: egress)
            let findings = try await check.run { finding in
                if json {
                    try Terminal.json(finding)
                } else {
                    MailView.lines(finding).forEach { Terminal.say($0) }
                }
            }
            await session.close()
            if !json { Terminal.say(MailView.summary(findings)) }
            let counted = findings.filter { !$0.isAdvice && $0.status != .right }
            if counted.contains(where: { $0.status != .unknown }) { throw ExitStatus(code: 2) }
            if !counted.isEmpty { throw ExitStatus(code: 1) }
        }
    }
}
