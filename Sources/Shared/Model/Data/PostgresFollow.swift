/// How a live source is followed between its copy and the freeze, and what becomes of what is written after T0.
package struct PostgresFollow: Hashable, Codable, Sendable {
    package enum Mode: String, Hashable, Codable, Sendable {
        /// Followed where the source allows it; else tables that changed are copied again after the fence.
        case auto
        /// A source that cannot be followed refuses the move.
        case always
        /// Tables that changed are copied again after the fence.
        case never
    }
    package enum Back: String, Hashable, Codable, Sendable {
        /// What is written at the target after T0 is written at the fenced source too.
        case replicate
        /// It is kept on the node as SQL statements in a file.
        case journal
    }
    package var mode: Mode
    /// Bytes of WAL that a slot of ours may keep at either side before it is given up.
    package var walCap: Int64
    /// nil: what is written after T0 stays at the target only.
    package var back: Back?
    package init(mode: Mode = .auto, walCap: Int64 = 8 << 30, back: Back? = nil) {
        (self.mode, self.walCap, self.back) = (mode, walCap, back)
    }
}

/// What is done about following. Each may be run again after a crash at any instant.
package enum PostgresFollowTask: String, Hashable, Codable, Sendable {
    /// Proves the copy while the source serves: what was not touched since is equal, what was touched is noted.
    case prove
    /// Runs until it is killed: notes what is touched, watches the WAL kept at the source, looks for schema changes.
    case keep
    /// After the fence: compares what was touched since the proof, and every table that is not followed.
    case changed
    /// Removes subscription, publications and slots on both sides.
    case end
    /// Before T0: from here on what the target writes is decoded.
    case backBegin
    /// Runs until it is killed: writes what the target's customers wrote at the fenced source.
    case backKeep
    /// After T0, with the target fenced: the rest, the sequences, and the proof that both sides are equal in it.
    case backDrain
    /// Removes the slot, the publication and what the way back left at the source.
    case backEnd
}

/// What a task about following brought.
package struct PostgresFollowReport: Hashable, Codable, Sendable {
    /// False where the source is not followed, or no longer.
    package var isFollowing: Bool
    /// Why not; empty while it follows.
    package var reason: String
    /// A position in the WAL of the side that was decoded.
    package var position: String
    /// Tables in the proof.
    package var tables: Int
    /// Rows of them at the source's snapshot.
    package var rows: Int64
    /// Keys touched since the proof began.
    package var keys: Int64
    /// Tables that were not equal and were loaded again.
    package var reloaded: [String]
    /// Changes written at the other side.
    package var changes: Int64
    /// Bytes of WAL that our slots keep.
    package var retained: Int64
    package var verification: PostgresVerification?
    package var seconds: Double
    package init(
        isFollowing: Bool, reason: String = "", position: String = "", tables: Int = 0, rows: Int64 = 0,
        keys: Int64 = 0, reloaded: [String] = [], changes: Int64 = 0, retained: Int64 = 0,
        verification: PostgresVerification? = nil, seconds: Double = 0
    ) {
        (self.isFollowing, self.reason, self.position, self.tables) = (isFollowing, reason, position, tables)
        (self.rows, self.keys, self.reloaded, self.changes) = (rows, keys, reloaded, changes)
        (self.retained, self.verification, self.seconds) = (retained, verification, seconds)
    }
}
