/// A move of the keys of one Redis database into a database of an instance on the node.
package struct RedisMove: Hashable, Codable, Sendable {
    /// The secret that holds the source's address: `redis://` or `rediss://` (TLS, always verified).
    package var source: SecretName
    /// Authorities in PEM that the source's certificate must come from; nil for the machine's own.
    package var sourceAuthority: String?
    package var target: RedisTarget
    /// Only the keys of this pattern (Redis's glob, as `SCAN MATCH` takes it); nil for all.
    package var keys: String?
    /// What the target instance is for; decides which eviction policies are right.
    package var purpose: RedisPurpose = .durable
    /// What becomes of keys of the pattern that are at the target before the first run.
    package var existing: RedisExisting = .refuse
    /// Findings that would stop the move and that the user has accepted.
    package var accept: Set<RedisFindingCode> = []
    package var method: RedisMethod = .automatic
    /// At most so many commands a second go to the source; nil for no limit.
    package var maxCommandsPerSecond: Int?
    /// Keys that take more memory than this are moved in parts, and no request is made larger than about this.
    package var partBytes: Int = 512 << 10
    /// Keys that are looked at together.
    package var batchKeys: Int = 500
    /// Expiries that differ by at most so many milliseconds count as equal.
    package var expiryTolerance: Int64 = 2000
    /// The secret with the address of a login that may change users or pause clients; nil for the source's own.
    package var fenceLogin: SecretName?

    package init(source: SecretName, target: RedisTarget) {
        self.source = source
        self.target = target
    }
}

/// An instance on the node, and the login that the mover uses.
package struct RedisTarget: Hashable, Codable, Sendable {
    package enum Place: Hashable, Codable, Sendable {
        case host(String, port: UInt16)
        case socket(path: String)
    }

    package var place: Place
    package var user: String?
    package var password: SecretName?
    package var database: Int = 0

    package init(_ place: Place, user: String? = nil, password: SecretName? = nil, database: Int = 0) {
        self.place = place
        self.user = user
        self.password = password
        self.database = database
    }
}

/// What a Redis instance is for.
package enum RedisPurpose: String, Hashable, Codable, Sendable {
    /// Keys may be evicted.
    case cache
    /// Queues and sessions: nothing may be evicted.
    case durable
}

/// What becomes of keys at the target that no run of this move wrote.
package enum RedisExisting: String, Hashable, Codable, Sendable {
    /// The move does not start.
    case refuse
    /// They stay unless the source has a key of that name; the sync deletes nothing.
    case merge
    /// Everything of the pattern belongs to the move: the sync deletes what the source does not have.
    case replace
}

/// How values travel.
package enum RedisMethod: String, Hashable, Codable, Sendable {
    /// DUMP and RESTORE where the target takes the source's payloads, else by commands.
    case automatic
    case dump
    case commands
}

/// What an agent can be asked about a Redis move.
package enum RedisTask: Hashable, Codable, Sendable {
    /// Looks at both sides; changes nothing but one temporary key at the target, for the payload probe.
    case preflight(RedisMove)
    /// Copies everything while the source is live. Run again, it goes on where it was cut.
    case copy(RedisMove)
    /// Compares, copies what differs, deletes what is gone. Exact once the source is fenced.
    case sync(RedisMove)
    /// Reads both sides again and compares type, value, expiry and count. Changes nothing.
    case verify(RedisMove)
    /// Removes the mover's own keys from the target. From then on the target's keys are nobody's to delete.
    case finish(RedisMove)
    /// Finds out how writers of the source can be stopped, and what to restore afterwards. Changes nothing.
    case fenceCapture(RedisMove)
    /// Stops the writers. A pause ends by itself after `seconds`, unless this is asked again before.
    case fenceAcquire(RedisMove, RedisFence, seconds: Int)
    /// Tries to write, as every class of writer that can be tried.
    case fenceProve(RedisMove, RedisFence)
    /// Gives the writers their rights back. Harmless if they have them.
    case fenceRelease(RedisMove, RedisFence)

    /// The move that the task is about.
    package var move: RedisMove {
        switch self {
        case .preflight(let move), .copy(let move), .sync(let move), .verify(let move), .finish(let move),
            .fenceCapture(let move), .fenceAcquire(let move, _, _), .fenceProve(let move, _),
            .fenceRelease(let move, _):
            move
        }
    }
}
