/// Something that a node's agent noticed or did by itself, kept in its outbox until a controller has collected it.
package struct AgentEvent: Hashable, Codable, Sendable {
    package enum Kind: String, Hashable, Codable, Sendable, CaseIterable {
        /// What had changed by itself is again as it was accepted.
        case healed
        /// It could not be put right; it is tried again later.
        case healFailed = "heal-failed"
        /// A difference that is left alone, and why.
        case drift
        /// A difference that was left alone is gone without the agent's doing.
        case settled
        /// Somebody asked the agent to leave something alone, or no longer to.
        case held, released
        /// The disk fell under its floor, and what was given up for it; or there is room again.
        case diskLow = "disk-low"
        case diskFreed = "disk-freed"
        case diskRestored = "disk-restored"
        /// The configuration of before a segment was put back on the node.
        case undone
        /// More was out of order than the agent repairs at a time.
        case capped
        /// Anything else worth keeping.
        case note
    }

    /// Counts from 1 within one agent's outbox; a gap means that older events were dropped to bound it.
    package var sequence: Int
    /// Seconds since 1970 by the node's clock.
    package var time: Double
    package var kind: Kind
    package var resource: ResourceID?
    /// One line for people, without secrets.
    package var text: String
    /// Seconds from noticing to whole again, for `healed`.
    package var seconds: Double?
    package var error: BasculeError?

    package init(
        sequence: Int, time: Double, kind: Kind, resource: ResourceID? = nil, text: String, seconds: Double? = nil,
        error: BasculeError? = nil
    ) {
        (self.sequence, self.time, self.kind, self.resource) = (sequence, time, kind, resource)
        (self.text, self.seconds, self.error) = (text, seconds, error)
    }
}

/// Why an agent leaves a difference alone.
package enum DriftReason: String, Hashable, Codable, Sendable {
    /// Somebody was logged in when it appeared: perhaps it is meant.
    case session
    /// Somebody asked for it.
    case hold
    /// A segment is at work, or the migration is between freeze and its end.
    case segment, migration
    /// The service keeps data or connections: only an apply touches it.
    case stateful
    /// Only an apply may do it: a restart, a build, a command.
    case apply
    /// It fights back, or healing it failed: the next attempt waits.
    case backoff
    /// The package manager is at work.
    case packages
    /// The machine is going down.
    case shutdown
}

/// A difference that an agent knows of and has not healed.
package struct Drift: Hashable, Codable, Sendable {
    package var resource: ResourceID
    /// Seconds since 1970 at which it was first seen.
    package var since: Double
    /// What differs, for people.
    package var summary: String
    package var reason: DriftReason
    /// Seconds since 1970 at which the agent looks at it again; nil where it waits for somebody.
    package var until: Double?

    package init(resource: ResourceID, since: Double, summary: String, reason: DriftReason, until: Double? = nil) {
        (self.resource, self.since, self.summary) = (resource, since, summary)
        (self.reason, self.until) = (reason, until)
    }
}

/// A resource, or a whole node, that healing leaves alone for as long as somebody asked.
package struct Hold: Hashable, Codable, Sendable {
    /// nil for the whole node.
    package var resource: ResourceID?
    /// Seconds since 1970.
    package var since: Double
    /// Seconds since 1970 at which it ends by itself; nil until it is released.
    package var until: Double?
    /// Who asked and why, for people.
    package var reason: String

    package init(resource: ResourceID?, since: Double, until: Double?, reason: String) {
        (self.resource, self.since, self.until, self.reason) = (resource, since, until, reason)
    }
}

/// What a node's agent keeps whole by itself.
package struct HealingStatus: Hashable, Codable, Sendable {
    /// Resources in the heal set.
    package var managed: Int
    /// Since the agent started.
    package var healed: Int
    package var failed: Int
    /// At most 200, oldest first.
    package var drift: [Drift]
    package var holds: [Hold]
    /// Number of the newest event in the outbox; 0 where there is none.
    package var lastEvent: Int
    /// Why nothing is healed at present, for people; nil where healing is at work.
    package var suspended: String?
    /// The disk is under its floor.
    package var diskLow: Bool

    package init(
        managed: Int = 0, healed: Int = 0, failed: Int = 0, drift: [Drift] = [], holds: [Hold] = [],
        lastEvent: Int = 0, suspended: String? = nil, diskLow: Bool = false
    ) {
        (self.managed, self.healed, self.failed) = (managed, healed, failed)
        (self.drift, self.holds, self.lastEvent) = (drift, holds, lastEvent)
        (self.suspended, self.diskLow) = (suspended, diskLow)
    }
}
