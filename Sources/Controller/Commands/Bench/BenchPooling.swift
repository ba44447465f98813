import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeProtocol

/// `bascule bench pooling`
struct BenchPooling: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pooling",
        abstract: "What PgBouncer brings on this very node: pgbench with it and without it.",
        discussion: """
            Runs on the database's node, in a database of its own which goes again,
            through a second PgBouncer with the settings of the first. Each way of asking
            runs in turn, so that other load hits all alike; medians are shown. It puts
            the node under full load meanwhile: not while customers buy.
            An app that keeps its own pool is like `connections kept`; one that connects
            for each request (PHP, serverless functions, scripts) is like `connecting each
            time`.
            Examples:
              bascule bench pooling
              bascule bench pooling --yes --clients 16 --clients 200 --writes
            """)
    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @Option(help: "How many clients at once; may be repeated, up to four times.") var clients: [Int] = [16, 64]
    @Option(help: "How long pgbench runs each time.") var seconds = 5
    @Option(help: "How often each way is run.") var rounds = 3
    @Option(help: "pgbench's scale: 100,000 rows, about 15 MB, each.") var scale = 10
    @Flag(help: "Whole transactions that write, as TPC-B has them, instead of single reads.") var writes = false
    @Flag(help: "Do not ask before starting.") var yes = false

    func validate() throws {
        guard (1...4).contains(clients.count), clients.allSatisfy({ (1...1000).contains($0) }) else {
            throw ValidationError("--clients takes 1 to 1000, up to four times")
        }
        guard (1...600).contains(seconds) else { throw ValidationError("--seconds takes 1 to 600") }
        guard (1...9).contains(rounds) else { throw ValidationError("--rounds takes 1 to 9") }
        guard (1...1000).contains(scale) else { throw ValidationError("--scale takes 1 to 1000") }
    }

    func run() async throws {
        let session = try options.session()
        guard session.fleet.services.pgbouncer != nil, let postgres = session.fleet.services.postgresql,
            let node = session.fleet.active.nodes(with: .database).first
        else {
            throw BasculeError(
                .notFound, "the fleet file declares no PgBouncer before a PostgreSQL of its own",
                hint: "declare services.pgbouncer and services.postgresql")
        }
        guard try session.isBootstrapped(node) else {
            throw BasculeError(
                .notBootstrapped, "the node is not there yet", at: .node(name: node.rawValue, subject: nil),
                hint: "bascule apply")
        }
        let time = Double(clients.count * 4 * rounds * seconds)
        if !yes {
            guard Terminal.isInteractive,
                Terminal.ask("\(node) will be under full load for about \(time.durationText). Begin?")
            else {
                throw BasculeError(
                    .cancelled, "nothing was done",
                    hint: Terminal.isInteractive ? nil : "without a terminal, --yes starts it")
            }
        }
        let trial = PoolTrial(
            server: PostgresServer(port: postgres.port), clients: clients, seconds: seconds, rounds: rounds,
            scale: scale, writes: writes)
        let isQuiet = output.json
        let reply: Reply
        do {
            reply = try await session.link(node).ask(.comparePooling(trial)) { event in
                guard !isQuiet, case .progress(let progress) = event else { return }
                let done = progress.fraction.map { "\(Int(100 * min(1, max(0, $0)))) %  " } ?? ""
                Terminal.error("\(done)\(Terminal.escape(progress.line))")
            }
        } catch {
            await session.close()
            throw error
        }
        await session.close()
        guard case .pooling(let figures) = reply else {
            throw BasculeError(
                .protocolViolation, "the agent answered something else than a comparison",
                at: .node(name: node.rawValue, subject: nil))
        }
        let table = PoolingTable(figures)
        if output.json { try Terminal.json(table) } else { table.lines.forEach { Terminal.say($0) } }
    }
}
