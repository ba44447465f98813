/// How serious a finding is.
package enum FindingSeverity: String, Hashable, Codable, Sendable, Comparable {
    case info, warn, refuse
    private var rank: Int {
        switch self {
        case .info: 0
        case .warn: 1
        case .refuse: 2
        }
    }
    package static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }
}

/// Something that a move must know before it starts: named, with its object and what to do.
package struct PostgresFinding: Hashable, Codable, Sendable {
    /// Stable, lower-case words joined by dashes: `rls-hides-rows`.
    package var code: String
    package var severity: FindingSeverity
    /// The object concerned, quoted as SQL quotes it where needed; empty for the whole database.
    package var object: String
    /// What is the case, one sentence without a full stop.
    package var message: String
    /// What to do about it, one sentence.
    package var hint: String

    package init(_ code: String, _ severity: FindingSeverity, _ object: String, _ message: String, hint: String) {
        self.code = code
        self.severity = severity
        self.object = object
        self.message = message
        self.hint = hint
    }
}

/// What preflight saw.
package struct PostgresPreflight: Hashable, Codable, Sendable {
    package var findings: [PostgresFinding]
    /// For example 170002.
    package var sourceVersion: Int
    package var targetVersion: Int
    /// Tables that would be copied, and their size on the source's disk without indexes.
    package var tables: Int
    package var bytes: Int64
    /// Rows by the source's statistics: an estimate.
    package var estimatedRows: Int64

    package init(
        findings: [PostgresFinding], sourceVersion: Int, targetVersion: Int, tables: Int, bytes: Int64,
        estimatedRows: Int64
    ) {
        self.findings = findings
        self.sourceVersion = sourceVersion
        self.targetVersion = targetVersion
        self.tables = tables
        self.bytes = bytes
        self.estimatedRows = estimatedRows
    }

    /// False when a finding refuses the move.
    package var passes: Bool { !findings.contains { $0.severity == .refuse } }
}
