import BasculeModel
import FoundationEssentials

/// The state of one run: cookies, variables, connections.
struct JourneyWalk {
    let target: JourneyRunner.Target
    let base: HTTPURL
    let servedBy: String?
    let client: HTTPClient
    private(set) var captured: [String: String] = [:]
    private var variables: JourneyVariables
    private var jar = CookieJar()
    private static let maxRedirects = 5

    init(target: JourneyRunner.Target, base: HTTPURL, variables: JourneyVariables, servedBy: String?) {
        (self.target, self.base, self.variables, self.servedBy) = (target, base, variables, servedBy)
        client = HTTPClient(
            .init(
                trust: target.trust, resolver: target.resolver, connectTo: target.connectTo, onlyHost: base.host,
                maxBody: 4 << 20))
    }

    /// Takes one step; what became of it.
    mutating func take(
        _ step: JourneyStep, cleanup: Bool, deadline: Deadline
    ) -> (outcome: JourneyOutcome, result: JourneyStepResult) {
        var result = JourneyStepResult(
            name: step.name, startedAt: WallClock.milliseconds(), milliseconds: 0, status: nil, ok: false, reason: nil,
            write: step.write, cleanup: cleanup, address: nil, servedBy: nil)
        let request: HTTPRequest
        let expectation: JourneyExpectation
        do {
            request = try prepare(step.request)
            expectation = try fill(step.expect)
        } catch {
            result.reason = (error as? BasculeError)?.message ?? "\(error)"
            // What was never made needs no cleaning up.
            result.ok = cleanup
            if cleanup { result.reason = result.reason.map { "skipped: \($0)" } }
            return (.failed(step: step.name), result)
        }
        let limit = step.maxTime.map { deadline.earlier(.seconds($0)) } ?? deadline
        let began = Monotonic.now()
        do {
            let response = try send(request, follow: step.follow, deadline: limit)
            result.milliseconds = Monotonic.milliseconds(since: began)
            result.status = response.status
            result.address = response.address?.description
            result.servedBy = servedBy.flatMap { response.headers[$0] }.map { String($0.prefix(100)) }
            if response.status == 503, response.headers["Retry-After"] != nil, !expectation.status.contains(503) {
                result.reason = "the maintenance page"
                return (.maintenance, result)
            }
            result.reason =
                expectation.mismatch(response, template: step.expect) ?? capture(step.capture, from: response)
                ?? step.maxTime.flatMap { result.milliseconds > $0 * 1000 ? Self.tooSlow($0) : nil }
            result.ok = result.reason == nil
            return (result.ok ? .ok : .failed(step: step.name), result)
        } catch {
            result.milliseconds = Monotonic.milliseconds(since: began)
            let problem = BasculeError.wrapping(error, "The request failed")
            if problem.code == .timedOut, let most = step.maxTime, !deadline.passed {
                result.reason = Self.tooSlow(most)
                return (.failed(step: step.name), result)
            }
            result.reason = [problem.message, problem.cause].compactMap { $0 }.joined(separator: ": ")
            let answered: Set<ErrorCode> = [.invalidInput, .tooMuchData, .protocolViolation, .defect]
            return (answered.contains(problem.code) ? .failed(step: step.name) : .unreachable, result)
        }
    }

    private static func tooSlow(_ most: Double) -> String { "it took longer than \(most) s" }

    private func prepare(_ request: JourneyRequest) throws -> HTTPRequest {
        var headers = HTTPHeaders()
        for (name, value) in target.headers.sorted(by: { $0.key < $1.key }) { headers.add(name, value) }
        for (name, value) in request.headers.sorted(by: { $0.key < $1.key }) {
            headers.add(name, try variables.fill(value))
        }
        var body: [UInt8]?
        var type: String?
        if let form = request.form {
            let pairs = try form.sorted { $0.key < $1.key }.map { name, value in
                percentEncoded(name) + "=" + percentEncoded(try variables.fill(value))
            }
            (body, type) = (Array(pairs.joined(separator: "&").utf8), "application/x-www-form-urlencoded")
        } else if let json = request.json {
            (body, type) = (Array(try JSONEncoder().encode(variables.fill(json))), "application/json")
        } else if let text = request.body {
            body = Array(try variables.fill(text).utf8)
        }
        if let type, headers["Content-Type"] == nil { headers.add("Content-Type", type) }
        return HTTPRequest(
            method: request.method, url: try base.resolving(variables.fill(request.path)), headers: headers, body: body)
    }

    private func fill(_ expect: JourneyExpectation) throws -> JourneyExpectation {
        JourneyExpectation(
            status: expect.status, contains: try expect.contains.map(variables.fill),
            header: try expect.header.mapValues(variables.fill), json: try expect.json.mapValues(variables.fill))
    }

    /// Redirects are followed here and not by the client, because each answer may set cookies.
    private mutating func send(_ first: HTTPRequest, follow: Bool, deadline: Deadline) throws -> HTTPResponse {
        var request = first
        for _ in 0...Self.maxRedirects {
            let url = request.url
            let isBase = (url.host, url.port, url.secure) == (base.host, base.port, base.secure)
            let host = isBase ? target.host ?? url.host : url.host
            var headers = request.headers
            if isBase, let name = target.host, headers["Host"] == nil { headers.add("Host", name) }
            let path = String(url.target.prefix { $0 != "?" })
            let secure = url.secure || (isBase && target.host != nil)
            if let cookies = jar.field(host: host, path: path, secure: secure) { headers.add("Cookie", cookies) }
            let response = try client.request(
                request.method, "\(url)", headers: headers, body: request.body, deadline: deadline)
            let now = WallClock.milliseconds() / 1000
            for field in response.headers.all("Set-Cookie").prefix(50) {
                jar.take(field, host: host, path: path, now: now)
            }
            guard follow, var next = try HTTPClient.redirect(request, response) else { return response }
            if let name = target.host, next.url.host == name.lowercased() {
                let inner = try base.resolving(next.url.target)
                next = HTTPRequest(method: next.method, url: inner, headers: next.headers, body: next.body)
            }
            request = next
        }
        throw BasculeError(.protocolViolation, "The app redirects more than \(Self.maxRedirects) times")
    }

    /// Nil, or why a value could not be captured.
    private mutating func capture(_ wanted: [String: JourneyCapture], from response: HTTPResponse) -> String? {
        for (name, source) in wanted.sorted(by: { $0.key < $1.key }) {
            guard let value = find(source, in: response), value.utf8.count <= 10_000 else {
                return "‘\(name)’ could not be captured"
            }
            variables[name] = value
            captured[name] = value
        }
        return nil
    }

    private func find(_ source: JourneyCapture, in response: HTTPResponse) -> String? {
        switch source {
        case .header(let name): return response.headers[name]
        case .cookie(let name):
            let host = response.url.host == base.host ? target.host ?? base.host : response.url.host
            return jar.value(of: name, host: host)
        case .json(let path): return response.json?[path: path]?.scalarText
        case .between(let after, let before):
            let text = response.text[...]
            guard let start = text.firstRange(of: after),
                let end = text[start.upperBound...].firstRange(of: before)
            else { return nil }
            return String(text[start.upperBound..<end.lowerBound])
        }
    }
}

extension HTTPResponse {
    /// The body as JSON; nil if it is none.
    var json: JSONValue? { try? JSONDecoder().decode(JSONValue.self, from: Data(body)) }
}

extension JourneyExpectation {
    /// Nil, or what is not as expected. The text shows the template, because a filled-in value may be a secret.
    func mismatch(_ response: HTTPResponse, template: JourneyExpectation) -> String? {
        let statusFits = status.isEmpty ? (200..<400).contains(response.status) : status.contains(response.status)
        guard statusFits else {
            let wanted = status.isEmpty ? "200 to 399" : status.map { "\($0)" }.joined(separator: " or ")
            return "status \(response.status) instead of \(wanted)"
        }
        if !contains.isEmpty {
            let text = response.text[...]
            for (part, shown) in zip(contains, template.contains) where text.firstRange(of: part) == nil {
                return "the body does not contain ‘\(shown)’"
            }
        }
        for (name, value) in header.sorted(by: { $0.key < $1.key }) where response.headers[name] != value {
            return "the header ‘\(name)’ is not ‘\(template.header[name] ?? "")’"
        }
        guard !json.isEmpty else { return nil }
        guard let found = response.json else { return "the body is not JSON" }
        for (path, value) in json.sorted(by: { $0.key < $1.key })
        where found[path: path].map({ $0.matches(value) }) != true {
            return "‘\(path)’ in the JSON body is not as expected"
        }
        return nil
    }
}
