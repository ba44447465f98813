import BasculeModel
import BasculePostgres

/// Looks at both sides and names what stands in the way. Changes nothing.
struct Preflight {
    let sides: Sides
    let source: PGConnection
    let target: PGConnection

    /// `resuming`: a target that an earlier copy of ours has filled is no obstacle.
    func run(resuming: Bool) throws -> (report: PostgresPreflight, catalog: Catalog) {
        let roles = Set(try target.query("SELECT rolname FROM pg_roles").rows.map { $0[0] ?? "" })
        let catalog = try CatalogReader(
            connection: source, schemas: sides.move.schemas, targetRoles: roles, targetVersion: target.serverVersion
        ).read()
        let findings = catalog.findings
        let report = PostgresPreflight(
            findings: sides.move.judged(findings), sourceVersion: source.serverVersion,
            targetVersion: target.serverVersion, tables: catalog.loadable.count,
            bytes: catalog.loadable.reduce(0) { $0 + $1.bytes },
            estimatedRows: catalog.loadable.reduce(0) { $0 + $1.estimatedRows })
        return (report, catalog)
    }

    static func refusal(_ report: PostgresPreflight) -> BasculeError {
        let refusing = report.findings.filter { $0.severity == .refuse }
        let list = refusing.prefix(10).map { "\($0.code) \($0.object): \($0.message)" }.joined(separator: "; ")
        return BasculeError(
            .moveRefused, "\(refusing.count) finding(s) refuse the move of the database", cause: list,
            hint: refusing.first?.hint)
    }
}
