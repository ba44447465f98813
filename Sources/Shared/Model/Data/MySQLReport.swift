/// What a task of a MySQL move brought; a task fills what it knows.
package struct MySQLReport: Hashable, Codable, Sendable {
    package var findings: [PostgresFinding] = []
    /// How the source was read: one snapshot, and over how many connections.
    package var snapshot = ""
    package var tables: [MySQLTableReport] = []
    /// The first of the values that cannot be stored, in the order of tables and keys.
    package var refused: [MySQLRefusedValue] = []
    /// All of them.
    package var refusedCount: Int64 = 0
    package var differences: [MySQLDifference] = []
    package var differenceCount: Int64 = 0
    package var spots: [MySQLSpot] = []
    package var fence: MySQLFence?
    package var attempts: [MySQLFenceAttempt] = []
    /// Accounts that may still write, as the server's own list says; empty when the fence holds.
    package var holes: [String] = []
    package var sessionsEnded = 0
    package var seconds = 0.0
    /// Of a copy: seconds that the second pass and the comparison will need under the fence, at this copy's pace, where
    /// no table has changed by then, and where every one has.
    package var again: [Double]?

    package init() {}

    package var rows: Int64 { tables.reduce(0) { $0 + $1.rows } }
    package var bytes: Int64 { tables.reduce(0) { $0 + $1.bytes } }
    package var refusals: [PostgresFinding] { findings.filter { $0.severity == .refuse } }
    /// Counts and every column's checksum are the same on both sides.
    package var isEqual: Bool { tables.allSatisfy(\.isEqual) && differenceCount == 0 }
}

/// One table's way, and both sides' checksums.
package struct MySQLTableReport: Hashable, Codable, Sendable {
    /// The source's name.
    package var table: String
    /// The target's, quoted where needed.
    package var target: String
    /// Rows and bytes that were copied; for a comparison, rows of the source.
    package var rows: Int64
    package var bytes: Int64
    /// Rows of the target, where it was read.
    package var targetRows: Int64?
    package var columns: [MySQLColumnSum]
    package var seconds: Double
    package init(
        table: String, target: String, rows: Int64 = 0, bytes: Int64 = 0, targetRows: Int64? = nil,
        columns: [MySQLColumnSum] = [], seconds: Double = 0
    ) {
        (self.table, self.target, self.rows, self.bytes) = (table, target, rows, bytes)
        (self.targetRows, self.columns, self.seconds) = (targetRows, columns, seconds)
    }
    package var isEqual: Bool {
        (targetRows == nil || targetRows == rows) && columns.allSatisfy { $0.target == nil || $0.target == $0.source }
    }
}

/// The checksum of one column: the sum of a keyed 128-bit hash of each value together with its row's key, hexadecimal.
package struct MySQLColumnSum: Hashable, Codable, Sendable {
    package var column: String
    package var source: String
    package var target: String?
    package init(column: String, source: String, target: String? = nil) {
        (self.column, self.source, self.target) = (column, source, target)
    }
}

/// A value that the declared conversion does not take.
package struct MySQLRefusedValue: Hashable, Codable, Sendable {
    package var table: String
    /// The row's key as `id=42`, escaped; the row's number where the table has no key.
    package var key: String
    package var column: String
    /// The value's beginning, escaped.
    package var value: String
    /// A stable word: `zero-date`, `nul-byte`, `out-of-range`…
    package var reason: String
    package init(table: String, key: String, column: String, value: String, reason: String) {
        (self.table, self.key, self.column, self.value, self.reason) = (table, key, column, value, reason)
    }
    package var line: String { "\(table) \(key) \(column) = \(value): \(reason)" }
}

/// A row that is not the same on both sides.
package struct MySQLDifference: Hashable, Codable, Sendable {
    package var table: String
    package var key: String
    /// `missing` at the target, `extra` there, or `changed`.
    package var kind: String
    /// The columns that differ.
    package var columns: [String]
    package init(table: String, key: String, kind: String, columns: [String]) {
        (self.table, self.key, self.kind, self.columns) = (table, key, kind, columns)
    }
}

/// A row of both sides, side by side.
package struct MySQLSpot: Hashable, Codable, Sendable {
    package var table: String
    package var key: String
    /// Column, source's value, target's value; escaped and cut. Columns that look like secrets are masked.
    package var cells: [[String]]
    package var isEqual: Bool
    package init(table: String, key: String, cells: [[String]], isEqual: Bool) {
        (self.table, self.key, self.cells, self.isEqual) = (table, key, cells, isEqual)
    }
}

/// One attempted write, under the rights that an account has while fenced.
package struct MySQLFenceAttempt: Hashable, Codable, Sendable {
    package var account: String
    /// `login`, `insert`, `update`, `delete`, `create`, or `pooled` for a session that was opened before the fence.
    package var kind: String
    package var refused: Bool
    /// What the server said.
    package var answer: String
    package init(account: String, kind: String, refused: Bool, answer: String) {
        (self.account, self.kind, self.refused, self.answer) = (account, kind, refused, answer)
    }
}
