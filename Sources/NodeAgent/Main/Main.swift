import BasculeAgentCore
import Glibc

/// The agent's program.
@main
struct Agent {
    static func main() async {
        setvbuf(stdout, nil, Int32(_IOLBF), 0)
        exit(await AgentCommand.run(Array(CommandLine.arguments.dropFirst())))
    }
}
