import BasculeModel

/// What a node knows of PostgreSQL's backups: the program's `state`.
package struct PostgresBackupState: Codable, Sendable {
    package struct Backup: Codable, Sendable {
        package var label: String
        /// `full`, `diff` or `incr`.
        package var type: String
        /// Seconds since 1970.
        package var started, ended: Double
        /// Bytes of the cluster, and those that this backup alone takes in the target.
        package var bytes, stored: Int
        /// Where its WAL begins.
        package var from: String
        package var damaged: Bool
    }

    package struct WAL: Codable, Sendable {
        /// Names of segments.
        package var first, last: String
    }

    package struct Target: Codable, Sendable {
        package var name, kind, place: String
        package var error: String?
        /// Seconds since 1970: when everything was last read and compared.
        package var verified: Double?
        package var running: Bool
        /// The system identifier of the cluster whose backups these are.
        package var system: String?
        package var backups: [Backup]
        package var wal: [WAL]
        /// Seconds since 1970: when a copy on another node was last known to have everything.
        package var copied: Double?
        /// Base backups that such a copy has.
        package var labels: [String]?
    }

    /// The rows of a drill: how many were written, and when the last one was.
    package struct Canary: Codable, Sendable {
        package var rows: Int
        package var last: Double
    }

    /// A copy that was brought here.
    package struct Fetched: Codable, Sendable {
        package var seconds: Double
        package var bytes: Int
    }

    package struct Point: Codable, Sendable {
        package var name: String
        package var time: Double
        package var lsn: String
        package var timeline: Int?
    }

    /// Segments that are full and in no archive yet, and how long the oldest has waited.
    package struct Waiting: Codable, Sendable {
        package var files: Int
        package var seconds: Double
    }

    package var kind: String
    /// The system identifier of the cluster on the node; empty where there is none.
    package var system: String
    package var targets: [Target]
    package var points: [Point]
    package var waiting: Waiting?
    /// When the last segment was archived.
    package var archived: Double?
    package var checksums: Bool?
    /// Why the server says nothing.
    package var server: String?
    /// What the last prune of a bucket did, by target.
    package var pruned: [String: PruneReport]?
    package var canary: Canary?
    package var fetched: Fetched?
}

/// What a restore would do: the program's `forecast`.
package struct RestoreForecast: Codable, Sendable {
    package struct Refusal: Codable, Sendable {
        /// `restore-not-empty`, `restore-other-cluster`, `restore-gap`, `restore-space`, `restore-no-server`
        package var code, text: String
    }
    /// What is to be brought from another node first.
    package struct Fetch: Codable, Sendable {
        /// Bytes that are still to be brought, and those that an earlier try has brought.
        package var bytes, have: Int
        package var seconds: Double
        package var place: String
        /// The cluster's system identifier.
        package var system: String
    }
    package var target, label: String
    package var fetch: Fetch?
    /// When the base backup that it begins with ended.
    package var ended: Double
    package var bytes, segments: Int
    package var refusals: [Refusal]
    package var warnings: [String]
    /// What the cluster that is there holds.
    package var before: String?
    /// Seconds, and what they were reckoned from.
    package var seconds: Double
    package var basis: String
    /// Where a part goes.
    package var into: String?
}

/// What a restore did: the program's `restored`.
package struct RestoreReport: Codable, Sendable {
    package var id, label, target: String
    package var bytes: Int
    package var copied, replayed: Double
    /// Seconds that it took to bring it from another node.
    package var fetched: Double?
    /// LSN.
    package var reached: String
    /// When the last transaction in it was committed; empty where none was replayed.
    package var latest: String
    /// Where the cluster that was replaced is kept.
    package var kept: String?
    /// Where the node's own repository is kept, whose place the one that was brought has taken.
    package var repository: String?
    package var into: String?
    package var socket: String?
}

/// What came of a prune, as the program says that did it.
package struct PruneReport: Codable, Sendable {
    package struct Refusal: Codable, Sendable {
        package var code, text: String
    }
    package var id: String
    /// Base backups; those of another node's copy with their cluster: `SYSTEM/LABEL`.
    package var kept, pruned: [String]
    /// Segments of WAL and bytes that went; nil where the tool does not say it.
    package var segments, bytes: Int?
    package var refusal: Refusal?
}
