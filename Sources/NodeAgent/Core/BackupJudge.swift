import BasculeData
import BasculeModel

/// What archives of sources and Borg's repositories have to be.
extension DataJudge {
    static func judge(_ report: ArchiveReport, _ evidence: Prove) -> StepResult {
        let of = report.expected.map { " of \($0.grouped)" } ?? ""
        let proof = evidence(
            "source archived",
            "\(report.count.grouped)\(of) \(report.unit), \(report.bytes.bytesText) for \(report.sourceBytes.bytesText) at the source\(report.faults.isEmpty ? ", manifest \(report.manifest.rawValue.prefix(12)) in \(report.folder)" : ": \(report.faults.joined(separator: ", "))")",
            "what the source says it holds", report.faults.isEmpty, Double(report.bytes), "bytes")
        guard report.faults.isEmpty else {
            let error = BasculeError(
                .archiveImplausible,
                "the archive is not what the source holds: \(report.faults.joined(separator: "; "))",
                hint: "an earlier archive stays where it is; look at the source, then apply again")
            return StepResult(.failed, error.message, error: error, evidence: [proof])
        }
        return StepResult(.done, proof.value, evidence: [proof])
    }

    static func judge(_ task: DataTask, _ report: BorgReport, _ evidence: Prove) -> StepResult {
        guard case .borg(let task) = task else { return StepResult(.failed, "the report does not belong to the task") }
        switch task {
        case .archives:
            return StepResult(.done, "\(report.archives.count) archives")
        case .prune:
            let proof = evidence(
                "archives on record",
                report.missing.isEmpty
                    ? "all there, \(report.archives.count) checked with their data"
                    : "missing: \(report.missing.joined(separator: ", "))",
                "none missing", report.missing.isEmpty, Double(report.archives.count), "archives")
            guard report.missing.isEmpty else {
                let error = BasculeError(
                    .archivesMissing,
                    "\(report.missing.count) archives on record are gone from the repository: \(report.missing.prefix(5).joined(separator: ", "))",
                    hint: """
                        nothing was deleted: an append-only repository still holds them. Somebody with the node's key \
                        removed them; docs/services/borg.md tells how to bring them back
                        """)
                return StepResult(.failed, error.message, error: error, evidence: [proof])
            }
            return StepResult(
                .done, "\(report.pruned.count) archives pruned, \(report.archives.count) stay", evidence: [proof])
        case .restore(_, let wanted):
            if wanted.isEstimate {
                return StepResult(
                    .satisfied,
                    "\(report.files.grouped) files, \(report.bytes.bytesText) of \(report.archive ?? "nothing"), about \(report.estimate.durationText)"
                )
            }
            let proof = evidence(
                "files restored", "\(report.files.grouped) files, \(report.bytes.bytesText) of \(report.archive ?? "")",
                "at least one", report.files > 0, Double(report.bytes), "bytes")
            return StepResult(.done, proof.value, evidence: [proof])
        case .controls:
            let proofs = report.controls.map {
                evidence(
                    "\($0.damage) noticed", $0.wasNoticed ? "yes: \($0.said)" : "no", "it fails", $0.wasNoticed, nil,
                    nil)
            }
            if let unseen = report.controls.first(where: { !$0.wasNoticed }) {
                let error = BasculeError(
                    .damageUnseen, "a backup with a \(unseen.damage) was restored without a word",
                    hint: "do not trust these backups: check Borg's version and the repository")
                return StepResult(.failed, error.message, error: error, evidence: proofs)
            }
            return StepResult(.done, "\(report.controls.count) damages noticed", evidence: proofs)
        }
    }
}

extension ErrorCode {
    /// Archives that the controller knows of are not in the repository any more.
    package static let archivesMissing: ErrorCode = "archives-missing"
    /// A damage done on purpose was not noticed.
    package static let damageUnseen: ErrorCode = "damage-unseen"
}
