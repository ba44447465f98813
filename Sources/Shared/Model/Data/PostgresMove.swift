/// One PostgreSQL database to be moved: from a source reached by a URL into an existing database of this node.
package struct PostgresMove: Hashable, Codable, Sendable {
    /// The source's connection string (URL or conninfo) as a secret of the fleet.
    package var source: SecretName
    package var targetDatabase: String
    /// Directory of the target's unix socket.
    package var targetSocket: String
    package var targetPort: Int
    /// A superuser of the target that may log in over the socket (peer authentication).
    package var targetUser: String
    /// The role that owns every object at the target. It exists before the move.
    package var owner: String
    /// Tables copied, digested or indexed at the same time.
    package var parallelism: Int
    /// The schemas to move; nil means all but the system's and those that belong to extensions.
    package var schemas: [String]?
    /// Move into a database that already holds tables or other objects.
    package var allowNonEmptyTarget: Bool
    /// Codes of findings that would refuse the move, accepted by the fleet's owner: they only warn.
    package var acceptedFindings: [String]
    /// How long the fence waits for writing transactions before it ends their sessions, in seconds.
    package var fenceGrace: Double
    /// Tables that are left behind, as `schema.table`; nil for none.
    package var exclude: [String]?
    /// A table of more than twice so many pages of 8 KiB is copied in ranges of so many; nil for 16384 (128 MiB).
    package var rangePages: Int64?
    /// nil: the source is not followed.
    package var follow: PostgresFollow?
    /// True in the tasks of a way back: the fence is the target's.
    package var fencesTarget: Bool?

    package init(
        source: SecretName, targetDatabase: String, targetSocket: String = "/var/run/postgresql",
        targetPort: Int = 5432, targetUser: String = "postgres", owner: String, parallelism: Int = 2,
        schemas: [String]? = nil, allowNonEmptyTarget: Bool = false, acceptedFindings: [String] = [],
        fenceGrace: Double = 2, follow: PostgresFollow? = nil
    ) {
        self.source = source
        self.targetDatabase = targetDatabase
        self.targetSocket = targetSocket
        self.targetPort = targetPort
        self.targetUser = targetUser
        self.owner = owner
        self.parallelism = parallelism
        self.schemas = schemas
        self.allowNonEmptyTarget = allowNonEmptyTarget
        self.acceptedFindings = acceptedFindings
        self.fenceGrace = fenceGrace
        self.follow = follow
    }
}

/// One task of a PostgreSQL move. Each may be run again after a crash at any instant.
package enum PostgresTask: Hashable, Codable, Sendable {
    /// Looks at both sides and changes neither.
    case preflight(PostgresMove)
    /// Schema, rows, indexes, constraints, from one snapshot; goes on where an earlier run stopped.
    case copy(PostgresMove)
    /// After the fence: digests both sides, copies again what differs, sets sequences.
    case sync(PostgresMove)
    /// Compares both sides and changes neither. `source` takes digests of a fenced source instead of reading it again.
    case verify(PostgresMove, source: PostgresDigests?)
    /// Reads the rights that a fence will take. To be journaled before `fenceAcquire`.
    case fenceCapture(PostgresMove)
    case fenceAcquire(PostgresMove, PostgresFence)
    case fenceProve(PostgresMove, PostgresFence)
    case fenceRelease(PostgresMove, PostgresFence)
    /// Drops the schema `bascule` of the target and the loading role.
    case finish(PostgresMove)
    /// The rows in which one table differs, both sides' values with them; changes neither. `table` is `schema.table`,
    /// or its name alone where no other schema has it. At most `limit` rows.
    case diff(PostgresMove, table: String, limit: Int)
    case follow(PostgresFollowTask, PostgresMove)

    /// The move that the task belongs to.
    package var move: PostgresMove {
        switch self {
        case .preflight(let move), .copy(let move), .sync(let move), .verify(let move, _), .fenceCapture(let move),
            .fenceAcquire(let move, _), .fenceProve(let move, _), .fenceRelease(let move, _), .finish(let move),
            .diff(let move, _, _), .follow(_, let move):
            move
        }
    }
}

/// What a task brought.
package enum PostgresReport: Hashable, Codable, Sendable {
    case preflight(PostgresPreflight)
    case copied(PostgresCopyReport)
    case synced(PostgresSyncReport)
    case verified(PostgresVerification)
    case captured(PostgresFence)
    case fenced(PostgresFenceReport)
    case proved(PostgresFenceProof)
    case released(PostgresFenceReport)
    case finished
    case compared(PostgresComparison)
    case followed(PostgresFollowReport)
}
