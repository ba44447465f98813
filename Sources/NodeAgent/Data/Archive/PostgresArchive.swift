import BasculeModel
import BasculePostgres

/// A database as files: every table by COPY in one snapshot, and what makes its schema again, as a script for psql.
///
/// No `pg_dump`: Debian's may be older than the server, and refuses it then.
struct PostgresArchive {
    let move: PostgresMove
    let url: Secret
    let folder: ArchiveFolder
    let tell: (String, Int64, Int64, Int64?) throws -> Void

    func run() throws -> Archiver.Count {
        do { return try perform() } catch let failure as CopyFailure {
            throw failure.error.basculeError("archiving the database")
        } catch let error as PGError { throw error.basculeError("archiving the database") }
    }

    private func perform() throws -> Archiver.Count {
        let source = try Sides(move: move, secret: url).source()
        _ = try SourceSnapshot(source)
        // Also what the move leaves behind, for the same server and its roles.
        var every = move
        every.exclude = nil
        let catalog = try CatalogReader(source, every, target: source).read()
        let total = catalog.tables.reduce(0) { $0 + $1.bytes }
        try folder.requireSpace(total)
        try folder.makeFolder("data")
        var count = Archiver.Count(unit: "rows", count: 0, expected: nil, sourceBytes: total)
        var loads: [String] = []
        var expected: Int64 = 0
        var done: Int64 = 0
        for (number, table) in catalog.loadable.enumerated() {
            let columns = table.copied.map { PGQuote.identifier($0.name) }.joined(separator: ", ")
            let list = columns.isEmpty ? "" : " (\(columns))"
            let name = "data/\(number + 1).copy"
            var copied = CopyCount()
            try folder.write(name) { file in
                copied = try source.copyOut("COPY \(table.quoted)\(list) TO STDOUT") { chunk in
                    try file.write(chunk)
                    try tell(table.shown, count.count, done + file.bytes, total)
                }
            }
            // The same snapshot, another way of reading: a table cut short by whatever lies between is noticed.
            expected += whole(try source.query("SELECT count(*) FROM ONLY \(table.quoted)").scalar)
            count.count += copied.rows
            done += copied.bytes
            loads.append("\\copy \(table.quoted)\(list) FROM '\(name)'")
        }
        count.expected = expected
        try folder.write("restore.sql") { file in
            try file.write(try script(catalog, loads, source))
        }
        count.about = [
            ("kind", "postgresql"), ("server", "\(source.majorVersion)"), ("tables", "\(catalog.loadable.count)"),
            ("restore", "createdb NAME && psql -X -v ON_ERROR_STOP=1 -d NAME -f restore.sql"),
        ]
        return count
    }

    private func whole(_ text: String?) -> Int64 { text.flatMap { Int64($0) } ?? 0 }

    /// In the order of a restore: what rows need, rows, what is built on them, what must not fire before.
    private func script(_ catalog: PGCatalog, _ loads: [String], _ source: PGConnection) throws -> String {
        let plan = BuildPlan(catalog, existing: ExistingObjects(nothing: ()))
        var lines = [
            "-- The roles that it names must exist. Run it in this folder, in an empty database.",
            "SET check_function_bodies = off; SET session_replication_role = replica;",
            "SET search_path = pg_catalog, pg_temp;",
        ]
        for schema in catalog.schemas where schema != "public" {
            lines.append("CREATE SCHEMA IF NOT EXISTS \(PGQuote.identifier(schema));")
        }
        for item in catalog.extensions {
            lines.append("CREATE SCHEMA IF NOT EXISTS \(PGQuote.identifier(item.schema));")
            lines.append(
                "CREATE EXTENSION IF NOT EXISTS \(PGQuote.identifier(item.name)) SCHEMA \(PGQuote.identifier(item.schema));"
            )
        }
        lines += catalog.early.flatMap(\.sql).map { $0 + ";" } + loads
        let tables = catalog.tables.map(\.oid)
        for table in tables { lines += (plan.indexes[table] ?? []).map { $0.sql + ";" } }
        for table in tables { lines += (plan.closing[table] ?? []).map { $0.sql + ";" } }
        lines += (plan.attachments + plan.foreignKeys + plan.validations).map { $0.sql + ";" }
        lines += catalog.late.flatMap(\.sql).map { $0 + ";" }
        lines += catalog.materialized.filter(\.populated).map { "REFRESH MATERIALIZED VIEW \($0.quoted);" }
        lines += plan.viewIndexes.map { $0.sql + ";" }
        lines += catalog.finals.flatMap(\.sql).map { $0 + ";" }
        for value in try Sequences.read(source, catalog.sequences) {
            lines.append(
                "SELECT setval(\(PGQuote.literal(value.sequence)), \(value.value), \(value.isCalled ? "true" : "false"));"
            )
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension ExistingObjects {
    /// Of a database in which nothing is yet.
    init(nothing: Void) {}
}
