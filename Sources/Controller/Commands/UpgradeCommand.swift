import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeStore

/// `bascule node upgrade`
struct UpgradeNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade", abstract: "Bring nodes to the agent that came with this program.",
        discussion: """
            One node after the other. A new agent is on trial: it stays only if this
            program reaches it in time; else the node goes back to the agent that it had,
            by itself, and the upgrade stops there.
            Examples:
              bascule node upgrade              all nodes
              bascule node upgrade vps1 --trial 120
            """)
    @OptionGroup var options: FleetOptions
    @Argument(help: "Nodes; all that have an agent if none is named.") var names: [String] = []
    @Option(help: "Seconds that a new agent has to come up and be reached.") var trial = 60

    func validate() throws {
        guard (1...3600).contains(trial) else { throw ValidationError("a trial lasts 1 to 3600 seconds") }
    }

    func run() async throws {
        let session = try options.session()
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        for node in try options.nodes(names, session) {
            try await AgentUpgrade(
                session: session, trial: .seconds(trial),
                say: { Terminal.say("\(node)  \(Terminal.escape($0))") }
            ).run(node)
        }
        await session.close()
    }
}
