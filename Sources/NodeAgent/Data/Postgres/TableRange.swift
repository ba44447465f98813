import BasculePostgres

/// A part of a table: its pages from `first` on, before `end`; to the table's end where `end` is nil.
///
/// Pages, not keys: every table has them, they are read in the order of the disk whatever the key (a random key as
/// `uuid` would read the whole table for each of its ranges), and they are of one size. What they name may change when
/// the snapshot does; `Resumption` therefore looks at every range again that an earlier run has copied.
struct TableRange: Hashable, Sendable {
    var first: Int64
    var end: Int64?
    /// The column, quoted, whose values the bounds are; nil where they are pages.
    var key: String?

    static let whole = TableRange(first: 0, end: nil)
    /// Pages of 8 KiB in a range: 128 MiB.
    static let usual: Int64 = 16384

    var isWhole: Bool { self == .whole }

    /// What stands behind FROM; with a space before it, empty for the whole.
    var condition: String {
        if isWhole { return "" }
        if let key { return " WHERE \(key) >= \(first)" + (end.map { " AND \(key) < \($0)" } ?? "") }
        let from = " WHERE ctid >= '(\(first),0)'::tid"
        return end.map { from + " AND ctid < '(\($0),0)'::tid" } ?? from
    }

    /// Rows are met in the same order every time: pages are, and what is found by an index is not by itself.
    var order: String { key.map { " ORDER BY \($0)" } ?? "" }

    /// A table of `pages` in ranges of `size`, the last one open; whole up to `splitAbove` pages.
    static func ranges(pages: Int64, size: Int64, splitAbove: Int64) -> [TableRange] {
        guard pages > splitAbove, size > 0 else { return [.whole] }
        return stride(from: Int64(0), to: pages, by: Int64.Stride(size)).map { first in
            TableRange(first: first, end: first + size >= pages ? nil : first + size)
        }
    }

    /// The same by the values of a whole number, from `low` to `high`. The bounds are multiples of a power of two: a run
    /// that goes on with another snapshot, in which the table has grown, finds the same ones.
    static func ranges(key: String, low: Int64, high: Int64, pages: Int64, size: Int64) -> [TableRange] {
        // Beyond this the bounds would not be numbers of 64 bits.
        let far = Int64(1) << 61
        guard pages > 2 * size, size > 0, low <= high, low > -far, high < far else { return [.whole] }
        let wanted = (high - low) / (pages / size)
        var step: Int64 = 1
        while step < wanted { step *= 2 }
        let remainder = low % step
        let start = low - (remainder < 0 ? remainder + step : remainder)
        return stride(from: start, through: high, by: Int64.Stride(step)).map {
            TableRange(first: $0, end: $0 + step, key: key)
        }
    }

    /// How a table is copied. A server that would read the whole table for every range of pages is asked by key.
    static func copying(_ table: PGTable, _ sides: Sides, from source: PGConnection) throws -> [TableRange] {
        let size = sides.move.rangePages ?? usual
        if source.majorVersion >= sides.readsPagesFrom {
            return ranges(pages: table.pages, size: size, splitAbove: 2 * size)
        }
        guard table.pages > 2 * size, table.key.count == 1,
            let column = table.columns.first(where: { $0.name == table.key[0] }),
            ["smallint", "integer", "bigint"].contains(column.type)
        else { return [.whole] }
        let key = PGQuote.identifier(column.name)
        let ends: [String?]
        do {
            ends = try source.query("SELECT min(\(key)), max(\(key)) FROM ONLY \(table.quoted)").rows.first ?? []
        } catch { throw error.basculeError("reading the ends of a key", at: .thing(table.shown)) }
        guard ends.count == 2, let low = ends[0].flatMap({ Int64($0) }), let high = ends[1].flatMap({ Int64($0) })
        else { return [.whole] }
        return ranges(key: key, low: low, high: high, pages: table.pages, size: size)
    }
}
