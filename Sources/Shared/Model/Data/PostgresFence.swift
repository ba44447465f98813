/// One right as the source's catalog holds it.
package struct PostgresRight: Hashable, Codable, Sendable, Comparable {
    /// The role that has it; empty for PUBLIC.
    package var grantee: String
    package var grantor: String
    /// `INSERT`, `USAGE`, `EXECUTE`, `CREATE`…
    package var privilege: String
    package var grantable: Bool
    package init(grantee: String, grantor: String, privilege: String, grantable: Bool) {
        self.grantee = grantee
        self.grantor = grantor
        self.privilege = privilege
        self.grantable = grantable
    }
    package static func < (left: Self, right: Self) -> Bool {
        (left.grantee, left.grantor, left.privilege, left.grantable ? 1 : 0)
            < (right.grantee, right.grantor, right.privilege, right.grantable ? 1 : 0)
    }
}

/// An object of the source with the rights on it that a fence takes away.
package struct PostgresFencedObject: Hashable, Codable, Sendable {
    package enum Kind: String, Hashable, Codable, Sendable {
        case table, column, sequence, schema, function, defaults
    }
    package var kind: Kind
    /// As SQL names it: `"public"."orders"`; for a function with its argument types; for `defaults` the schema or "".
    package var name: String
    package var owner: String
    /// For `column` its name, quoted; for `defaults` the object type (`TABLES`, `SEQUENCES`).
    package var part: String
    /// Only those that a fence takes, sorted.
    package var rights: [PostgresRight]
    package init(kind: Kind, name: String, owner: String, part: String = "", rights: [PostgresRight]) {
        self.kind = kind
        self.name = name
        self.owner = owner
        self.part = part
        self.rights = rights
    }
}

/// A role of the source.
package struct PostgresFencedRole: Hashable, Codable, Sendable {
    package var name: String
    package var canLogin: Bool
    package var isSuperuser: Bool
    /// `default_transaction_read_only` for this role in this database before the fence; nil when unset.
    package var readOnlyDefault: String?
    package init(name: String, canLogin: Bool, isSuperuser: Bool, readOnlyDefault: String?) {
        self.name = name
        self.canLogin = canLogin
        self.isSuperuser = isSuperuser
        self.readOnlyDefault = readOnlyDefault
    }
}

/// A membership in a predefined role that may write everywhere, whatever the rights on a table say.
package struct PostgresFencedMembership: Hashable, Codable, Sendable {
    package var role: String
    package var member: String
    /// Who gave it; empty before version 16, which does not tell grants apart by their giver.
    package var grantor: String
    package var admin: Bool
    package init(role: String, member: String, grantor: String, admin: Bool) {
        self.role = role
        self.member = member
        self.grantor = grantor
        self.admin = admin
    }
}

/// What a fence takes from a source, captured before it is taken, so that it can be given back exactly.
package struct PostgresFence: Hashable, Codable, Sendable {
    /// Marks the source while fenced.
    package var id: String
    package var database: String
    package var objects: [PostgresFencedObject]
    package var roles: [PostgresFencedRole]
    package var memberships: [PostgresFencedMembership]
    /// `default_transaction_read_only` of the database before the fence; nil when unset.
    package var readOnlyDefault: String?
    package init(
        id: String, database: String, objects: [PostgresFencedObject], roles: [PostgresFencedRole],
        memberships: [PostgresFencedMembership], readOnlyDefault: String?
    ) {
        self.id = id
        self.database = database
        self.objects = objects
        self.roles = roles
        self.memberships = memberships
        self.readOnlyDefault = readOnlyDefault
    }
}

/// What taking or releasing a fence did.
package struct PostgresFenceReport: Hashable, Codable, Sendable {
    /// Sessions that were writing when the fence came: ended by themselves, or were ended.
    package var drained: Int
    package var terminated: Int
    /// Writes tried after the fence in a session that was opened, and had prepared them, before it, as a pool does.
    package var pooled: [PostgresFenceAttempt]
    package var findings: [PostgresFinding]
    package var seconds: Double
    package init(
        drained: Int, terminated: Int, pooled: [PostgresFenceAttempt] = [], findings: [PostgresFinding],
        seconds: Double
    ) {
        self.drained = drained
        self.terminated = terminated
        self.pooled = pooled
        self.findings = findings
        self.seconds = seconds
    }
}

/// One attempted write.
package struct PostgresFenceAttempt: Hashable, Codable, Sendable {
    package enum Class: String, Hashable, Codable, Sendable, CaseIterable {
        case insert, update, delete, truncate, sequence, create
    }
    package enum Outcome: String, Hashable, Codable, Sendable {
        /// The right is missing: the write was really tried and refused.
        case refused
        /// Refused only because transactions are read-only by default, which a session can override.
        case refusedByDefault
        /// The role cannot be assumed by us; the server's catalog says that it has no right.
        case catalogSaysNo
        /// The write would be accepted, or what happened proves nothing.
        case notRefused
    }
    package var role: String
    /// True when the attempt ran in a session that was opened before the fence, as a pool holds them.
    package var pooled: Bool
    package var kind: Class
    package var object: String
    package var outcome: Outcome
    /// The SQLSTATE, or what the catalog said.
    package var answer: String
    package init(
        role: String, pooled: Bool, kind: Class, object: String, outcome: Outcome, answer: String
    ) {
        self.role = role
        self.pooled = pooled
        self.kind = kind
        self.object = object
        self.outcome = outcome
        self.answer = answer
    }
}

/// Evidence that nobody can write to the source.
package struct PostgresFenceProof: Hashable, Codable, Sendable {
    package var attempts: [PostgresFenceAttempt]
    /// Combinations of role, object and right that the catalog was asked for, all of them.
    package var combinations: Int
    /// What still may write, as the catalog says; empty when the fence holds.
    package var holes: [String]
    package var findings: [PostgresFinding]
    package init(
        attempts: [PostgresFenceAttempt], combinations: Int, holes: [String], findings: [PostgresFinding]
    ) {
        self.attempts = attempts
        self.combinations = combinations
        self.holes = holes
        self.findings = findings
    }
    /// A row policy may refuse an insert with the same SQLSTATE as a missing right: that is why `holes`, which rests on
    /// rights alone, must be empty too. True when every attempt by a role that is no superuser was refused by a missing right, and no hole is left.
    package var holds: Bool {
        holes.isEmpty && !attempts.isEmpty && attempts.allSatisfy { $0.outcome != .notRefused }
    }
}
