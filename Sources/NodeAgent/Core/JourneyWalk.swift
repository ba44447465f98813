import BasculeModel
import BasculeNet

/// Runs a journey against the site's inner listener on this node.
enum JourneyWalk {
    static func run(_ gate: JourneyGate, services: AgentServices) async throws -> JourneyResult {
        var variables = gate.variables
        for (name, secret) in gate.secrets { variables[name] = try services.secrets.resolve(secret).reveal() }
        let filled = variables
        return try await Blocking.run {
            let url = try HTTPURL(gate.baseURL)
            let client = HTTPClient(
                HTTPClient.Options(connectTo: IPAddress(url.host).map { Endpoint(address: $0, port: url.port) }))
            return JourneyRunner(client: client, base: "http://\(gate.host)").run(
                gate.journey, variables: filled, deadline: .seconds(gate.timeout))
        }
    }
}

extension JourneyResult {
    /// One line for people.
    var line: String {
        ok
            ? "\(steps.count { !$0.cleanup }) steps in \(Int(milliseconds)) ms"
            : "\(outcome)\(failure.map { ": \($0.name): \($0.reason ?? "status \($0.status ?? 0)")" } ?? "")"
    }
}
