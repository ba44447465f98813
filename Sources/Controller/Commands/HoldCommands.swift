import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeProtocol
import Foundation

/// A length of time as people write it: `90s`, `30m`, `2h`, `7d`.
struct Span: ExpressibleByArgument, Equatable {
    var seconds: Double

    init(seconds: Double) { self.seconds = seconds }

    init?(argument: String) {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = argument.last.flatMap({ units[$0] }), argument.utf8.count <= 10,
            argument.dropLast().utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let count = Int(argument.dropLast()),
            count > 0
        else { return nil }
        seconds = Double(count) * unit
    }

    var defaultValueDescription: String { seconds.durationText }
}

/// What is held or released: a whole node, or one resource of it by its id, `node/kind:name`.
struct HoldTarget: Equatable {
    var node: NodeName
    var resource: ResourceID?

    /// Throws `invalid-input` for what is neither, and for a node that the fleet does not have.
    init(_ text: String, nodes: [NodeName]) throws {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        node = NodeName(String(parts[0]))
        guard nodes.contains(node) else {
            throw BasculeError(
                .invalidInput, "the fleet has no node \(parts[0])",
                hint:
                    "give a node, or a resource as bascule status and bascule plan --json name it: NODE/file:/etc/motd")
        }
        guard parts.count == 2 else { return }
        guard parts[1].contains(":"), !parts[1].hasPrefix(":") else {
            throw BasculeError(
                .invalidInput, "\(text) is no resource",
                hint: "a resource is NODE/KIND:NAME, such as \(node)/file:/etc/motd"
            )
        }
        resource = ResourceID(rawValue: text)
    }

    var text: String { resource?.rawValue ?? node.rawValue }
}

/// `bascule hold`
struct HoldCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hold", abstract: "Have an agent leave a resource, or its whole node, as it is.",
        discussion: """
            Healing reports what differs there and touches nothing until the hold ends. An
            apply does what it always does.
            Examples:
              bascule hold vps1 --for 2h --reason "looking into the slow queries"
              bascule hold vps1/file:/etc/nginx/nginx.conf
            """)
    @OptionGroup var options: FleetOptions
    @Argument(help: ArgumentHelp("A node, or a resource: NODE/KIND:NAME.", valueName: "resource|node"))
    var target: String
    @Option(name: .customLong("for"), help: "How long: 90s, 30m, 2h, 7d. Until released, if not given.") var length:
        Span?
    @Option(help: "Why, for whoever finds it.") var reason: String?

    func run() async throws {
        let session = try options.session()
        let held = try HoldTarget(target, nodes: session.fleet.nodeNames)
        let why = Terminal.escape(reason ?? "").isEmpty ? session.holder : "\(session.holder): \(reason ?? "")"
        _ = try await session.link(held.node).ask(
            .hold(held.resource, seconds: length?.seconds, reason: String(why.prefix(300))))
        try await session.collectEvents(held.node, newest: .max)
        await session.close()
        Terminal.say(
            "\(held.text) is left alone \(length.map { "for \($0.seconds.durationText)" } ?? "until bascule release \(held.text)")"
        )
    }
}

/// `bascule release`
struct ReleaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release", abstract: "End a hold: the agent heals again. A node's name ends all holds there.",
        discussion: "Example: bascule release vps1/file:/etc/nginx/nginx.conf")
    @OptionGroup var options: FleetOptions
    @Argument(help: ArgumentHelp("A node, or a resource: NODE/KIND:NAME.", valueName: "resource|node"))
    var target: String

    func run() async throws {
        let session = try options.session()
        let held = try HoldTarget(target, nodes: session.fleet.nodeNames)
        _ = try await session.link(held.node).ask(.release(held.resource))
        try await session.collectEvents(held.node, newest: .max)
        await session.close()
        Terminal.say("\(held.text) is healed again")
    }
}
