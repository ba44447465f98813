import BasculeModel
import BasculePostgres

/// Looks at both sides and names what stands in the way. Changes nothing.
struct Preflight {
    let sides: Sides
    let source: PGConnection
    let target: PGConnection

    /// `resuming`: a target that an earlier copy of ours has filled is no obstacle.
    func run(resuming: Bool) throws -> (report: PostgresPreflight, catalog: PGCatalog) {
        let roles = Set(try target.query("SELECT rolname FROM pg_roles").rows.map { $0[0] ?? "" })
        let catalog = try CatalogReader(source, sides.move, target: target, roles: roles).read()
        var findings = catalog.findings
        findings += Self.versions(source: source.majorVersion, target: target.majorVersion)
        findings += try PreflightSource(source: source, schemas: catalog.schemas).findings()
        findings += try PreflightObjects(source: source, schemas: catalog.schemas).findings()
        findings += try PreflightTarget(sides: sides, source: source, target: target, catalog: catalog)
            .findings(roles: roles, resuming: resuming)
        let follow = FollowPreflight(sides: sides, source: source, schemas: catalog.schemas)
        findings += try follow.findings(catalog.loadable) + follow.back(target)
        for table in catalog.loadable where table.key.isEmpty {
            findings.append(
                PostgresFinding(
                    "no-primary-key", .warn, table.shown, "Differing rows can be named by their place only",
                    hint: "Add a primary key if the table is to be followed by replication later."))
        }
        for table in catalog.loadable where table.persistence == "u" {
            findings.append(
                PostgresFinding(
                    "unlogged", .warn, table.shown, "The table is unlogged: a crash of the server empties it",
                    hint: "ALTER TABLE … SET LOGGED if its rows matter."))
        }
        let report = PostgresPreflight(
            findings: sides.move.judged(findings), sourceVersion: source.serverVersion,
            targetVersion: target.serverVersion, tables: catalog.loadable.count,
            bytes: catalog.loadable.reduce(0) { $0 + $1.bytes },
            estimatedRows: catalog.loadable.reduce(0) { $0 + $1.estimatedRows })
        return (report, catalog)
    }

    /// What two major versions mean for a move. Pure.
    static func versions(source: Int, target: Int) -> [PostgresFinding] {
        var findings: [PostgresFinding] = []
        if source < 12 {
            findings.append(
                PostgresFinding(
                    "source-too-old", .refuse, "", "The source is PostgreSQL \(source), before 12",
                    hint: "Upgrade the source first."))
        }
        if target < 15 {
            findings.append(
                PostgresFinding(
                    "target-too-old", .refuse, "", "The target is PostgreSQL \(target), before 15",
                    hint: "Install PostgreSQL 15 or later on the node."))
        }
        if source > target {
            findings.append(
                PostgresFinding(
                    "target-older", .info, "",
                    "PostgreSQL \(source) goes to \(target): what only the newer one knows is refused by name",
                    hint: "Nothing, if the copy ends well."))
        }
        return findings
    }

    static func refusal(_ report: PostgresPreflight) -> BasculeError {
        let refusing = report.findings.filter { $0.severity == .refuse }
        let list = refusing.prefix(10).map { "\($0.code) \($0.object): \($0.message)" }.joined(separator: "; ")
        return BasculeError(
            .moveRefused, "\(refusing.count) finding(s) refuse the move of the database", cause: list,
            hint: refusing.first?.hint)
    }
}

/// Findings that a query names: code, severity, message and hint are ours, the object is the query's.
struct FindingQuery {
    let connection: PGConnection
    let schemas: [String]

    func run(
        _ code: String, _ severity: FindingSeverity, _ message: String, hint: String, _ sql: String
    ) throws -> [PostgresFinding] {
        try connection.query(sql, sql.contains("$1") ? [PGQuote.array(schemas)] : []).rows.map { row in
            let detail = row.count > 1 ? row[1].map { ": \($0)" } ?? "" : ""
            return PostgresFinding(code, severity, row[0] ?? "", message + detail, hint: hint)
        }
    }
}
