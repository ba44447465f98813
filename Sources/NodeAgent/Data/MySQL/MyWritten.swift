import BasculeModel
import BasculePostgres

/// What others than the mover have written to its tables at the target: a rehearsal's walk through the app, or customers
/// after T0. The server knows it: a row carries the number of the transaction that wrote it, and the ledger's own row that
/// of the mover's last one.
struct MyWritten {
    /// Rows that were written or changed, and rows that are gone.
    private(set) var rows: [String: (written: Int64, gone: Int64)] = [:]
    private let mark: String
    private let target: PGConnection

    init(_ plan: MyPlan, _ ledger: MyLedger, _ name: String, _ target: PGConnection) throws {
        (mark, self.target) = ("mysql/\(name)", target)
        for table in plan.tables {
            guard let kept = ledger.tables[table.source.name] else { continue }
            do throws(PGError) {
                guard try target.query("SELECT to_regclass($1)", [table.quoted]).scalar != nil else { continue }
                let found = try target.query(
                    "SELECT count(*), count(*) FILTER (WHERE \(Self.isLater)) FROM ONLY \(table.quoted) t, \(Self.last)",
                    [mark]
                ).rows.first
                let all = found?[0].flatMap { Int64($0) } ?? 0
                let written = found?[1].flatMap { Int64($0) } ?? 0
                let gone = max(0, kept.rows - (all - written))
                if written > 0 || gone > 0 { rows[table.source.name] = (written, gone) }
            } catch {
                throw error.basculeError("looking for rows of others", at: .thing(table.quoted))
            }
        }
    }

    private static let isLater = "age(t.xmin) < age(m.xmin)"
    private static let last = "(SELECT xmin FROM bascule.move WHERE key = $1) m"

    /// The ranges of a table's keys in which the target's rows are not those that the mover wrote, in ascending order.
    func ranges(_ table: MyTablePlan, column: Int, _ old: MyRangeSums) throws -> [Int64] {
        guard rows[table.source.name] != nil else { return [] }
        let key = PGQuote.identifier(table.columns[column].name)
        let found = try target.query(
            """
            SELECT t.\(key)::bigint >> \(old.shift), count(*), count(*) FILTER (WHERE \(Self.isLater))
            FROM ONLY \(table.quoted) t, \(Self.last) GROUP BY 1 ORDER BY 1
            """, [mark]
        ).rows
        var (next, out): (Int, [Int64]) = (0, [])
        for row in found {
            guard let number = row[0].flatMap({ Int64($0) }) else { continue }
            while next < old.numbers.count, old.numbers[next] < number {
                out.append(old.numbers[next])
                next += 1
            }
            let isKnown = next < old.numbers.count && old.numbers[next] == number
            if !isKnown || row[2] != "0" || row[1] != "\(old.counts[next])" { out.append(number) }
            if isKnown { next += 1 }
        }
        return out + old.numbers[next...]
    }

    /// After a T0 they are customers', whom nobody asked yet.
    func findings(_ plan: MyPlan) -> [PostgresFinding] {
        plan.tables.compactMap { table in
            guard let found = rows[table.source.name] else { return nil }
            let gone = found.gone > 0 ? ", \(found.gone) of the copied ones changed or deleted" : ""
            return plan.refuse(
                "written-since-t0", table.name,
                "\(found.written) rows were written here by others since T0\(gone): this attempt would replace them",
                hint: "Save them from \(table.quoted) of the target (they are the rows that bascule data diff "
                    + "\(table.name) shows), or let them go.")
        }
    }
}
