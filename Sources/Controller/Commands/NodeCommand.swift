import ArgumentParser
import BasculeConducting
import BasculeFleet
import BasculeModel
import BasculeStore
import Foundation

/// `bascule node`
struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "The fleet's nodes.",
        subcommands: [List.self, BootstrapNode.self, Forget.self, UpgradeNode.self, RotateNode.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What the fleet file and the store know of the nodes.")
        @OptionGroup var options: FleetOptions
        @OptionGroup var output: OutputOptions

        private struct Row: Encodable {
            var name: String
            var address: String?
            var roles: [String]
            var agent: String?
            var machine: String?
        }

        func run() async throws {
            let session = try options.session()
            for name in session.fleet.nodeNames {
                let record = try session.store.node(name)
                let row = Row(
                    name: name.rawValue, address: try await session.endpoint(name)?.description,
                    roles: session.fleet.active.roles(of: name).map(\.rawValue),
                    agent: record.agent, machine: record.machine)
                if output.json {
                    try Terminal.json(row)
                } else {
                    Terminal.say(
                        "\(name)  \(row.address ?? "not up")  \(row.roles.joined(separator: ","))  \(row.agent.map { "agent \($0)" } ?? "no agent")"
                    )
                }
            }
        }
    }

    struct BootstrapNode: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "bootstrap", abstract: "Put the agent on a node over your own SSH login.",
            discussion: """
                Examples:
                  bascule node bootstrap vps1
                  bascule node bootstrap vps1 --yes --accept-host-key SHA256:…
                """)
        @OptionGroup var options: FleetOptions
        @OptionGroup var contact: ContactOptions
        @Argument(help: "The node's name in the fleet file.") var name: String
        @Flag(help: "Do not ask.") var yes = false

        func run() async throws {
            let session = try options.session()
            let lease = try StoreLease(beside: session.store.path)
            defer { withExtendedLifetime(lease) {} }
            guard yes || Terminal.ask("Install the Bascule agent on \(name)?") else {
                throw BasculeError(.cancelled, "nothing was done")
            }
            let node = NodeName(name)
            try await Bootstrap(
                session: session, contact: contact.contact(), say: { Terminal.say("\(name)  \(Terminal.escape($0))") }
            ).run(node)
            guard case .facts(let facts) = try await session.link(node).ask(.facts) else { return }
            try session.store.save(facts, of: node)
            await session.close()
        }
    }

    struct Forget: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take the agent off a node, and forget the node; what was configured on it stays.",
            discussion: """
                Examples:
                  bascule node forget vps1  agent, keys, user and state go from the node
                  bascule node forget vps1 --keep-agent   only this store forgets it
                  bascule node forget vps1 --yes --force  also if the node is out of reach
                """)
        @OptionGroup var options: FleetOptions
        @OptionGroup var contact: ContactOptions
        @Argument(help: "The node's name.") var name: String
        @Flag(help: "Leave the node as it is; only this store forgets it.") var keepAgent = false
        @Flag(help: "Do not ask.") var yes = false
        @Flag(help: "Forget the node also where its agent cannot be taken off.") var force = false

        func run() async throws {
            let session = try options.session()
            let lease = try StoreLease(beside: session.store.path)
            defer { withExtendedLifetime(lease) {} }
            let node = NodeName(name)
            let farewell = Farewell(session: session, contact: contact.contact()) {
                Terminal.say("\(name)  \(Terminal.escape($0))")
            }
            if !keepAgent, try session.isBootstrapped(node) {
                guard
                    yes || Terminal.ask("Take the agent off \(name), with its secrets, snapshots and store backups?")
                else {
                    throw BasculeError(
                        .cancelled, "nothing was done",
                        hint: Terminal.isInteractive ? nil : "without a terminal, --yes starts it")
                }
                do {
                    try await farewell.clean(node)
                    Terminal.say("\(name)  the agent is gone: unit, program, user, keys, state")
                } catch let error as BasculeError where error.code == .notCleaned && force && yes {
                    Terminal.fail(error)
                    Terminal.error("what stays on \(name): \(Farewell.leftovers)")
                    Terminal.error("when it answers again, as root on it: bascule-agent uninstall")
                }
            }
            let gone = try await farewell.forget(node)
            await session.close()
            if !gone.isEmpty { Terminal.say("secrets removed: \(gone.map(\.rawValue).joined(separator: ", "))") }
            Terminal.say("\(name) is forgotten; the next bootstrap is a first contact")
        }
    }
}

/// `bascule facts`
struct FactsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "facts", abstract: "What the nodes are.", discussion: "Example: bascule facts vps1 --json")
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "Nodes; all if none is named.") var names: [String] = []

    private struct Row: Encodable {
        var node: String
        var facts: NodeFacts
    }

    func run() async throws {
        let session = try options.session()
        for node in try options.nodes(names, session) {
            guard case .facts(let facts) = try await session.link(node).ask(.facts) else { continue }
            try session.store.save(facts, of: node)
            if output.json {
                try Terminal.json(Row(node: node.rawValue, facts: facts))
            } else {
                FactsView(node: node, facts: facts).lines.forEach { Terminal.say($0) }
            }
        }
        await session.close()
    }
}
