/// How the old edge treats the site's domains.
package enum EdgeMode: String, Hashable, Codable, Sendable {
    /// The old system answers, as if Bascule were not there.
    case old
    /// 503 with Retry-After.
    case maintenance
    /// Requests are passed on to the new system.
    case new
}

/// The old edge's part, installed on it before the migration so that three words suffice later.
package struct EdgeSpec: Hashable, Codable, Sendable {
    package var domains: [String]
    /// Where the new system listens, e.g. `198.51.100.7`.
    package var newAddress: String
    /// The certificate and key that the old edge uses for the domains; nil where it serves plain HTTP only.
    package var certificate: String?
    package var key: String?
    /// Seconds in the maintenance page's Retry-After.
    package var retryAfter: Int
    /// The conductor's public key line, allowed to say the three words and nothing else.
    package var conductorKey: String?
    /// Whether the authority's http-01 questions go to the new system from the beginning.
    package var challenges: Bool?
    /// `HOST:PORT` that the old edge passes the domains on to.
    package var upstream: String?

    package init(
        domains: [String], newAddress: String, certificate: String?, key: String?, retryAfter: Int = 60,
        conductorKey: String? = nil, challenges: Bool? = nil, upstream: String? = nil
    ) {
        (self.challenges, self.upstream) = (challenges, upstream)
        (self.domains, self.newAddress, self.certificate) = (domains, newAddress, certificate)
        (self.key, self.retryAfter, self.conductorKey) = (key, retryAfter, conductorKey)
    }
}

/// How the conductor reaches the old edge: an SSH login whose forced command knows three words.
package struct EdgeLink: Hashable, Codable, Sendable {
    package var host: String
    package var port: Int
    package var user: String
    /// `ssh-ed25519 AAAA…`, pinned.
    package var hostKey: String
    /// Seconds after which the edge goes back to the old system unless the conductor renews it (maintenance only).
    package var lease: Int

    package init(host: String, port: Int, user: String, hostKey: String, lease: Int) {
        (self.host, self.port, self.user, self.hostKey, self.lease) = (host, port, user, hostKey, lease)
    }
}

/// A record set that the switch changes by RFC 2136 with a TSIG key.
package struct DNSChange: Hashable, Codable, Sendable {
    package var zone: String
    package var server: String
    package var port: Int
    /// Secret with the key as `[algorithm:]name:base64`.
    package var tsig: SecretName
    /// Owner name, without a final dot.
    package var name: String
    /// `A` or `AAAA`.
    package var type: String
    /// What must be there before: compare-and-set.
    package var from: [String]
    package var to: [String]
    /// Seconds.
    package var ttl: Int

    package init(
        zone: String, server: String, port: Int = 53, tsig: SecretName, name: String, type: String, from: [String],
        to: [String], ttl: Int
    ) {
        (self.zone, self.server, self.port, self.tsig, self.name) = (zone, server, port, tsig, name)
        (self.type, self.from, self.to, self.ttl) = (type, from, to, ttl)
    }

    /// The switch back.
    package var reversed: DNSChange {
        var copy = self
        (copy.from, copy.to) = (to, from)
        return copy
    }
}

/// A journey that has to succeed.
package struct JourneyGate: Hashable, Codable, Sendable {
    package var journey: Journey
    /// `http://127.0.0.1:8081`: the site's inner listener, which serves also while customers see the maintenance page.
    package var baseURL: String
    /// The Host header.
    package var host: String
    package var variables: [String: String]
    package var secrets: [String: SecretName]
    /// Seconds.
    package var timeout: Double

    package init(
        journey: Journey, baseURL: String, host: String, variables: [String: String] = [:],
        secrets: [String: SecretName] = [:], timeout: Double
    ) {
        (self.journey, self.baseURL, self.host) = (journey, baseURL, host)
        (self.variables, self.secrets, self.timeout) = (variables, secrets, timeout)
    }
}

/// What trips the watch.
package struct WatchCriteria: Hashable, Codable, Sendable {
    /// Seconds.
    package var duration: Double
    /// Share of distinct users at the login path who only fail, from 0 to 1; nil is not watched.
    package var usersUnableToLogIn: Double?
    /// Share of answers with status 5xx (503 with Retry-After excluded), from 0 to 1; nil is not watched.
    package var serverErrors: Double?
    /// Any table with fewer rows than at the source, deletions accounted for.
    package var dataLoss: Bool
    package var minimumUsers: Int
    package var loginPath: String?
    /// JSON access log of the site.
    package var accessLog: String
    package var journey: JourneyGate?
    package var database: PostgresMove?

    package init(
        duration: Double, usersUnableToLogIn: Double?, serverErrors: Double?, dataLoss: Bool, minimumUsers: Int,
        loginPath: String?,
        accessLog: String, journey: JourneyGate?, database: PostgresMove?
    ) {
        (self.duration, self.usersUnableToLogIn, self.serverErrors) = (duration, usersUnableToLogIn, serverErrors)
        (self.dataLoss, self.minimumUsers, self.loginPath) = (dataLoss, minimumUsers, loginPath)
        (self.accessLog, self.journey, self.database) = (accessLog, journey, database)
    }
}

/// What the watch saw.
package struct WatchReport: Hashable, Codable, Sendable {
    package var requests: Int
    package var serverErrors: Int
    package var users: Int
    package var usersUnableToLogIn: Int
    package var journeys: Int
    package var journeysFailed: Int
    /// Why it tripped; nil where all was well.
    package var tripped: String?

    package init(
        requests: Int, serverErrors: Int, users: Int, usersUnableToLogIn: Int, journeys: Int, journeysFailed: Int,
        tripped: String?
    ) {
        (self.requests, self.serverErrors, self.users) = (requests, serverErrors, users)
        (self.usersUnableToLogIn, self.journeys, self.journeysFailed) = (usersUnableToLogIn, journeys, journeysFailed)
        self.tripped = tripped
    }
}

/// The go/no-go.
package enum Decision: String, Hashable, Codable, Sendable {
    case go
    case noGo = "no-go"
}

/// Who decides, and what an unanswered question means.
package struct DecisionSpec: Hashable, Codable, Sendable {
    /// Go by itself where every gate passed.
    package var automatic: Bool
    /// Seconds until the policy answers.
    package var patience: Double
    package var ifAlone: IfAlone

    package init(automatic: Bool, patience: Double, ifAlone: IfAlone) {
        (self.automatic, self.patience, self.ifAlone) = (automatic, patience, ifAlone)
    }
}

/// What happens by itself when nobody answers or everybody else is gone.
package enum IfAlone: String, Hashable, Codable, Sendable {
    case hold, rollback
}

/// The freeze's lease: held by the conducting agent together with the compensations of its steps.
package struct MigrationLease: Hashable, Codable, Sendable {
    /// Seconds from the first step of *freeze* to T0, at most.
    package var seconds: Double
    package var ifAlone: IfAlone
    /// This attempt of the migration; T0 is decided once for it.
    package var attempt: Int

    package init(seconds: Double, ifAlone: IfAlone, attempt: Int) {
        (self.seconds, self.ifAlone, self.attempt) = (seconds, ifAlone, attempt)
    }
}

/// An action of the migration on a node.
package enum MigrationTask: Hashable, Codable, Sendable {
    /// On the old edge: installs its part; changes nothing that customers see.
    case prepareEdge(EdgeSpec)
    /// On the old edge: removes it again.
    case removeEdge
    /// On the conductor: says one of the three words to the old edge.
    case edge(EdgeLink, EdgeMode)
    /// On the target: shows customers the maintenance page, or lets them in.
    case site(domains: [String], open: Bool)
    case fence(DataTask)
    case journey(JourneyGate)
    case decide(DecisionSpec)
    /// Checks that every authoritative server answers the record with at most this TTL, so that caches know it in time.
    case checkDNS(DNSChange)
    case switchDNS(DNSChange)
    /// Keeps the addresses and lowers the TTL, noting the old one: the freeze waits until no cache can hold it.
    case lowerTTL(DNSChange)
    /// Removes secrets from the node.
    case forgetSecrets([SecretName])
    /// T0: one compare-and-set in the conductor's journal, then the site opens.
    case open(domains: [String])
    case watch(WatchCriteria)
    /// Compares both sides; a difference fails the step.
    case prove(DataTask)
    /// On the monitoring node: every channel of the administrator has taken a test alert within the last `fresh` seconds, or
    /// takes one now. Channels as Alertmanager calls them: `email`, `webhook`.
    case testAlert(channels: [String], fresh: Double)
    /// The controller's own: the backups were restored by a drill whose evidence has not expired.
    case drilled
}
