import BasculeModel

/// Walks journeys through an app over HTTP.
package struct JourneyRunner: Sendable {
    /// Which app, and how to get there.
    package struct Target: Sendable {
        /// Where paths start from, such as `https://shop.example` or `http://127.0.0.1:8081`.
        package var baseURL: String
        /// The `Host` field, if it is not the base URL's host: tests a system before its name points to it. Redirects
        /// to this host lead back to the base URL, and `Secure` cookies are sent to it also over plain HTTP.
        package var host: String?
        /// Connects to this address for requests to the base URL's host, whatever DNS says.
        package var connectTo: Endpoint?
        package var resolver: any Resolver
        package var trust: TLSTrust
        /// Header fields of every request, such as `X-Forwarded-Proto`.
        package var headers: [String: String]

        package init(
            baseURL: String, host: String? = nil, connectTo: Endpoint? = nil,
            resolver: any Resolver = SystemResolver(), trust: TLSTrust = .systemStore, headers: [String: String] = [:]
        ) {
            (self.baseURL, self.host, self.connectTo) = (baseURL, host, connectTo)
            (self.resolver, self.trust, self.headers) = (resolver, trust, headers)
        }
    }

    package let target: Target
    /// Seconds that the cleanup may take, also after the deadline has passed.
    package let cleanupTime: Double

    package init(_ target: Target, cleanupTime: Double = 10) { (self.target, self.cleanupTime) = (target, cleanupTime) }

    /// One run, as a customer who comes for the first time: no cookies, no connection. Never throws: whatever goes
    /// wrong is in the result. `variables` win over the journey's defaults, `secrets` over both; neither is ever in
    /// the result unless the journey's `record` names it.
    package func run(
        _ journey: Journey, variables: [String: String] = [:], secrets: [String: Secret] = [:], deadline: Deadline
    ) -> JourneyResult {
        let began = Monotonic.now()
        var result = JourneyResult(
            journey: journey.name, outcome: .ok, startedAt: WallClock.milliseconds(), milliseconds: 0, steps: [],
            captured: [:])
        do {
            let given = variables.merging(secrets.mapValues { $0.reveal() }) { _, secret in secret }
            var walk = JourneyWalk(
                target: target, base: try HTTPURL(target.baseURL),
                variables: try JourneyVariables(defaults: journey.variables, given: given), servedBy: journey.servedBy)
            defer { walk.client.close() }
            for step in journey.steps {
                let (outcome, stepResult) = walk.take(step, cleanup: false, deadline: deadline)
                result.steps.append(stepResult)
                result.outcome = outcome
                guard outcome == .ok else { break }
            }
            result.milliseconds = Monotonic.milliseconds(since: began)
            let grace = Deadline.seconds(cleanupTime)
            for step in journey.cleanup {
                result.steps.append(walk.take(step, cleanup: true, deadline: grace).1)
            }
            for name in journey.record { result.captured[name] = walk.captured[name] }
        } catch {
            let first = journey.steps.first?.name ?? journey.name
            result.outcome = .failed(step: first)
            result.steps.append(
                JourneyStepResult(
                    name: first, startedAt: result.startedAt, milliseconds: 0, status: nil, ok: false,
                    reason: (error as? BasculeError)?.message ?? "\(error)", write: false, cleanup: false, address: nil,
                    servedBy: nil))
        }
        return result
    }
}
