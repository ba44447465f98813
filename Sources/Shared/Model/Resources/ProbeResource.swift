/// Proof that a service serves: it is asked something that only a working one can answer. Looking changes nothing;
/// applying it means waiting until it serves.
package struct ProbeSpec: Hashable, Codable, Sendable {
    /// What is asked, and which answer is good.
    package enum Check: Hashable, Codable, Sendable {
        /// A GET over plain HTTP answers with `status`, or with any 2xx where that is nil. `host` is the Host header,
        /// nil for the URL's own.
        case http(url: String, host: String?, status: Int?)
        /// A conversation over TCP, or over a Unix socket where `host` begins with a slash.
        case dialogue(host: String, port: Int, exchanges: [Exchange])
        /// `SELECT 1`: as the superuser `postgres` by peer authentication where `password` is nil, else with SCRAM.
        case postgres(PostgresServer, database: String, user: String, password: SecretName?)
        /// A program that ends with 0; an argument vector.
        case command([String], user: String)
    }

    /// One turn of a conversation.
    package struct Exchange: Hashable, Codable, Sendable {
        /// What is said; nil where the server speaks first.
        package var send: Content?
        /// What the answer must contain; empty where being connected is enough.
        package var expect: String

        package init(send: Content? = nil, expect: String) { (self.send, self.expect) = (send, expect) }
    }

    /// The service that it speaks for, e.g. `postgresql` or `redis.cache`.
    package var name: String
    package var check: Check
    /// Seconds that an apply waits for the service.
    package var timeout: Int
    /// The unit whose journal says why it does not serve.
    package var unit: String?

    package init(_ name: String, _ check: Check, timeout: Int = 30, unit: String? = nil) {
        (self.name, self.check, self.timeout, self.unit) = (name, check, timeout, unit)
    }
}

/// What a probe was told.
package struct ProbeObserved: Hashable, Codable, Sendable {
    package var serves: Bool
    /// What was answered, or why nothing was; for people, bounded. It is not part of the observation's digest.
    package var detail: String

    package init(serves: Bool, detail: String) { (self.serves, self.detail) = (serves, detail) }
}

extension ProbeSpec {
    package func verdict(_ observed: ProbeObserved) -> Verdict {
        observed.serves
            ? .satisfied(reason: "serves")
            : .change(Change(.verify, [Difference("serves", before: "no: \(observed.detail)", after: "yes")]))
    }

    /// The secrets that asking takes.
    package var secrets: Set<SecretName> {
        switch check {
        case .dialogue(_, _, let exchanges): exchanges.reduce(into: []) { $0.formUnion($1.send?.secrets ?? []) }
        case .postgres(_, _, _, let password): password.map { [$0] } ?? []
        case .http, .command: []
        }
    }
}
