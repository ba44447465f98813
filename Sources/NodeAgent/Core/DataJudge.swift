import BasculeModel

/// Turns a mover's report into a step's result: what passes, what fails, and the evidence. Pure.
enum DataJudge {
    typealias Prove = (
        _ subject: String, _ value: String, _ threshold: String?, _ passed: Bool, _ measure: Double?, _ unit: String?
    ) -> Evidence

    static func judge(_ task: DataTask, _ report: DataReport, evidence: Prove) -> StepResult {
        var result =
            switch report {
            case .postgres(let report): judge(report, evidence)
            case .redis(let report): judge(task, report, evidence)
            case .files(let report): judge(task, report, evidence)
            case .mysql(let report): judge(task, report, evidence)
            case .archive(let report): judge(report, evidence)
            case .borg(let report): judge(task, report, evidence)
            }
        result.output = .data(report)
        return result
    }

    static func failed(_ code: ErrorCode, _ message: String, hint: String, _ evidence: [Evidence]) -> StepResult {
        StepResult(.failed, message, error: BasculeError(code, message, hint: hint), evidence: evidence)
    }

    private static func judge(_ report: PostgresReport, _ evidence: Prove) -> StepResult {
        switch report {
        case .preflight(let preflight):
            let refusals = preflight.findings.filter { $0.severity == .refuse }
            let proof = evidence(
                "database preflight",
                "\(preflight.tables) tables, about \(preflight.estimatedRows.grouped) rows, \(preflight.bytes.bytesText), \(preflight.findings.count) findings",
                "no refusal", refusals.isEmpty, Double(preflight.tables), "tables")
            guard let first = refusals.first else { return StepResult(.done, proof.value, evidence: [proof]) }
            let all = refusals.map { "\($0.object.isEmpty ? "" : "\($0.object): ")\($0.message) [\($0.code)]" }.joined(
                separator: "; ")
            return failed(.preflightRefused, all, hint: first.hint, [proof])
        case .copied(let copy):
            let proof = evidence(
                "database copied",
                "\(copy.rows.grouped) rows in \(copy.copied.count) tables, \(copy.bytes.bytesText), \(copy.indexes) indexes"
                    + (copy.proof.map { ", \($0.rows.grouped) rows proved equal in \($0.seconds.durationText)" } ?? ""),
                nil, true, Double(copy.rows), "rows")
            return StepResult(.done, proof.value, evidence: [proof])
        case .synced(let sync):
            let rows = sync.target.tables.reduce(0) { $0 + $1.rows }
            let proof = evidence(
                "database caught up",
                "\(sync.recopied.count) of \(sync.source.tables.count) tables copied again, \(rows.grouped) rows", nil,
                true,
                Double(sync.recopied.count), "tables")
            return StepResult(.done, proof.value, evidence: [proof])
        case .verified(let check):
            let proof = evidence(
                "database rows equal",
                check.isEqual
                    ? "\(check.rows.grouped) rows in \(check.tables) tables, both sides read again" : describe(check),
                "no difference", check.isEqual, Double(check.rows), "rows")
            guard check.isEqual else {
                return failed(
                    .dataDiffers, "source and target differ: \(describe(check))",
                    hint: "the old system goes on serving; find what wrote to the named rows, then apply again", [proof]
                )
            }
            return StepResult(.done, proof.value, evidence: [proof])
        case .captured(let fence):
            return StepResult(.done, "\(fence.objects.count) objects and \(fence.roles.count) roles noted")
        case .fenced(let fence):
            return StepResult(.done, "\(fence.drained) sessions ended their writes, \(fence.terminated) were ended")
        case .proved(let proof):
            let refused = proof.attempts.count { $0.outcome == .refused }
            let said = evidence(
                "database fence",
                "\(refused) of \(proof.attempts.count) attempted writes refused, \(proof.combinations) rights looked up\(proof.holes.isEmpty ? "" : ", open: \(proof.holes.prefix(3).joined(separator: ", "))")",
                "every login role refused", proof.holds, Double(proof.attempts.count), "attempts")
            guard proof.holds else {
                let open = proof.attempts.filter { $0.outcome == .notRefused }.prefix(5).map {
                    "\($0.role) may \($0.kind.rawValue) \($0.object): \($0.answer)"
                }
                return failed(
                    .fenceHole,
                    "the source still takes writes: \((open + proof.holes.prefix(5)).joined(separator: "; "))",
                    hint: "take the named rights away by hand, or stop who holds them; then apply again", [said])
            }
            return StepResult(.done, said.value, evidence: [said])
        case .released(let fence):
            let missing = fence.findings.map { "\($0.object) (\($0.message))" }.joined(separator: "; ")
            return StepResult(
                .done, missing.isEmpty ? "every right given back" : "given back what could be; by hand: \(missing)")
        case .finished: return StepResult(.done, "the mover's own tables removed")
        case .compared(let table):
            return StepResult(
                .done,
                table.isEqual
                    ? "\(table.table): \(table.sourceRows.grouped) rows equal"
                    : "\(table.table): \(table.rows.count) rows differ")
        case .followed(let follow): return judge(follow, evidence)
        }
    }

    static func describe(_ check: PostgresVerification) -> String {
        var parts = check.differingTables.map { table in
            let rows = check.differences.filter { $0.table == table }.prefix(5).map { "\($0.kind.rawValue) \($0.key)" }
            return rows.isEmpty ? table : "\(table) (\(rows.joined(separator: ", ")))"
        }
        parts += check.differingSequences + check.shapeDifferences
        return parts.prefix(8).joined(separator: "; ")
    }

    private static func judge(_ task: DataTask, _ report: RedisReport, _ evidence: Prove) -> StepResult {
        guard case .redis(let redis) = task else {
            return StepResult(.failed, "the report does not belong to the task")
        }
        switch redis {
        case .preflight:
            let refusals = report.findings.filter { $0.weight == .refuse }
            let proof = evidence(
                "keys preflight", "\(report.findings.count) findings, method \(report.method?.rawValue ?? "automatic")",
                "no refusal", refusals.isEmpty, nil, nil)
            guard let first = refusals.first else { return StepResult(.done, proof.value, evidence: [proof]) }
            return failed(
                .preflightRefused, refusals.map { "\($0.message) [\($0.code.rawValue)]" }.joined(separator: "; "),
                hint: "change it, or accept the finding \(first.code.rawValue)", [proof])
        case .copy, .sync:
            let proof = evidence(
                "keys copied",
                "\(report.keysWritten.grouped) of \(report.keysRead.grouped) keys written, \(report.keysDeleted) deleted, \(report.bytesWritten.bytesText)",
                nil, true, Double(report.keysWritten), "keys")
            return StepResult(.done, proof.value, evidence: [proof])
        case .verify:
            let first = report.differences.prefix(5).map { "\($0.key) (\($0.kind.rawValue))" }.joined(separator: ", ")
            let proof = evidence(
                "keys equal",
                report.isEqual
                    ? "\(report.keysEqual.grouped) keys by type, value and expiry"
                    : "\(report.keysDiffering) keys differ: \(first)",
                "no difference", report.isEqual, Double(report.keysEqual), "keys")
            guard report.isEqual else {
                return failed(
                    .dataDiffers, "source and target differ: \(proof.value)",
                    hint: "the old system goes on serving; apply again", [proof])
            }
            return StepResult(.done, proof.value, evidence: [proof])
        case .fenceProve:
            let open = report.fenceProofs.filter { !$0.refused }
            let proof = evidence(
                "keys fence",
                "\(report.fenceProofs.count - open.count) of \(report.fenceProofs.count) attempted writes refused",
                "every writer refused", open.isEmpty && !report.fenceProofs.isEmpty,
                Double(report.fenceProofs.count), "attempts")
            guard proof.passed else {
                return failed(
                    .fenceHole, "the key source still takes writes from \(open.map(\.writer).joined(separator: ", "))",
                    hint: "stop the writers by hand, then apply again", [proof])
            }
            return StepResult(.done, proof.value, evidence: [proof])
        case .fenceCapture: return StepResult(.done, "writers of the key source noted")
        case .fenceAcquire: return StepResult(.done, "writers of the key source stopped")
        case .fenceRelease: return StepResult(.done, "writers of the key source have their rights back")
        case .finish: return StepResult(.done, "the mover's own keys removed")
        }
    }

    private static func judge(_ task: DataTask, _ report: FilesReport, _ evidence: Prove) -> StepResult {
        guard case .files(let files, _) = task else {
            return StepResult(.failed, "the report does not belong to the task")
        }
        switch files {
        case .preflight:
            let refusals = report.findings.filter { $0.weight == .refuse }
            let proof = evidence(
                "files preflight", "\(report.sourceFiles.grouped) files, \(report.sourceBytes.bytesText)", "no refusal",
                refusals.isEmpty, Double(report.sourceFiles), "files")
            guard refusals.isEmpty else {
                return failed(
                    .preflightRefused, refusals.map { "\($0.message) [\($0.code.rawValue)]" }.joined(separator: "; "),
                    hint: "change it, then apply again", [proof])
            }
            return StepResult(.done, proof.value, evidence: [proof])
        case .copy, .sync:
            let proof = evidence(
                "files copied",
                "\(report.filesWritten.grouped) files sent, \(report.bytesWritten.bytesText), \(report.filesDeleted) deleted",
                nil, true, Double(report.filesWritten), "files")
            return StepResult(.done, proof.value, evidence: [proof])
        case .verify:
            let first = report.differences.prefix(5).map { "\($0.path) (\($0.kind.rawValue))" }.joined(separator: ", ")
            let proof = evidence(
                "files equal",
                report.isEqual
                    ? "\(report.pathsEqual.grouped) paths by SHA-256"
                    : "\(report.pathsDiffering) paths differ: \(first)", "no difference", report.isEqual,
                Double(report.pathsEqual), "paths")
            guard report.isEqual else {
                return failed(
                    .dataDiffers, "source and target differ: \(proof.value)",
                    hint: "the old system goes on serving; apply again", [proof])
            }
            guard let check = report.references else { return StepResult(.done, proof.value, evidence: [proof]) }
            // What the source itself lacks is told, and is no reason to stay with it.
            let missing = check.missingFirst.prefix(5).joined(separator: ", ")
            let orphaned = check.orphanedFirst.prefix(5).joined(separator: ", ")
            let named = evidence(
                "files named by the database",
                "\(check.references.grouped) references, \(check.missing) without a file\(missing.isEmpty ? "" : " (\(missing))"), \(check.orphaned) files without a reference\(orphaned.isEmpty ? "" : " (\(orphaned))")",
                nil, true, Double(check.missing), "references")
            return StepResult(.done, "\(proof.value); \(named.value)", evidence: [proof, named])
        case .finish: return StepResult(.done, "the mover's own files removed")
        }
    }
}

extension ErrorCode {
    /// A preflight finding refuses the move.
    package static let preflightRefused: ErrorCode = "preflight-refused"
    /// Source and target are not equal.
    package static let dataDiffers: ErrorCode = "data-differs"
    /// A fence was taken and somebody can still write.
    package static let fenceHole: ErrorCode = "fence-hole"
}

extension MoveProgress {
    /// One line for people.
    var line: String {
        let amount = rows > 0 ? " \(rows.grouped)" : ""
        let size = bytes > 0 ? " \(bytes.bytesText)\(totalBytes.map { " of \($0.bytesText)" } ?? "")" : ""
        return "\(phase)\(subject.isEmpty ? "" : " \(subject)")\(amount)\(size)"
    }

    /// From 0 to 1 where the end is known.
    var fraction: Double? {
        guard let totalBytes, totalBytes > 0 else { return nil }
        return min(1, Double(bytes) / Double(totalBytes))
    }
}
