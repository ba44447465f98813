/// One MySQL or MariaDB database to be moved into a PostgreSQL database of this node.
package struct MySQLMove: Hashable, Codable, Sendable {
    /// The source's name in the fleet file.
    package var name: String
    /// `mysql://user:password@host:port/database` as a secret of the fleet.
    package var source: SecretName
    /// The same for an account that may change other accounts' rights; the source's own where absent.
    package var fence: SecretName?
    package var targetDatabase: String
    /// Directory of the target's unix socket.
    package var targetSocket: String
    package var targetPort: Int
    /// A superuser of the target that may log in over the socket (peer authentication).
    package var targetUser: String
    /// The role that owns every object at the target. It exists before the move.
    package var owner: String
    /// The schema that the tables go to.
    package var schema: String
    /// Tables left behind.
    package var exclude: [String]
    /// Words by MySQL type (`tinyint(1)`) or column (`users.born`): see `MySQLRuleWords`.
    package var rules: [String: String]
    /// Codes of findings that would refuse the move, accepted by the fleet's owner: they only warn.
    package var accept: [String]
    package var users: MySQLUsers?
    /// Rows a table that are shown side by side.
    package var spotChecks: Int

    package init(
        name: String, source: SecretName, fence: SecretName? = nil, targetDatabase: String,
        targetSocket: String = "/var/run/postgresql", targetPort: Int = 5432, targetUser: String = "postgres",
        owner: String, schema: String = "public", exclude: [String] = [], rules: [String: String] = [:],
        accept: [String] = [], users: MySQLUsers? = nil, spotChecks: Int = 3
    ) {
        (self.name, self.source, self.fence, self.targetDatabase) = (name, source, fence, targetDatabase)
        (self.targetSocket, self.targetPort, self.targetUser) = (targetSocket, targetPort, targetUser)
        (self.owner, self.schema, self.exclude, self.rules) = (owner, schema, exclude, rules)
        (self.accept, self.users, self.spotChecks) = (accept, users, spotChecks)
    }
}

/// Where the app's users are, so that they are looked at as users and marked as migrated.
package struct MySQLUsers: Hashable, Codable, Sendable {
    package var table: String
    package var email: String
    /// The column of password hashes, whose formats preflight tells.
    package var password: String?
    /// A `jsonb` column of the target that gets `migratedFrom`, `migratedId` and `migratedAt`.
    package var metadata: String?

    package init(table: String, email: String, password: String? = nil, metadata: String? = nil) {
        (self.table, self.email, self.password, self.metadata) = (table, email, password, metadata)
    }
}

/// The words of a mapping rule. The agent and the fleet file's reader agree on them here.
package enum MySQLRuleWords {
    /// What a column becomes.
    package static let types = [
        "boolean", "smallint", "integer", "bigint", "numeric", "real", "double", "text", "varchar", "char", "citext",
        "bytea", "uuid", "uuid-swapped", "json", "jsonb", "date", "timestamp", "timestamptz", "time", "interval", "bit",
        "array", "enum", "wkt", "wkb",
    ]
    /// What happens to a value that would be refused, and to a column's own rule.
    package static let values = [
        "zero-null", "empty-null", "strip-nul", "repair", "keep", "truncate", "nonzero", "plain", "skip",
    ]

    /// The first word that means nothing, or nil. A word with a slash or `UTC` after `timestamptz` is a time zone.
    package static func unknown(in text: String) -> String? {
        var mayBeZone = false
        for word in text.split(separator: " ").map(String.init) {
            if mayBeZone, word == "UTC" || word.contains("/") {
                mayBeZone = false
                continue
            }
            guard types.contains(word) || values.contains(word) else { return word }
            mayBeZone = word == "timestamptz"
        }
        return nil
    }
}

/// One task of a MySQL move. Each may be run again after a crash at any instant.
package struct MySQLTask: Hashable, Codable, Sendable {
    package enum Verb: String, Hashable, Codable, Sendable {
        /// Looks at both sides and changes neither.
        case preflight
        /// Schema, rows, keys and proof in one transaction that is rolled back: a dry run with all data.
        case rehearse
        /// The same, committed.
        case copy
        /// After the fence: reads the source again and replaces the tables that differ.
        case sync
        /// Compares both sides and changes neither.
        case verify
        /// The same with the checksums that `sync` took of the fenced source.
        case validate
        /// Reads the rights that a fence will take. To be journaled before `fenceAcquire`.
        case fenceCapture, fenceAcquire, fenceProve, fenceRelease
        /// Drops what the mover keeps in the target.
        case finish
        /// Compares one table and shows the rows that differ. Changes neither side.
        case diff
    }
    package var verb: Verb
    package var move: MySQLMove
    package var fence: MySQLFence?
    /// Of `diff`: the table by its source's or its target's name, and how many rows are shown.
    package var table: String?
    package var limit: Int?
    /// An earlier attempt of the migration came to T0 and went back: what stands at the target besides the copy is
    /// customers', and is not replaced unless that was accepted. The agent that knows it says it.
    package var afterOpen: Bool?
    package init(
        _ verb: Verb, _ move: MySQLMove, fence: MySQLFence? = nil, table: String? = nil, limit: Int? = nil
    ) {
        (self.verb, self.move, self.fence, self.table, self.limit) = (verb, move, fence, table, limit)
    }
}

/// An account or a role of the source that may write.
package struct MySQLFencedAccount: Hashable, Codable, Sendable {
    /// As SQL writes it: `'app'@'%'`, or a role's name.
    package var name: String
    package var isRole: Bool
    /// May write to every database: is locked out instead of having its rights taken.
    package var isGlobal: Bool
    /// Was locked already.
    package var wasLocked: Bool
    /// `REVOKE …` statements that take its rights to write, each with the `GRANT …` that gives them back.
    package var revokes: [String]
    package var grants: [String]
    package init(
        name: String, isRole: Bool, isGlobal: Bool, wasLocked: Bool, revokes: [String], grants: [String]
    ) {
        (self.name, self.isRole, self.isGlobal, self.wasLocked) = (name, isRole, isGlobal, wasLocked)
        (self.revokes, self.grants) = (revokes, grants)
    }
}

/// What a fence takes from a source, captured before it is taken, so that it can be given back exactly.
package struct MySQLFence: Hashable, Codable, Sendable {
    package var database: String
    package var accounts: [MySQLFencedAccount]
    /// Events that were enabled.
    package var events: [String]
    package init(database: String, accounts: [MySQLFencedAccount], events: [String]) {
        (self.database, self.accounts, self.events) = (database, accounts, events)
    }
}
