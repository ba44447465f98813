import BasculeModel
import FoundationEssentials

/// A finding before the accepted ones are softened.
typealias FindingDraft = PostgresFinding

extension PostgresMove {
    /// Findings that the fleet's owner accepted only warn; order: worst first, then by code and object.
    func judged(_ findings: [PostgresFinding]) -> [PostgresFinding] {
        findings.map { finding in
            guard finding.severity == .refuse, acceptedFindings.contains(finding.code) else { return finding }
            var accepted = finding
            accepted.severity = .warn
            return accepted
        }
        .sorted { ($1.severity, $0.code, $0.object) < ($0.severity, $1.code, $1.object) }
    }
}

/// Names that a server sends as a JSON array of strings.
enum JSONNames {
    static func decode(_ text: String) -> [String] {
        (try? JSONDecoder().decode([String].self, from: Data(text.utf8))) ?? []
    }
}

extension ErrorCode {
    /// Preflight found something that must be answered before the move.
    package static let moveRefused: ErrorCode = "move-refused"
    /// The source's schema changed between the copy and the sync.
    package static let schemaChanged: ErrorCode = "schema-changed"
    /// Another move into the same database is under way.
    package static let moveRunning: ErrorCode = "move-running"
    /// A row of the source cannot be stored at the target.
    package static let rowRefused: ErrorCode = "row-refused"
    /// The target does not hold what was copied.
    package static let copyDiffers: ErrorCode = "copy-differs"
    /// The fence could not be taken, or does not hold.
    package static let fenceFailed: ErrorCode = "fence-failed"
}
