import BasculeModel
import BasculeResources
import BasculeProtocol

extension Healing {
    /// How long an answer is good for: several who look at once ask each service once.
    private static let freshness = 3.0

    /// Asks the services of all accepted probes whether they serve, all at once, sorted by name. Blocks for some seconds
    /// where one hangs. Nothing is healed by it.
    func services() -> [ServiceState] {
        asked.withLock { asked in
            let now = WallClock.monotonic()
            if now - asked.at < Self.freshness { return asked.services }
            let probes = state.withLock { state in
                state.set.entries.values.map(\.desired).filter { $0.resource.kind == .probe }
            }
            let seen = probes.isEmpty ? [] : ResourceKeeper.observe(probes, context())
            let services = zip(probes, seen).map { desired, observation in
                guard case .probe(let answer) = observation.observed else {
                    return ServiceState(desired.resource.name, serves: false, detail: "could not be asked")
                }
                return ServiceState(desired.resource.name, serves: answer.serves, detail: answer.detail)
            }
            asked = (WallClock.monotonic(), services.sorted { $0.name < $1.name })
            return asked.services
        }
    }
}
