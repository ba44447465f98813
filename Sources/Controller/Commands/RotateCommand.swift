import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeStore

/// `bascule node rotate`
struct RotateNode: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Exchange the keys between this workstation and the nodes.",
        discussion: """
            The fleet's SSH key, the key that signs requests, and each node's own sealing
            key. A node drops the former keys once the new ones have been proved to it;
            one that is out of reach goes on with the former ones until the same command
            reaches it.
            Examples:
              bascule node rotate       all nodes
              bascule node rotate vps1  one node now; the others when it is run for them
            """)
    @OptionGroup var options: FleetOptions
    @Argument(help: "Nodes; all that have an agent if none is named.") var names: [String] = []

    func run() async throws {
        let session = try options.session()
        let lease = try StoreLease(beside: session.store.path)
        defer { withExtendedLifetime(lease) {} }
        let report = try await Rotation(
            session: session, say: { Terminal.say("\($0)  \(Terminal.escape($1))") }
        ).run(names.map { NodeName($0) })
        await session.close()
        for (node, error) in report.left.sorted(by: { $0.key < $1.key }) {
            Terminal.error("\(node)  its keys were not all exchanged")
            Terminal.fail(error)
        }
        for node in report.waiting { Terminal.say("\(node)  is not through yet; it goes on with the keys that it has") }
        Terminal.say(
            report.isComplete
                ? "the fleet's keys are new: SSH and signatures"
                : "both keys are kept until every node has the new ones; go on with: bascule node rotate")
        if !report.left.isEmpty {
            throw BasculeError(
                .rotationIncomplete, "not every node has new keys", at: nil,
                cause: "out of reach or refused: \(report.left.keys.sorted().map(\.rawValue).joined(separator: ", "))",
                hint: "run it again: bascule node rotate; a node that is gone: bascule node forget NAME")
        }
    }
}

extension ErrorCode {
    /// A rotation did not reach every node that was asked for; those that are left go on with the keys that they had.
    static let rotationIncomplete: ErrorCode = "rotation-incomplete"
}
