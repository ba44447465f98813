import BasculeModel

/// Reports of a MySQL move for people. Every text from a database is escaped.
extension DataText {
    static func mysql(_ found: MySQLReport) -> [String] {
        if found.tables.isEmpty, found.findings.isEmpty, found.snapshot.isEmpty {
            return ["done in \(found.seconds.durationText)"]
        }
        let columns = found.tables.reduce(0) { $0 + $1.columns.count }
        let isCompared = found.tables.contains { $0.targetRows != nil }
        let amount = "\(found.rows.grouped) rows in \(found.tables.count) tables"
        var lines: [String]
        if isCompared {
            lines = [
                "\(found.isEqual ? "equal" : "different"): \(amount), \(columns) columns summed on both sides in \(found.seconds.durationText)"
            ]
        } else if found.tables.isEmpty {
            lines = ["no table has changed since it was copied, read again in \(found.seconds.durationText)"]
        } else {
            lines = ["\(amount), \(found.bytes.bytesText) in \(found.seconds.durationText)"]
        }
        if let again = found.again {
            lines.append("under the fence it is all read again: \(again.map(\.durationText).joined(separator: " to "))")
        }
        if !found.snapshot.isEmpty { lines.append("source: \(found.snapshot)") }
        lines += found.findings.flatMap { item in
            [
                "\(mark(item.severity)) \(item.code) \(Terminal.escape(item.object)): \(Terminal.escape(item.message))",
                Terminal.paint("    \(Terminal.escape(item.hint))", .dim),
            ]
        }
        if isCompared {
            lines += found.tables.filter { !$0.isEqual }.map { table in
                let bad = table.columns.filter { $0.target != nil && $0.target != $0.source }.map(\.column)
                return "\(mark(.refuse)) \(Terminal.escape(table.table)): \(table.rows.grouped) rows against "
                    + "\((table.targetRows ?? 0).grouped), differing columns: \(Terminal.escape(bad.joined(separator: ", ")))"
            }
        }
        lines += found.differences.map { row in
            "    \(row.kind) \(Terminal.escape(row.table)) \(Terminal.escape(row.key))  \(Terminal.escape(row.columns.joined(separator: ", ")))"
        }
        for spot in found.spots {
            lines.append(
                "\(spot.isEqual ? mark(.info) : mark(.refuse)) \(Terminal.escape(spot.table)) \(Terminal.escape(spot.key))"
            )
            lines += spot.cells.map { cell in
                Terminal.paint("    \(cell.map { Terminal.escape($0) }.joined(separator: "  |  "))", .dim)
            }
        }
        return lines
    }
}
