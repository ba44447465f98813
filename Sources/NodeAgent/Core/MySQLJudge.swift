import BasculeModel

/// What the reports of a MySQL move mean for their steps. Pure.
extension DataJudge {
    static func judge(_ task: DataTask, _ report: MySQLReport, _ evidence: Prove) -> StepResult {
        guard case .mysql(let mysql) = task else {
            return StepResult(.failed, "the report does not belong to the task")
        }
        switch mysql.verb {
        case .preflight:
            let refusals = report.refusals
            let proof = evidence(
                "MySQL preflight",
                "\(report.tables.count) tables, about \(report.rows.grouped) rows, \(report.bytes.bytesText), \(report.findings.count) findings, \(report.snapshot)",
                "no refusal", refusals.isEmpty, Double(report.tables.count), "tables")
            guard let first = refusals.first else { return StepResult(.done, proof.value, evidence: [proof]) }
            let all = refusals.map { "\($0.object): \($0.message) [\($0.code)]" }.joined(separator: "; ")
            return failed(
                .preflightRefused, all, hint: "\(first.hint) Or accept: [\(first.code)] for the source", [proof])
        case .copy, .sync:
            let again = report.again.map { seconds in
                "; read again under the fence in \(seconds.map(\.durationText).joined(separator: " to "))"
            }
            let proof = evidence(
                mysql.verb == .copy ? "MySQL copied" : "MySQL caught up",
                "\(report.rows.grouped) rows in \(report.tables.count) tables, \(report.bytes.bytesText)\(again ?? "")",
                nil, true, Double(report.rows), "rows")
            return StepResult(.done, proof.value, evidence: [proof])
        case .rehearse, .verify, .validate, .diff: return compared(report, evidence)
        case .fenceCapture:
            return StepResult(.done, "\(report.fence?.accounts.count ?? 0) accounts with rights to write noted")
        case .fenceAcquire: return StepResult(.done, "\(report.sessionsEnded) sessions were ended")
        case .fenceProve:
            let open = report.attempts.filter { !$0.refused }
            let proof = evidence(
                "MySQL fence",
                "\(report.attempts.count - open.count) of \(report.attempts.count) attempted writes refused\(report.holes.isEmpty ? "" : ", open: \(report.holes.prefix(3).joined(separator: ", "))")",
                "every writer refused", open.isEmpty && report.holes.isEmpty && !report.attempts.isEmpty,
                Double(report.attempts.count), "attempts")
            guard proof.passed else {
                let named = open.prefix(5).map { "\($0.account) may \($0.kind): \($0.answer)" } + report.holes.prefix(5)
                return failed(
                    .fenceHole, "the MySQL source still takes writes: \(named.joined(separator: "; "))",
                    hint: "take the named rights away by hand, or stop who holds them; then apply again", [proof])
            }
            return StepResult(.done, proof.value, evidence: [proof])
        case .fenceRelease: return StepResult(.done, "every account has its rights back")
        case .finish: return StepResult(.done, "the mover's own tables removed")
        }
    }

    private static func compared(_ report: MySQLReport, _ evidence: Prove) -> StepResult {
        let columns = report.tables.reduce(0) { $0 + $1.columns.count }
        let proof = evidence(
            "MySQL rows equal",
            report.isEqual
                ? "\(report.rows.grouped) rows and \(columns) columns of \(report.tables.count) tables, counted and summed on both sides"
                : describe(report), "no difference", report.isEqual, Double(report.rows), "rows")
        let spots = report.spots.prefix(6).map { spot in
            evidence(
                "spot check \(spot.table) \(spot.key)",
                spot.cells.prefix(8).map { "\($0[0]): \($0[1]) | \($0[2])" }.joined(separator: ", "), "equal",
                spot.isEqual,
                nil, nil)
        }
        guard report.isEqual else {
            return failed(
                .dataDiffers, "source and target differ: \(describe(report))",
                hint: "the old system goes on serving; find what wrote to the named rows, then apply again",
                [proof] + spots)
        }
        return StepResult(.done, proof.value, evidence: [proof] + spots)
    }

    private static func describe(_ report: MySQLReport) -> String {
        var parts = report.differences.prefix(8).map { row in
            "\(row.table) \(row.key) \(row.kind)\(row.columns.isEmpty ? "" : " in \(row.columns.joined(separator: ", "))")"
        }
        parts += report.tables.filter { $0.targetRows != nil && $0.targetRows != $0.rows }.prefix(5).map {
            "\($0.table): \($0.rows) rows against \($0.targetRows ?? 0)"
        }
        return parts.isEmpty ? "\(report.differenceCount) rows" : parts.joined(separator: "; ")
    }
}
