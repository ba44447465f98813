import BasculeCrypto
import BasculeModel
import BasculeMySQL
import BasculePostgres
import Glibc

/// What a scan tells of each row: the row, its key for people (asked for only where wanted), the sums so far.
typealias MyRowWatcher = (_ row: MyRowForm, _ summer: MySummer, _ key: () -> String) -> Void

/// Reads one table on one side, and adds it up.
struct MyScan {
    let plan: MyTablePlan
    let hash: ShortHash
    let report: MyReporter

    /// Reads the source through the declared conversion. `sink` gets lines for COPY in large pieces, until the first
    /// refused value: from then on values are only looked at. `extra` is a last column's value, from the row's key.
    func source(
        _ connection: MyConnection, refusals: inout MyRefusals, extra: ((String) -> [UInt8])? = nil,
        watch: MyRowWatcher? = nil, ranges: MyRangeTaker? = nil,
        sink: ((UnsafeRawBufferPointer) throws -> Void)? = nil
    ) throws -> (sum: MyTableSum, bytes: Int64) {
        var summer = MySummer(hash, plan: plan)
        var row = MyRowForm()
        var batch: [UInt8] = []
        var text: [UInt8] = []
        var bytes: Int64 = 0
        batch.reserveCapacity(Self.piece + 65_536)
        let refusedBefore = refusals.count
        let wantsLines = sink != nil || ranges?.writes == true
        func flush() throws {
            bytes += Int64(batch.count)
            if let sink, refusals.count == refusedBefore { try batch.withUnsafeBytes { try sink($0) } }
            batch.removeAll(keepingCapacity: true)
        }
        do {
            try connection.stream(plan.select()) { source in
                row.clear()
                for (index, column) in plan.columns.enumerated() {
                    var isNull = true
                    var isOther = false
                    let start = row.bytes.count
                    if let cell = source[index] {
                        switch column.converter.convert(cell, canon: &row.bytes, text: &text) {
                        case .same: isNull = false
                        case .other: (isNull, isOther) = (false, true)
                        case .null: row.bytes.removeLast(row.bytes.count - start)
                        case .refused(let reason):
                            row.bytes.removeLast(row.bytes.count - start)
                            refuse(column, source, summer.sum.rows, cell, reason, &refusals)
                        }
                    } else if !column.converter.takesNull, !column.isComputed {
                        refuse(column, source, summer.sum.rows, nil, .wouldBeNull, &refusals)
                    }
                    row.close(isNull: isNull)
                    guard wantsLines, !column.isComputed else { continue }
                    if isNull {
                        batch.append(UInt8(ascii: "\\"))
                        batch.append(UInt8(ascii: "N"))
                    } else if isOther {
                        MyText.escape(text, into: &batch)
                    } else {
                        MyText.escape(row.bytes[start...], into: &batch)
                    }
                    batch.append(9)
                }
                if wantsLines {
                    if let extra {
                        MyText.escape(extra(self.key(source, summer.sum.rows)), into: &batch)
                        batch.append(10)
                    } else if batch.last == 9 {
                        batch[batch.count - 1] = 10
                    }
                }
                summer.add(row)
                watch?(row, summer) { self.key(source, summer.sum.rows - 1) }
                if let ranges {
                    if refusals.count > refusedBefore { (ranges as? MyRangeWriter)?.isLost = true }
                    let key = row.bytes.withUnsafeBytes {
                        MyNumber.integer(UnsafeRawBufferPointer(rebasing: $0[row.cell(ranges.column)]))
                    }
                    // A key that was refused ends the whole.
                    if let key { try ranges.take(key: key, sum: summer.whole, lines: &batch) }
                }
                if batch.count >= Self.piece { try flush() }
                if summer.sum.rows & 0x3FF == 0 {
                    try report.rows(plan.name, summer.sum.rows, bytes, plan.source.bytes)
                }
            }
            try flush()
        } catch let error as MyError {
            throw error.basculeError("reading \(plan.name)", at: .thing(connection.place))
        }
        return (summer.sum, bytes)
    }

    private static let piece = 256 * 1024

    /// Reads the target's stored values.
    func target(
        _ connection: PGConnection, where condition: String = "", watch: MyRowWatcher? = nil
    ) throws -> MyTableSum {
        var summer = MySummer(hash, plan: plan)
        var row = MyRowForm()
        var cell: [UInt8] = []
        do {
            try connection.unload(plan.copyOut(where: condition)) { chunk in
                var place = 0
                while place < chunk.count {
                    row.clear()
                    for column in plan.columns {
                        let isNull = Self.field(chunk, &place, into: &cell)
                        if !isNull {
                            cell.withUnsafeBytes { column.converter.canonical(stored: $0, into: &row.bytes) }
                        }
                        row.close(isNull: isNull)
                    }
                    summer.add(row)
                    watch?(row, summer) { self.key(row) }
                    if summer.sum.rows & 0x3FF == 0 {
                        try report.rows(plan.name, summer.sum.rows, 0, nil, phase: "digest")
                    }
                }
            }
        } catch let error as PGError {
            throw error.basculeError("reading \(plan.quoted)", at: .thing(connection.place))
        }
        return summer.sum
    }

    /// One field of COPY's text format, without its escapes; the place is moved behind its end. True for NULL.
    static func field(_ chunk: UnsafeRawBufferPointer, _ place: inout Int, into cell: inout [UInt8]) -> Bool {
        cell.removeAll(keepingCapacity: true)
        var isNull = false
        while place < chunk.count {
            let byte = chunk[place]
            place += 1
            if byte == 9 || byte == 10 { break }
            guard byte == UInt8(ascii: "\\"), place < chunk.count else {
                cell.append(byte)
                continue
            }
            let escaped = chunk[place]
            place += 1
            switch escaped {
            case UInt8(ascii: "N"): isNull = cell.isEmpty
            case UInt8(ascii: "n"): cell.append(10)
            case UInt8(ascii: "r"): cell.append(13)
            case UInt8(ascii: "t"): cell.append(9)
            case UInt8(ascii: "b"): cell.append(8)
            case UInt8(ascii: "f"): cell.append(12)
            case UInt8(ascii: "v"): cell.append(11)
            default: cell.append(escaped)
            }
        }
        return isNull
    }

    private func refuse(
        _ column: MyColumnPlan, _ row: MyRow, _ number: Int64, _ cell: UnsafeRawBufferPointer?, _ reason: MyReason,
        _ refusals: inout MyRefusals
    ) {
        refusals.add(
            MySQLRefusedValue(
                table: plan.source.name, key: key(row, number), column: column.source.name,
                value: cell.map { MyText.shown($0) } ?? "NULL", reason: reason.rawValue),
            column: "\(plan.name).\(column.name).\(reason.rawValue)")
    }

    /// `id=42`, of a row of the source.
    private func key(_ row: MyRow, _ number: Int64) -> String {
        guard !plan.key.isEmpty else { return "row \(number + 1)" }
        return plan.key.map { place in
            "\(plan.columns[place].source.name)=\(row[place].map { Self.plain($0) } ?? "NULL")"
        }.joined(separator: ",")
    }

    /// The same of a row in canonical form.
    private func key(_ row: MyRowForm) -> String {
        guard !plan.key.isEmpty else { return "a row" }
        return plan.key.map { place in
            "\(plan.columns[place].source.name)=\(Self.plain(row.bytes[row.cell(place)]))"
        }.joined(separator: ",")
    }

    private static func plain(_ bytes: some Collection<UInt8>) -> String {
        bytes.allSatisfy { (48...57).contains($0) || $0 == 45 } && !bytes.isEmpty
            ? String(decoding: bytes, as: UTF8.self) : MyText.shown(bytes, limit: 60)
    }
}

/// Tells how far a task has come, and stops it.
struct MyReporter: Sendable {
    let progress: @Sendable (MoveProgress) -> Void
    let isCancelled: @Sendable () -> Bool

    func say(_ phase: String, _ subject: String = "") { progress(MoveProgress(subject: subject, phase: phase)) }

    func rows(_ table: String, _ rows: Int64, _ bytes: Int64, _ total: Int64?, phase: String = "copy") throws {
        if isCancelled() { throw BasculeError(.cancelled, "The copy of a table was stopped", at: .thing(table)) }
        progress(MoveProgress(subject: table, phase: phase, rows: rows, bytes: bytes, totalBytes: total))
    }
}
