import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeNet
import BasculeStore
import Foundation

/// `bascule bench run`
struct BenchRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Put an endpoint under a bounded load of GET requests and keep what was measured.",
        discussion: """
            Latency, throughput and errors are measured here, so the network between
            counts. Of the new system, the time that PostgreSQL takes for a transaction
            and Redis's hit rate are read on its own nodes, before and after the load:
            their own counters, so other customers' requests count too. Of the old system
            they are what its provider's dashboard says: --database-ms, --hit-rate.
            A web server that limits requests by address answers 429, which is counted
            apart: ask at its --rate.
            """)

    enum Side: String, ExpressibleByArgument, CaseIterable { case before, after }

    @OptionGroup var options: FleetOptions
    @OptionGroup var output: OutputOptions
    @Option(help: "What to ask for; may be repeated, and is then asked in turn.") var url: [String]
    @Option(name: .customLong("as"), help: "Which system that is: before or after.") var side: Side
    @Option(help: "For how long.") var seconds: Double = 30
    @Option(help: "How many requests at a time.") var concurrency = 8
    @Option(help: "Requests a second at most; as fast as the answers come if absent.") var rate: Double?
    @Option(help: ArgumentHelp("Connect there, whatever the URL says.", valueName: "host:port")) var connectTo: String?
    @Flag(help: "Take any certificate: for a node that has none yet.") var anyCertificate = false
    @Option(help: "The database whose response is read on its node; the first if absent.") var database: String?
    @Option(help: "The database's response as somebody else measured it, in ms.") var databaseMs: Double?
    @Option(help: "Redis's hit rate as somebody else measured it, in percent.") var hitRate: Double?

    func validate() throws {
        guard !url.isEmpty else { throw ValidationError("--url names what to ask for") }
        guard (1...3600).contains(seconds) else { throw ValidationError("--seconds takes 1 to 3600") }
        guard (1...256).contains(concurrency) else { throw ValidationError("--concurrency takes 1 to 256") }
        if let rate, !(rate > 0 && rate <= 100_000) { throw ValidationError("--rate takes more than 0") }
        if let hitRate, !(0...100).contains(hitRate) { throw ValidationError("--hit-rate takes 0 to 100") }
        if let databaseMs, !(databaseMs >= 0 && databaseMs.isFinite) {
            throw ValidationError("--database-ms takes 0 or more")
        }
        if connectTo != nil { _ = try endpoint() }
    }

    func run() async throws {
        var load = Load(urls: url, seconds: seconds, concurrency: concurrency, rate: rate)
        load.connectTo = try endpoint()
        if anyCertificate { load.trust = .unverified }
        let session = try options.session()
        do {
            try load.check()
            var inside = try await readGauges(session)
            if !output.json {
                Terminal.say("\(concurrency) requests at a time for \(seconds.durationText)")
            }
            let result = await Self.blocking(load)
            if inside != nil, !output.json {
                Terminal.say("the load is over; PostgreSQL's sessions report within 10 s")
            }
            try await inside?.readAgain()
            let measured = benchmark(result, inside)
            try session.store.add(measured)
            let other = try session.store.benchmark(measured.side == .before ? .after : .before)
            await session.close()
            try show(measured, other, result, inside)
        } catch {
            await session.close()
            throw error
        }
    }

    private func endpoint() throws -> Endpoint? {
        guard let connectTo else { return nil }
        guard let colon = connectTo.lastIndex(of: ":"), let port = UInt16(connectTo[colon...].dropFirst()), port > 0,
            colon > connectTo.startIndex
        else { throw ValidationError("--connect-to takes host:port") }
        let host = connectTo[..<colon].trimmingPrefix("[")
        return .host(String(host.hasSuffix("]") ? host.dropLast() : host), port: port)
    }

    /// The old system has no agent of ours.
    private func readGauges(_ session: FleetSession) async throws -> NodeGauges? {
        guard side == .after, databaseMs == nil || hitRate == nil else { return nil }
        return try await NodeGauges.read(session, database: database)
    }

    private static func blocking(_ load: Load) async -> Load.Result {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: load.run()) }
        }
    }

    private func benchmark(_ result: Load.Result, _ inside: NodeGauges?) -> Benchmark {
        let latencies = CustomerReport.Latencies(result.good)
        let bad = result.serverErrors + result.unanswered
        var measured = Benchmark(
            side: side == .before ? .before : .after, time: Date().timeIntervalSince1970, urls: url,
            seconds: result.seconds, concurrency: concurrency, requests: result.requests, p50: latencies.p50,
            p95: latencies.p95, p99: latencies.p99,
            throughput: result.seconds > 0 ? Double(result.good.count) / result.seconds : 0,
            serverErrors: result.requests > 0 ? 100 * Double(bad) / Double(result.requests) : 100,
            unanswered: result.unanswered, limited: result.limited, refused: result.refused)
        measured.database = databaseMs.map { .init($0, origin: "as given") } ?? inside?.databaseResponse
        measured.hitRate = hitRate.map { .init($0, origin: "as given") } ?? inside?.hitRate
        return measured
    }

    private func show(
        _ measured: Benchmark, _ other: Benchmark?, _ result: Load.Result, _ inside: NodeGauges?
    ) throws {
        if output.json { return try Terminal.json(measured) }
        let isBefore = measured.side == .before
        BenchTable(before: isBefore ? measured : other, after: isBefore ? other : measured).lines.forEach {
            Terminal.say($0)
        }
        for reason in inside?.reasons ?? [] { Terminal.error("not measured: \(Terminal.escape(reason))") }
        if result.limited > 0 {
            Terminal.error(
                "\(result.limited) of \(result.requests) answers were 429: that is a rate limit, not capacity; --rate asks more slowly"
            )
        }
        if result.unanswered > 0 {
            Terminal.error("\(result.unanswered) requests had no answer: \(Terminal.escape(result.reason ?? ""))")
        }
    }
}
