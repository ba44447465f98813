import BasculeModel
import BasculeProtocol
import FoundationEssentials
import Glibc

/// The agent's program: which word does what.
package enum AgentCommand {
    private static let help = """
        bascule-agent: what Bascule runs on every node

          bascule-agent daemon                 serve (what the unit runs)
          bascule-agent connect                forced command: bridge standard input and output to the agent
          bascule-agent edge                   forced command: one of the three words of the old edge
          bascule-agent release-door APP TOKEN forced command: the release of one app, for a token's key
          bascule-agent refuse                 forced command: tells a replaced controller that it was replaced
          bascule-agent install --fleet-key K --controller-key K --epoch N
                                               put the agent on this machine (what the bootstrap runs)
          bascule-agent uninstall              take it off again; what it configured stays
          bascule-agent identity               what this node is to controllers, as JSON
          bascule-agent backups [NUMBER]       the controller's store backups here; one of them to standard output
          bascule-agent task                   a data task in a process of its own (what the agent runs)
          bascule-agent trial [--over]         bring the previous program back where a new one fails (what the unit runs)
          bascule-agent errors collect APP...  group what the apps threw since the last time (what its timer runs)
          bascule-agent version

        On the node's own console, as root:
          bascule-agent status [--json]        what this node keeps whole, what differs, what is held
          bascule-agent now                    a verdict, and what to do next
          bascule-agent hold [RESOURCE] [--for 2h]
                                               leave one resource, or the whole node, alone
          bascule-agent release [RESOURCE]     end the hold, or all of them
          bascule-agent undo                   put back the configuration of before the last apply
          bascule-agent rollback               tell the running migration to go back

        """

    /// The process's exit status.
    package static func run(_ arguments: [String]) async -> Int32 {
        // `daemon` and `connect` take folders of their own: several agents on one machine, for measuring.
        let paths =
            ["daemon", "connect"].contains(arguments.first) && arguments.count == 3
            ? AgentPaths(state: arguments[1], runtime: arguments[2]) : AgentPaths()
        do {
            switch arguments.first {
            case "daemon": try await AgentServer(paths: paths).run()
            case "connect": try Bridge.run(socket: paths.socket)
            case "edge":
                try EdgeWord.say(getenv("SSH_ORIGINAL_COMMAND").map { String(cString: $0) } ?? "", paths: paths)
            case "install":
                let given = Dictionary(
                    zip(arguments.dropFirst(), arguments.dropFirst(2)).enumerated().filter {
                        $0.offset.isMultiple(of: 2)
                    }
                    .map(\.element), uniquingKeysWith: { $1 })
                guard arguments.count == 7, let fleet = given["--fleet-key"], let key = given["--controller-key"],
                    let epoch = given["--epoch"].flatMap({ Int($0) })
                else { throw usage }
                let pinned = try Install.run(fleetKey: fleet, controllerKey: key, epoch: epoch, paths: paths)
                print(pinned.rawValue)
            case "uninstall": try Uninstall.run(paths: paths)
            case "release-door":
                guard arguments.count == 3 else { throw usage }
                let enter = DoorRequest.enter(app: arguments[1], token: arguments[2])
                try Bridge.run(
                    socket: paths.releaseSocket, saying: try Wire.frame(.request, id: 0, enter))
            case "refuse": try Replaced.answer()
            case "status", "now", "hold", "release", "undo", "rollback":
                try Console(paths: paths).run(arguments)
            case "identity": try Console.identity(paths: paths)
            case "backups":
                if arguments.count == 1 {
                    try BackupKeeper(paths: paths).printList()
                } else {
                    guard let number = Int(arguments[1]) else { throw usage }
                    try BackupKeeper(paths: paths).write(number: number)
                }
            case "trial":
                try Upgrade.judge(isOver: arguments.dropFirst().first == "--over", paths: paths)
            case "task": return DataChild.run()
            case "errors":
                guard arguments.count > 2, arguments[1] == "collect" else { throw usage }
                try ErrorCollector(paths: paths, apps: Array(arguments[2...])).run()
            case "version": print("bascule-agent \(ProtocolVersion.product) \(Install.architecture)")
            case "help", "--help", "-h": print(help)
            default: throw usage
            }
            return 0
        } catch {
            StandardError.write(line: "bascule-agent: \(BasculeError.wrapping(error, "failed"))")
            return 1
        }
    }

    private static var usage: BasculeError {
        BasculeError(.invalidInput, "this is not a command of the agent", hint: "bascule-agent help lists them")
    }
}
