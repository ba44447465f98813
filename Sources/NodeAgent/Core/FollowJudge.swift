import BasculeModel

extension DataJudge {
    /// A task about following: what it proved.
    static func judge(_ report: PostgresFollowReport, _ evidence: Prove) -> StepResult {
        if let check = report.verification {
            let said =
                "\(report.keys.grouped) rows touched since \(report.position) and every table that was not proved, read on both sides; the rest was proved before the freeze"
            let whole = "\(check.rows.grouped) rows in \(check.tables) tables, both sides read again"
            let proof = evidence(
                "database rows equal", check.isEqual ? (report.isFollowing ? said : whole) : describe(check),
                "no difference", check.isEqual, Double(check.rows), "rows")
            guard check.isEqual else {
                return failed(
                    .dataDiffers, "source and target differ: \(describe(check))",
                    hint: "the old system goes on serving; find what wrote to the named rows, then apply again", [proof]
                )
            }
            return StepResult(.done, proof.value, evidence: [proof])
        }
        guard report.isFollowing else {
            return StepResult(.done, report.reason.isEmpty ? "not followed" : "not followed: \(report.reason)")
        }
        let again = report.reloaded.isEmpty ? "" : ", loaded again: \(report.reloaded.joined(separator: ", "))"
        let proof = evidence(
            "database followed",
            "\(report.rows.grouped) rows in \(report.tables) tables equal at \(report.position), \(report.keys.grouped) touched since\(again)",
            nil, true, Double(report.rows), "rows")
        return StepResult(.done, proof.value, evidence: [proof])
    }
}
