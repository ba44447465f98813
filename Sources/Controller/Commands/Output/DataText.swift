import BasculeModel

/// Reports of the movers for people. Every text from a database or a node is escaped.
enum DataText {
    static func verdict(_ report: DataReport) -> DataView.Verdict {
        switch report {
        case .postgres(.preflight(let found)): found.passes ? .fine : .different
        case .postgres(.verified(let found)): found.isEqual ? .fine : .different
        case .postgres(.compared(let found)): found.isEqual ? .fine : .different
        case .postgres: .fine
        case .redis(let found):
            found.findings.contains { $0.weight == .refuse } || found.keysDiffering > 0 ? .different : .fine
        case .files(let found):
            found.findings.contains { $0.weight == .refuse } || found.pathsDiffering > 0 ? .different : .fine
        case .mysql(let found): !found.refusals.isEmpty || !found.isEqual ? .different : .fine
        case .archive, .borg: .fine
        }
    }

    /// The first line is the sum of it.
    static func lines(_ report: DataReport, seconds: Double) -> [String] {
        switch report {
        case .postgres(.preflight(let found)): preflight(found)
        case .postgres(.copied(let found)): copied(found)
        case .postgres(.synced(let found)): synced(found)
        case .postgres(.verified(let found)): verified(found)
        case .postgres(.compared(let found)): compared(found)
        case .redis(let found): redis(found)
        case .files(let found): files(found)
        case .mysql(let found): mysql(found)
        default: ["done in \(seconds.durationText)"]
        }
    }

    static func mark(_ severity: FindingSeverity) -> String {
        switch severity {
        case .refuse: Terminal.paint("✗", .red)
        case .warn: Terminal.paint("!", .yellow)
        case .info: Terminal.paint("·", .dim)
        }
    }

    private static func preflight(_ found: PostgresPreflight) -> [String] {
        let refusing = found.findings.count { $0.severity == .refuse }
        let (from, to) = (found.sourceVersion / 10_000, found.targetVersion / 10_000)
        let sum =
            "PostgreSQL \(from) → \(to), \(found.tables) tables, about \(found.estimatedRows.grouped) rows, \(found.bytes.bytesText): "
            + (refusing == 0 ? "nothing refuses the copy" : "\(refusing) finding(s) refuse the copy")
        return [sum]
            + found.findings.flatMap { item in
                let object = item.object.isEmpty ? "" : " \(Terminal.escape(item.object))"
                return [
                    "\(mark(item.severity)) \(item.code)\(object): \(Terminal.escape(item.message))",
                    Terminal.paint("    \(Terminal.escape(item.hint))", .dim),
                ]
            }
    }

    private static func copied(_ found: PostgresCopyReport) -> [String] {
        var sum = "\(found.rows.grouped) rows in \(found.copied.count) tables, \(found.bytes.bytesText)"
        sum += ", \(found.indexes) indexes, \(found.constraints) constraints in \(found.seconds.durationText)"
        if !found.alreadyDone.isEmpty { sum += "; \(found.alreadyDone.count) tables were there already" }
        var lines = [sum]
        if let proof = found.proof {
            lines.append("\(proof.rows.grouped) rows proved equal to the snapshot in \(proof.seconds.durationText)")
        }
        lines += found.copied.sorted { $0.bytes > $1.bytes }.prefix(5).map { table in
            Terminal.paint(
                "  \(Terminal.escape(table.table))  \(table.rows.grouped) rows, \(table.bytes.bytesText), \(table.seconds.durationText)",
                .dim)
        }
        return lines
    }

    private static func synced(_ found: PostgresSyncReport) -> [String] {
        let rows = found.recopied.reduce(0) { $0 + $1.rows }
        return [
            "\(found.recopied.count) of \(found.source.tables.count) tables had changed, \(rows.grouped) rows copied again, all proved equal in \(found.seconds.durationText)"
        ] + found.recopied.map { "  \(Terminal.escape($0.table))  \($0.rows.grouped) rows" }
    }

    private static func verified(_ found: PostgresVerification) -> [String] {
        let sum =
            "\(found.rows.grouped) rows in \(found.tables) tables, both sides read in \(found.seconds.durationText)"
        if found.isEqual { return ["equal: \(sum)"] }
        var lines = ["different: \(sum)"]
        for table in found.differingTables {
            let rows = found.differences.filter { $0.table == table }
            lines.append("\(mark(.refuse)) \(Terminal.escape(table))  bascule data diff shows the values")
            lines += rows.prefix(10).map { "    \(word($0.kind)) \(Terminal.escape($0.key))" }
            if rows.count > 10 { lines.append("    and more") }
        }
        lines += found.differingSequences.map { "\(mark(.refuse)) sequence \(Terminal.escape($0))" }
        lines += found.shapeDifferences.prefix(20).map { "\(mark(.refuse)) \(Terminal.escape($0))" }
        return lines
    }

    private static func word(_ kind: PostgresRowDifference.Kind) -> String {
        switch kind {
        case .missing: "only at the source"
        case .extra: "only at the target"
        case .changed: "changed"
        }
    }

    private static func compared(_ found: PostgresComparison) -> [String] {
        let table = Terminal.escape(found.table)
        if found.isEqual { return ["\(table): \(found.sourceRows.grouped) rows, equal on both sides"] }
        var lines = [
            "\(table): \(found.sourceRows.grouped) rows at the source, \(found.targetRows.grouped) at the target"
        ]
        for row in found.rows {
            lines.append("\(word(row.kind)) \(Terminal.paint(Terminal.escape(row.key), .bold))")
            lines += values(row, found.columns)
        }
        return lines
    }

    /// Of a changed row the columns that differ, side by side; of another one all of them.
    private static func values(_ row: PostgresComparison.Row, _ columns: [String]) -> [String] {
        func text(_ value: String?) -> String { value.map { Terminal.escape($0) } ?? Terminal.paint("NULL", .dim) }
        let width = columns.map(\.count).max() ?? 0
        func name(_ index: Int) -> String {
            Terminal.escape(columns[index]).padding(width)
        }
        if let source = row.source, let target = row.target {
            let differing = columns.indices.filter {
                $0 < source.count && $0 < target.count && source[$0] != target[$0]
            }
            if differing.isEmpty { return ["    the values look the same as text, or differ beyond what is shown"] }
            return differing.map { "    \(name($0))  \(text(source[$0]))  →  \(text(target[$0]))" }
        }
        let only = row.source ?? row.target ?? []
        return columns.indices.filter { $0 < only.count }.map { "    \(name($0))  \(text(only[$0]))" }
    }

    private static func redis(_ found: RedisReport) -> [String] {
        var lines: [String]
        if found.isEqual {
            lines = ["equal: \(found.keysEqual.grouped) keys by type, value and expiry"]
        } else if found.keysDiffering > 0 {
            lines = ["different: \(found.keysDiffering.grouped) of \(found.keysRead.grouped) keys"]
        } else if found.keysWritten + found.keysDeleted == 0, !found.findings.isEmpty {
            let way = found.method.map { ", by \($0.rawValue)" } ?? ""
            lines = ["\(found.keysRead.grouped) keys at the source\(way)"]
        } else {
            lines = [
                "\(found.keysRead.grouped) keys read, \(found.keysWritten.grouped) written, \(found.bytesWritten.bytesText)"
            ]
        }
        lines += found.findings.map { item in
            let severity = FindingSeverity(rawValue: item.weight.rawValue) ?? .info
            return "\(mark(severity)) \(item.code.rawValue): \(Terminal.escape(item.message))"
        }
        if let refused = found.findings.first(where: { $0.weight == .refuse }) {
            lines.append(
                Terminal.paint("    Put it right, or say accept: [\(refused.code.rawValue)] at the source.", .dim))
        }
        lines += found.differences.map {
            "\(mark(.refuse)) \(Terminal.escape($0.key))  \($0.kind.rawValue)\($0.detail.map { ", \(Terminal.escape($0))" } ?? "")"
        }
        return lines
    }

    private static func files(_ found: FilesReport) -> [String] {
        var lines: [String]
        if found.isEqual {
            lines = ["equal: \(found.pathsEqual.grouped) paths by SHA-256"]
        } else if found.pathsDiffering > 0 {
            lines = ["different: \(found.pathsDiffering.grouped) paths"]
        } else {
            lines = [
                "\(found.sourceFiles.grouped) files at the source, \(found.filesWritten.grouped) sent, \(found.bytesWritten.bytesText)"
            ]
        }
        lines += found.findings.map { item in
            let severity = FindingSeverity(rawValue: item.weight.rawValue) ?? .info
            return "\(mark(severity)) \(item.code.rawValue): \(Terminal.escape(item.message))"
        }
        lines += found.differences.map { "\(mark(.refuse)) \(Terminal.escape($0.path))  \($0.kind.rawValue)" }
        if let check = found.references {
            lines.append(
                "\(check.references.grouped) references in databases: \(check.missing) without a file, \(check.orphaned) files without a reference"
            )
            lines += check.missingFirst.map { "\(mark(.warn)) no file for \(Terminal.escape($0))" }
            lines += check.orphanedFirst.map { "\(mark(.info)) no reference to \(Terminal.escape($0))" }
        }
        return lines
    }
}

extension String {
    fileprivate func padding(_ width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
