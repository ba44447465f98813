import BasculeModel
import BasculeNet

/// Runs a journey against the site's inner listener on this node.
enum JourneyProbe {
    static func run(_ gate: JourneyGate, services: AgentServices) async throws -> JourneyResult {
        let secrets = try gate.secrets.mapValues { try services.secrets.resolve($0) }
        return try await Blocking.run {
            let target = JourneyRunner.Target(
                baseURL: gate.baseURL, host: gate.host, headers: ["X-Forwarded-Proto": "https"])
            return JourneyRunner(target).run(
                gate.journey, variables: gate.variables, secrets: secrets, deadline: .seconds(gate.timeout))
        }
    }
}

extension JourneyResult {
    /// One line for people.
    var line: String {
        ok
            ? "\(steps.count { !$0.cleanup }) steps in \(Int(milliseconds)) ms"
            : "\(outcome)\(failure.map { ": \($0.reason ?? "status \($0.status ?? 0)")" } ?? "")"
    }
}
