/// A customer's path through the app (log in, list, buy, log out) as a probe that cleans up after itself.
///
/// The coding keys are the keys of the journey file; an unknown key is an error. `{{name}}` in a path, a header, a
/// form, a body or an expected text is replaced by a variable: one of `variables`, a captured value, or one of
/// `{{run}}` (16 hexadecimal digits, the same all through a run), `{{random}}` (other ones each time) and `{{now}}`
/// (milliseconds since 1970).
package struct Journey: Hashable, Codable, Sendable {
    package var name: String
    /// Variables with their defaults, filled in once at the start of a run.
    package var variables: [String: String]
    package var steps: [JourneyStep]
    /// Runs after the steps in any case; a step whose variables were never captured is skipped.
    package var cleanup: [JourneyStep]
    /// Names of captured values that may stand in a record or report (an order's number; never a session).
    package var record: [String]
    /// Header field of the answers that says which system served them.
    package var servedBy: String?

    package init(
        name: String, variables: [String: String] = [:], steps: [JourneyStep], cleanup: [JourneyStep] = [],
        record: [String] = [], servedBy: String? = nil
    ) {
        (self.name, self.variables, self.steps, self.cleanup) = (name, variables, steps, cleanup)
        (self.record, self.servedBy) = (record, servedBy)
    }

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case name, variables, steps, cleanup, record, servedBy
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.strict(CodingKeys.self)
        name = try fields.decode(String.self, forKey: .name)
        variables = try fields.decodeIfPresent([String: JourneyText].self, forKey: .variables)?.mapValues(\.text) ?? [:]
        steps = try fields.decode([JourneyStep].self, forKey: .steps)
        cleanup = try fields.decodeIfPresent([JourneyStep].self, forKey: .cleanup) ?? []
        record = try fields.decodeIfPresent([String].self, forKey: .record) ?? []
        servedBy = try fields.decodeIfPresent(String.self, forKey: .servedBy)
        guard !steps.isEmpty else {
            throw fields.corrupted(.steps, "a journey has at least one step")
        }
        let names = (steps + cleanup).map(\.name)
        if let twice = names.first(where: { name in names.filter { $0 == name }.count > 1 }) {
            throw fields.corrupted(.steps, "two steps are called ‘\(twice)’")
        }
    }
}

/// One request of a journey, what its answer must be, and what is kept of it.
package struct JourneyStep: Hashable, Codable, Sendable {
    package var name: String
    package var request: JourneyRequest
    package var expect: JourneyExpectation
    /// Variable name → where its value stands in the answer. Not found is a failure of the step.
    package var capture: [String: JourneyCapture]
    /// Seconds that the step may take (`2s` or `500ms` in the file); more is a failure.
    package var maxTime: Double?
    /// Whether a good answer means that the app has accepted a write: what the write outage is measured by.
    package var write: Bool
    /// Whether redirects are followed.
    package var follow: Bool

    package init(
        name: String, request: JourneyRequest, expect: JourneyExpectation = JourneyExpectation(),
        capture: [String: JourneyCapture] = [:], maxTime: Double? = nil, write: Bool = false, follow: Bool = false
    ) {
        (self.name, self.request, self.expect, self.capture) = (name, request, expect, capture)
        (self.maxTime, self.write, self.follow) = (maxTime, write, follow)
    }

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case name, request, expect, capture, maxTime, write, follow
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.strict(CodingKeys.self)
        name = try fields.decode(String.self, forKey: .name)
        request = try fields.decode(JourneyRequest.self, forKey: .request)
        expect = try fields.decodeIfPresent(JourneyExpectation.self, forKey: .expect) ?? JourneyExpectation()
        capture = try fields.decodeIfPresent([String: JourneyCapture].self, forKey: .capture) ?? [:]
        maxTime = try fields.decodeIfPresent(JourneySeconds.self, forKey: .maxTime)?.seconds
        write = try fields.decodeIfPresent(Bool.self, forKey: .write) ?? false
        follow = try fields.decodeIfPresent(Bool.self, forKey: .follow) ?? false
    }
}

/// A request of a journey. At most one of `form`, `json` and `body` is set.
package struct JourneyRequest: Hashable, Codable, Sendable {
    package var method: String
    /// Path and query, or a whole URL.
    package var path: String
    package var headers: [String: String]
    /// Sent as `application/x-www-form-urlencoded`.
    package var form: [String: String]?
    /// Sent as `application/json`. A text that is nothing but `{{number:name}}` becomes a number.
    package var json: JSONValue?
    package var body: String?

    package init(
        method: String = "GET", path: String, headers: [String: String] = [:], form: [String: String]? = nil,
        json: JSONValue? = nil, body: String? = nil
    ) {
        (self.method, self.path, self.headers) = (method, path, headers)
        (self.form, self.json, self.body) = (form, json, body)
    }

    package enum CodingKeys: String, CodingKey, CaseIterable { case method, path, headers, form, json, body }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.strict(CodingKeys.self)
        path = try fields.decode(String.self, forKey: .path)
        headers = try fields.decodeIfPresent([String: JourneyText].self, forKey: .headers)?.mapValues(\.text) ?? [:]
        form = try fields.decodeIfPresent([String: JourneyText].self, forKey: .form)?.mapValues(\.text)
        json = try fields.decodeIfPresent(JSONValue.self, forKey: .json)
        body = try fields.decodeIfPresent(String.self, forKey: .body)
        let bodies = [form != nil, json != nil, body != nil].filter { $0 }.count
        method = try fields.decodeIfPresent(String.self, forKey: .method) ?? (bodies > 0 ? "POST" : "GET")
        guard bodies <= 1 else {
            throw fields.corrupted(.body, "a request has only one of form, json and body")
        }
    }
}

/// What an answer must be. Nothing given: any status from 200 to 399.
package struct JourneyExpectation: Hashable, Codable, Sendable {
    /// One of these (one number or a list in the file).
    package var status: [Int]
    /// Texts that must stand in the body.
    package var contains: [String]
    /// Header field → its whole value.
    package var header: [String: String]
    /// JSON path (`order.items[0].id`) → its value.
    package var json: [String: JSONValue]

    package init(
        status: [Int] = [], contains: [String] = [], header: [String: String] = [:], json: [String: JSONValue] = [:]
    ) {
        (self.status, self.contains, self.header, self.json) = (status, contains, header, json)
    }

    package enum CodingKeys: String, CodingKey, CaseIterable { case status, contains, header, json }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.strict(CodingKeys.self)
        status = try fields.oneOrMany(Int.self, forKey: .status)
        contains = try fields.oneOrMany(String.self, forKey: .contains)
        header = try fields.decodeIfPresent([String: JourneyText].self, forKey: .header)?.mapValues(\.text) ?? [:]
        json = try fields.decodeIfPresent([String: JSONValue].self, forKey: .json) ?? [:]
    }
}

/// Where a captured value stands in an answer: exactly one of the four.
package enum JourneyCapture: Hashable, Codable, Sendable {
    case json(path: String)
    case header(String)
    case cookie(String)
    /// The text between the first `after` and the next `before` in the body.
    case between(after: String, before: String)

    package enum CodingKeys: String, CodingKey, CaseIterable { case json, header, cookie, after, before }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.strict(CodingKeys.self)
        switch Set(fields.allKeys) {
        case [.json]: self = .json(path: try fields.decode(String.self, forKey: .json))
        case [.header]: self = .header(try fields.decode(String.self, forKey: .header))
        case [.cookie]: self = .cookie(try fields.decode(String.self, forKey: .cookie))
        case [.after, .before]:
            self = .between(
                after: try fields.decode(String.self, forKey: .after),
                before: try fields.decode(String.self, forKey: .before))
        default:
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "a capture has json, header or cookie, or after and before"))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .json(let path): try fields.encode(path, forKey: .json)
        case .header(let name): try fields.encode(name, forKey: .header)
        case .cookie(let name): try fields.encode(name, forKey: .cookie)
        case .between(let after, let before):
            try fields.encode(after, forKey: .after)
            try fields.encode(before, forKey: .before)
        }
    }
}
