import BasculePostgres

/// One object of a catalog: the catalog table that holds it and its number there.
struct ObjectKey: Hashable, Comparable {
    var catalog: String
    var oid: Int64
    static func < (left: Self, right: Self) -> Bool { (left.catalog, left.oid) < (right.catalog, right.oid) }
}

/// A statement, or a few that belong together, that make one object at the target.
struct SchemaObject {
    var key: ObjectKey
    /// A word for people: `table`, `function`.
    var kind: String
    /// The object's name, quoted.
    var name: String
    var sql: [String]
}

struct PGColumn {
    var number: Int
    var name: String
    /// As `format_type` writes it.
    var type: String
    /// The type's number at the source; on every server the same where `isPortable`.
    var typeNumber: UInt32
    /// Empty, or the generation expression.
    var generated: String
    /// `a`, `d` or empty.
    var identity: String
    /// True when the type's binary form is the same on every server: built in, and no other type's number in it.
    var isPortable: Bool
    var collation: String?
    var notNull: Bool
    var details: Details

    /// What only ALTER TABLE can say.
    struct Details {
        var storage: String?
        var compression: String?
        var statistics: Int?
        var options: String?
    }
}

struct PGTable {
    var oid: Int64
    var schema: String
    var name: String
    /// `r` ordinary, `p` partitioned.
    var kind: String
    var persistence: String
    var options: String?
    var partitionKey: String?
    var partitionBound: String?
    var parents: [String]
    var rowSecurity: Bool
    var forcedRowSecurity: Bool
    /// `d`, `n`, `f`, `i`.
    var replicaIdentity: String
    var bytes: Int64
    var estimatedRows: Int64
    var pages: Int64
    var columns: [PGColumn] = []
    /// Columns of the primary key, in its order.
    var key: [String] = []

    var quoted: String { PGQuote.identifier(schema, name) }
    /// For reports.
    var shown: String { PGQuote.shown(schema, name) }
    /// Its rows are left behind, as the fleet file says.
    var isExcluded = false
    var holdsRows: Bool { kind == "r" && !isExcluded }
    /// What COPY may name.
    var copied: [PGColumn] { columns.filter { $0.generated.isEmpty } }
    var hasGenerated: Bool { columns.contains { !$0.generated.isEmpty } }
}

struct PGIndex {
    var oid: Int64
    var table: Int64
    var name: String
    var definition: String
    /// The partitioned index that it is a part of, quoted with its schema.
    var parent: String?
    var quoted: String
    var onPartitioned: Bool
    var isUnique: Bool
    /// The primary key, unique or exclusion constraint that it serves.
    var constraint: Int64?
    var isReplicaIdentity: Bool
    var bytes: Int64
}

struct PGConstraint {
    var oid: Int64
    var table: Int64
    var name: String
    /// `p`, `u`, `x`, `c`, `f`.
    var type: String
    var definition: String
    /// The table at the other end of a foreign key.
    var foreignTable: Int64
    var deferral: String
    var tableName: String
    var onPartitioned: Bool
}

/// A step of the last stage that can be told to be there by a query.
struct LateObject {
    var name: String
    var sql: [String]
}

struct PGSequence {
    var oid: Int64
    var schema: String
    var name: String
    var quoted: String { PGQuote.identifier(schema, name) }
    var shown: String { PGQuote.shown(schema, name) }
}

/// All that a source's database holds and that is moved, with the statements that make it again.
struct PGCatalog {
    var version: Int
    var schemas: [String] = []
    var tables: [PGTable] = []
    var sequences: [PGSequence] = []
    var indexes: [PGIndex] = []
    var constraints: [PGConstraint] = []
    var extensions: [(name: String, schema: String, version: String)] = []
    /// Objects of the first stage in an order in which each follows what it needs.
    var early: [SchemaObject] = []
    /// Views and what hangs on them that need a primary key to exist.
    var late: [SchemaObject] = []
    var materialized: [(oid: Int64, quoted: String, populated: Bool)] = []
    /// Triggers, rules, policies, row security, statistics, comments, grants.
    var finals: [LateObject] = []
    var findings: [FindingDraft] = []
    /// Roles of an API such as Supabase's, which policies and grants name and the target may lack: made without a login.
    var apiRoles: [String] = []
    /// Every statement, sorted: the schema's text at this server.
    var text: String = ""
    /// Names, types and kinds only: comparable between versions.
    var shape: [String] = []

    var byOid: [Int64: PGTable] { Dictionary(uniqueKeysWithValues: tables.map { ($0.oid, $0) }) }
    var loadable: [PGTable] { tables.filter(\.holdsRows) }
}
