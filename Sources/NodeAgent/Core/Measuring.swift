import BasculeModel
import BasculeProtocol
import BasculeResources

/// Counters of services, for a benchmark.
enum Measuring {
    /// One reading a gauge, in order; at most 16. What cannot be read says why.
    static func read(_ gauges: [Gauge], _ context: NodeContext) -> [Reading] {
        gauges.prefix(16).map { gauge in
            do {
                switch gauge {
                case .postgres(let server, let database):
                    return Reading(try GaugeReader.postgres(server, database: database))
                case .redis(let host, let port, let user, let password):
                    let secret = try context.resolve(password)
                    return Reading(try GaugeReader.redis(host: host, port: port, user: user, password: secret))
                }
            } catch {
                let known = BasculeError.wrapping(error, "it could not be read")
                return Reading([:], reason: String((known.cause ?? known.message).prefix(200)))
            }
        }
    }
}
