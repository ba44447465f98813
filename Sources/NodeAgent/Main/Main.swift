import BasculeAgentCore
import Glibc

/// The agent's program.
@main
struct Agent {
    static func main() async {
        exit(await AgentCommand.run(Array(CommandLine.arguments.dropFirst())))
    }
}
