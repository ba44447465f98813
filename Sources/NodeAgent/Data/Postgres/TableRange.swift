import BasculePostgres

/// A part of a table: its pages from `first` on, before `end`; to the table's end where `end` is nil.
///
/// Pages, not keys: every table has them, they are read in the order of the disk whatever the key (a random key as
/// `uuid` would read the whole table for each of its ranges), and they are of one size. What they name may change when
/// the snapshot does; `Resumption` therefore looks at every range again that an earlier run has copied.
struct TableRange: Hashable, Sendable {
    var first: Int64
    var end: Int64?

    static let whole = TableRange(first: 0, end: nil)
    /// Pages of 8 KiB in a range: 128 MiB.
    static let usual: Int64 = 16384

    var isWhole: Bool { self == .whole }

    /// What stands behind FROM; with a space before it, empty for the whole.
    var condition: String {
        if isWhole { return "" }
        let from = " WHERE ctid >= '(\(first),0)'::tid"
        return end.map { from + " AND ctid < '(\($0),0)'::tid" } ?? from
    }

    /// A table of `pages` in ranges of `size`, the last one open; whole up to `splitAbove` pages.
    static func ranges(pages: Int64, size: Int64, splitAbove: Int64) -> [TableRange] {
        guard pages > splitAbove, size > 0 else { return [.whole] }
        return stride(from: Int64(0), to: pages, by: Int64.Stride(size)).map { first in
            TableRange(first: first, end: first + size >= pages ? nil : first + size)
        }
    }

    /// How a table is copied. Before version 14 a server reads the whole table for every range of pages.
    static func copying(_ table: PGTable, _ sides: Sides, from source: PGConnection) -> [TableRange] {
        guard source.majorVersion >= 14 else { return [.whole] }
        let size = sides.move.rangePages ?? usual
        return ranges(pages: table.pages, size: size, splitAbove: 2 * size)
    }
}
