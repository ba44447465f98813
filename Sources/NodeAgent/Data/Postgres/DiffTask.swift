import BasculeModel
import BasculePostgres

/// Compares one table of both sides and shows the rows that differ, with their values. Changes neither.
struct DiffTask: Sendable {
    let sides: Sides
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool
    /// A longer value is cut, in characters.
    private static let longest = 200

    func run(_ name: String, limit: Int) throws -> PostgresComparison {
        let start = MoveClock.now()
        let control = try sides.source()
        let admin = try sides.admin()
        let snapshot = try SourceSnapshot(control)
        let catalog = try CatalogReader(control, sides.move, target: admin).read()
        let table = try find(name, in: catalog.loadable)
        guard try PresentTables.check([table], admin).absent.isEmpty else {
            throw BasculeError(
                .invalidInput, "The target has no such table, or one with other columns", at: .thing(table.shown),
                hint: "Copy first, or compare the schemas: bascule data verify")
        }
        let hash = RowHash.random()
        let digests = TableDigests(sides: sides, progress: progress, isCancelled: isCancelled)
        let both = try digests.both([table], hash: hash, snapshot: snapshot)
        let isEqual = both.source == both.target
        var rows: [PostgresComparison.Row] = []
        if !isEqual {
            let found = try Bisect(source: control, target: admin, hash: hash, limit: limit)
                .run(table, rows: both.source.first?.rows ?? 0)
            rows = try fill(found, table, control, admin)
        }
        return PostgresComparison(
            table: table.shown, columns: table.columns.map(\.name), sourceRows: both.source.first?.rows ?? 0,
            targetRows: both.target.first?.rows ?? 0, isEqual: isEqual, rows: rows, seconds: MoveClock.now() - start)
    }

    private func find(_ name: String, in tables: [PGTable]) throws -> PGTable {
        let found = tables.filter { table in
            [table.name, table.quoted, table.shown, "\(table.schema).\(table.name)"].contains(name)
        }
        guard let first = found.first, found.count == 1 else {
            let known = tables.prefix(20).map(\.shown).joined(separator: ", ")
            throw BasculeError(
                .invalidInput,
                found.isEmpty
                    ? "The source has no table \(name) that is moved" : "Several schemas have a table \(name)",
                hint: found.isEmpty ? "It has: \(known)." : "Say one of: \(found.map(\.shown).joined(separator: ", "))."
            )
        }
        return first
    }

    private func fill(
        _ found: [PostgresRowDifference], _ table: PGTable, _ source: PGConnection, _ target: PGConnection
    ) throws -> [PostgresComparison.Row] {
        let (left, right) = (try values(found, .missing, table, source), try values(found, .extra, table, target))
        return found.map { item in
            PostgresComparison.Row(kind: item.kind, key: item.key, source: left[item.key], target: right[item.key])
        }
    }

    /// The rows of one side: changed ones, and those that only this side has.
    private func values(
        _ found: [PostgresRowDifference], _ own: PostgresRowDifference.Kind, _ table: PGTable,
        _ connection: PGConnection
    ) throws -> [String: [String?]] {
        let wanted = found.filter { $0.kind == .changed || $0.kind == own }.map(\.key)
        guard !wanted.isEmpty else { return [:] }
        let columns = table.columns.map { column in
            let name = PGQuote.identifier(column.name)
            return "CASE WHEN \(name) IS DISTINCT FROM NULL THEN left(concat(\(name)), \(Self.longest)) END"
        }
        let key: String
        let sought: [String]
        if table.key.isEmpty {
            (key, sought) = ("'ctid ' || ctid::text", wanted)
        } else {
            let names = table.key.map { PGQuote.identifier($0) }.joined(separator: ", ")
            (key, sought) = ("ROW(\(names))::text", wanted)
        }
        let list = ([key] + columns).joined(separator: ", ")
        do {
            let rows = try connection.query(
                "SELECT \(list) FROM ONLY \(table.quoted) WHERE \(key) = ANY ($1::text[])", [PGQuote.array(sought)])
            return Dictionary(
                rows.rows.map { ($0[0] ?? "", Array($0.dropFirst())) }, uniquingKeysWith: { first, _ in first })
        } catch { throw error.basculeError("reading differing rows", at: .thing(table.shown)) }
    }
}
