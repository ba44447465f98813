import ArgumentParser
import BasculeConducting
import BasculeFleet
import BasculeModel
import Foundation

/// What every command that works with a fleet takes.
struct FleetOptions: ParsableArguments {
    @Option(name: [.customShort("f"), .customLong("file")], help: "The fleet file.")
    var file = "fleet.yaml"

    @Option(help: "The store, if not $XDG_STATE_HOME/bascule/FLEET.db.")
    var store: String?

    @Option(help: ArgumentHelp("Take this topology instead of the one in force.", valueName: "name"))
    var topology: String?

    /// The fleet file, checked; every mistake is shown at its place.
    func parse() throws -> ParsedFleet {
        do {
            let parsed = try FleetFile.parse(path: file)
            for warning in parsed.warnings { Terminal.error(warning.render(color: Terminal.errorsHaveColor)) }
            return try placed(parsed)
        } catch let errors as FleetErrors {
            Terminal.error(errors.render(color: Terminal.errorsHaveColor))
            throw ExitStatus(code: 1)
        }
    }

    private func placed(_ parsed: ParsedFleet) throws -> ParsedFleet {
        guard let topology else { return parsed }
        guard parsed.fleet.topologies[TopologyName(topology)] != nil else {
            let known = parsed.fleet.topologies.keys.map(\.rawValue).sorted().joined(separator: ", ")
            throw BasculeError(.notFound, "\(file) has no topology \(topology)", hint: "it has: \(known)")
        }
        var other = parsed
        other.fleet.activeTopology = TopologyName(topology)
        return other
    }

    /// The fleet with its store.
    func session() throws -> FleetSession { try FleetSession(try parse(), file: file, storePath: store) }

    /// The nodes that were named, or all that have an agent. Throws `not-found` where there is none.
    func nodes(_ names: [String], _ session: FleetSession) throws -> [NodeName] {
        let nodes =
            names.isEmpty ? try session.usedNodes.filter { try session.isBootstrapped($0) } : names.map { NodeName($0) }
        guard !nodes.isEmpty else {
            throw BasculeError(
                .notFound, "no node has an agent yet", hint: "bascule node bootstrap NAME, or bascule apply")
        }
        return nodes
    }
}

/// How output looks.
struct OutputOptions: ParsableArguments {
    @Flag(help: "One JSON object a line, for machines.")
    var json = false
}

/// What a plan may do this once.
struct CapOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Let this plan delete so many resources, instead of caps.deletions of the fleet file.", valueName: "n"))
    var maxDeletes: Int?

    func validate() throws {
        if let maxDeletes, maxDeletes < 0 { throw ValidationError("--max-deletes takes a number from 0 on") }
    }
}

/// Nodes whose clocks are off, for people.
enum ClockSkew {
    static func lines(_ skews: [NodeName: Double]) -> [String] {
        skews.sorted { $0.key < $1.key }.map { node, seconds in
            "the clock of \(node) is \(abs(seconds).durationText) \(seconds > 0 ? "ahead" : "behind"): certificates and DNS signatures may be refused there; is time synchronisation on?"
        }
    }
}

/// How a first contact with a node is answered.
struct ContactOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Trust a node of this fingerprint at the first contact.", valueName: "SHA256:…"))
    var acceptHostKey: String?

    /// Asks on the terminal, where there is one.
    func contact() -> FirstContact {
        guard Terminal.isInteractive else { return FirstContact(fingerprint: acceptHostKey) }
        let ask: @Sendable (SSHHostKey) async -> Bool = { key in
            Terminal.error("The node presents a \(key.type) key: \(key.fingerprint)")
            return Terminal.ask("Is this the node's own key?")
        }
        let passphrase: @Sendable (String, Int) async -> Secret? = { name, _ in
            Terminal.secret("Passphrase of \(name): ")
        }
        return FirstContact(fingerprint: acceptHostKey, ask: ask, passphrase: passphrase)
    }
}
