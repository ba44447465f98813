/// The strong digest of one table's rows: 128 bits a row, added up, so that order does not matter and equal rows do not
/// cancel. Two sums of 64-bit values as exact decimal numbers, plus the count.
package struct PostgresTableDigest: Hashable, Codable, Sendable {
    /// `schema.table`, each part quoted.
    package var table: String
    package var rows: Int64
    package var first: String
    package var second: String
    package init(table: String, rows: Int64, first: String, second: String) {
        self.table = table
        self.rows = rows
        self.first = first
        self.second = second
    }
}

/// A sequence's state.
package struct PostgresSequenceValue: Hashable, Codable, Sendable {
    package var sequence: String
    package var value: Int64
    /// False when the value itself has not been given out yet.
    package var isCalled: Bool
    package init(sequence: String, value: Int64, isCalled: Bool) {
        self.sequence = sequence
        self.value = value
        self.isCalled = isCalled
    }
}

/// All that is compared of one side.
package struct PostgresDigests: Hashable, Codable, Sendable {
    /// The random keys of the row hashes; both sides must use the same.
    package var seeds: [Int64]
    package var tables: [PostgresTableDigest]
    package var sequences: [PostgresSequenceValue]
    /// Of names, types, keys and kinds, independent of the server's version.
    package var shape: String
    package init(
        seeds: [Int64], tables: [PostgresTableDigest], sequences: [PostgresSequenceValue], shape: String
    ) {
        self.seeds = seeds
        self.tables = tables
        self.sequences = sequences
        self.shape = shape
    }
}

/// One row that is not the same on both sides.
package struct PostgresRowDifference: Hashable, Codable, Sendable {
    package enum Kind: String, Hashable, Codable, Sendable {
        /// Only at the source.
        case missing
        /// Only at the target.
        case extra
        /// On both sides, with different content.
        case changed
    }
    package var table: String
    package var kind: Kind
    /// The primary key as SQL's row text, `(1,abc)`; without one, where the row lies (`ctid (0,7)`).
    package var key: String
    package init(table: String, kind: Kind, key: String) {
        self.table = table
        self.kind = kind
        self.key = key
    }
}

/// One table of a copy.
package struct PostgresTableCopy: Hashable, Codable, Sendable {
    package var table: String
    package var rows: Int64
    package var bytes: Int64
    package var seconds: Double
    package init(table: String, rows: Int64, bytes: Int64, seconds: Double) {
        self.table = table
        self.rows = rows
        self.bytes = bytes
        self.seconds = seconds
    }
}

/// What a copy did.
package struct PostgresCopyReport: Hashable, Codable, Sendable {
    /// Tables copied by this run.
    package var copied: [PostgresTableCopy]
    /// Tables that an earlier run had already finished.
    package var alreadyDone: [String]
    /// What did not travel or needs attention, among them grants to roles that the target lacks.
    package var findings: [PostgresFinding]
    package var indexes: Int
    package var constraints: Int
    package var seconds: Double
    /// The proof that the target holds what the source's snapshot held; nil where this machine could not digest rows
    /// in passing.
    package var proof: PostgresProof?
    package init(
        copied: [PostgresTableCopy], alreadyDone: [String], findings: [PostgresFinding], indexes: Int,
        constraints: Int, seconds: Double, proof: PostgresProof? = nil
    ) {
        self.proof = proof
        self.copied = copied
        self.alreadyDone = alreadyDone
        self.findings = findings
        self.indexes = indexes
        self.constraints = constraints
        self.seconds = seconds
    }
    package var rows: Int64 { copied.reduce(0) { $0 + $1.rows } }
    package var bytes: Int64 { copied.reduce(0) { $0 + $1.bytes } }
}

/// Digests of the source's rows, taken while they passed, against digests that the target's server computed itself.
package struct PostgresProof: Hashable, Codable, Sendable {
    package var tables: Int
    package var rows: Int64
    /// What the proof took beyond the copy.
    package var seconds: Double
    package init(tables: Int, rows: Int64, seconds: Double) {
        (self.tables, self.rows, self.seconds) = (tables, rows, seconds)
    }
}

/// One table of both sides, compared row by row.
package struct PostgresComparison: Hashable, Codable, Sendable {
    package struct Row: Hashable, Codable, Sendable {
        package var kind: PostgresRowDifference.Kind
        /// As `PostgresRowDifference.key`.
        package var key: String
        /// Values as text in the order of the columns, NULL as nil, long ones cut; nil where that side has no such row.
        package var source: [String?]?
        package var target: [String?]?
        package init(kind: PostgresRowDifference.Kind, key: String, source: [String?]?, target: [String?]?) {
            (self.kind, self.key, self.source, self.target) = (kind, key, source, target)
        }
    }
    package var table: String
    package var columns: [String]
    package var sourceRows: Int64
    package var targetRows: Int64
    package var isEqual: Bool
    /// The first rows that differ, as many as were asked for.
    package var rows: [Row]
    package var seconds: Double
    package init(
        table: String, columns: [String], sourceRows: Int64, targetRows: Int64, isEqual: Bool, rows: [Row],
        seconds: Double
    ) {
        (self.table, self.columns, self.sourceRows, self.targetRows) = (table, columns, sourceRows, targetRows)
        (self.isEqual, self.rows, self.seconds) = (isEqual, rows, seconds)
    }
}

/// What a sync did.
package struct PostgresSyncReport: Hashable, Codable, Sendable {
    /// Tables that differed and were copied again.
    package var recopied: [PostgresTableCopy]
    /// The fenced source, so that it need not be read again.
    package var source: PostgresDigests
    package var target: PostgresDigests
    package var seconds: Double
    /// Set where the source was followed: what of it was not proved before the fence is what remains to be compared.
    package var followed: PostgresFollowReport?
    package init(
        recopied: [PostgresTableCopy], source: PostgresDigests, target: PostgresDigests, seconds: Double,
        followed: PostgresFollowReport? = nil
    ) {
        self.recopied = recopied
        self.source = source
        self.target = target
        self.seconds = seconds
        self.followed = followed
    }
}

/// The result of an independent comparison.
package struct PostgresVerification: Hashable, Codable, Sendable {
    package var tables: Int
    package var rows: Int64
    /// Tables whose count or digest differs.
    package var differingTables: [String]
    /// At most 20 rows a table.
    package var differences: [PostgresRowDifference]
    /// Sequences that would give out a value again, as `name: source 7, target 5`.
    package var differingSequences: [String]
    /// What the schema lacks or has too much at the target.
    package var shapeDifferences: [String]
    package var seconds: Double
    package init(
        tables: Int, rows: Int64, differingTables: [String], differences: [PostgresRowDifference],
        differingSequences: [String], shapeDifferences: [String], seconds: Double
    ) {
        self.tables = tables
        self.rows = rows
        self.differingTables = differingTables
        self.differences = differences
        self.differingSequences = differingSequences
        self.shapeDifferences = shapeDifferences
        self.seconds = seconds
    }
    package var isEqual: Bool {
        differingTables.isEmpty && differingSequences.isEmpty && shapeDifferences.isEmpty
    }
}
