import BasculeCatalogue
import BasculeConducting
import BasculeModel
import BasculeProtocol
import BasculeStore

/// What the new system's own nodes count, before and after a load.
struct NodeGauges {
    private struct Source {
        var node: NodeName
        var gauge: Gauge
        var name: String
        var first: Reading
        var last: Reading?
    }
    private let session: FleetSession
    private var database: Source?
    private var cache: Source?
    /// Why something is not measured; for people.
    private(set) var reasons: [String] = []

    /// Reads for the first time.
    /// - Parameter database: nil for the first by name.
    static func read(_ session: FleetSession, database name: String?) async throws -> NodeGauges {
        var gauges = NodeGauges(session: session)
        let (compiled, _) = try await PlanMaker(session: session).compile()
        let all = compiled.databases.sorted { $0.key < $1.key }
        let chosen = name.map { wanted in all.first { $0.key.rawValue == wanted } } ?? all.first
        if let name, chosen == nil {
            throw BasculeError(
                .notFound, "the fleet has no database \(name)",
                hint: "it has: \(all.map(\.key.rawValue).joined(separator: ", "))")
        }
        if let (name, endpoint) = chosen {
            let gauge = Gauge.postgres(PostgresServer(port: endpoint.port), database: name.rawValue)
            gauges.database = try await gauges.begin(gauge, "database \(name)", on: endpoint.node)
        } else {
            gauges.reasons.append("the fleet declares no database")
        }
        if let endpoint = compiled.redis[.cache] ?? compiled.redis[.durable] {
            let gauge = Gauge.redis(
                host: endpoint.host, port: endpoint.port, user: endpoint.user, password: endpoint.password)
            gauges.cache = try await gauges.begin(gauge, "Redis", on: endpoint.node)
        } else {
            gauges.reasons.append("the fleet declares no Redis")
        }
        return gauges
    }

    private init(session: FleetSession) { self.session = session }

    private mutating func begin(_ gauge: Gauge, _ name: String, on node: NodeName) async throws -> Source? {
        guard try session.isBootstrapped(node) else {
            reasons.append("\(node) has no agent yet, so nobody reads its \(name)")
            return nil
        }
        let first = await ask(gauge, node)
        if let reason = first.reason {
            reasons.append("\(name) on \(node): \(reason)")
            return nil
        }
        return Source(node: node, gauge: gauge, name: name, first: first)
    }

    private func ask(_ gauge: Gauge, _ node: NodeName) async -> Reading {
        do {
            guard case .measured(let readings) = try await session.link(node).ask(.measure([gauge])),
                let reading = readings.first
            else { return Reading([:], reason: "the agent answered something else") }
            return reading
        } catch {
            return Reading([:], reason: BasculeError.wrapping(error, "no answer").message)
        }
    }

    /// Reads for the second time, once the load is over.
    mutating func readAgain() async throws {
        if let source = database {
            // A session that fell idle reports its last counters within 10 s (PostgreSQL's PGSTAT_IDLE_INTERVAL).
            try await Task.sleep(for: .seconds(11))
            let reading = await ask(source.gauge, source.node)
            database?.last = reading
        }
        if let source = cache {
            let reading = await ask(source.gauge, source.node)
            cache?.last = reading
        }
        if database != nil, databaseResponse == nil { reasons.append("the load made no transaction") }
        if cache != nil, hitRate == nil { reasons.append("the load looked nothing up in Redis") }
    }

    private static func difference(_ source: Source?, _ counter: String) -> Double? {
        guard let source, let last = source.last?.counters[counter], let first = source.first.counters[counter],
            last >= first, last.isFinite
        else { return nil }
        return last - first
    }

    var databaseResponse: Benchmark.Value? {
        guard let source = database, let count = Self.difference(database, "transactions"), count > 0,
            let milliseconds = Self.difference(database, "milliseconds")
        else { return nil }
        return .init(
            milliseconds / count, origin: "\(source.name) on \(source.node), \(Int(count)) transactions during the load"
        )
    }

    var hitRate: Benchmark.Value? {
        guard let source = cache, let hits = Self.difference(cache, "hits"),
            let misses = Self.difference(cache, "misses"), hits + misses > 0
        else { return nil }
        return .init(
            100 * hits / (hits + misses),
            origin: "\(source.name) on \(source.node), \(Int(hits + misses)) look-ups during the load")
    }
}
