import BasculeModel
import BasculePostgres

/// Sums of a table's rows by ranges of its key, in ascending order, so that a second pass writes only the ranges that
/// changed. A range is made of the keys that share all bits but the last `shift`.
struct MyRangeSums {
    /// So many at most; beyond, ranges become twice as wide.
    private static let most = 8192
    private(set) var shift = 8
    private(set) var numbers: [Int64] = []
    private(set) var counts: [Int64] = []
    private(set) var sums: [UInt128] = []

    init() {}

    /// Without rows, as wide as another table's ranges.
    init(like other: MyRangeSums) { shift = other.shift }

    /// Of a later key than all before, or the same.
    mutating func add(key: Int64, _ sum: UInt128) { add(key >> Int64(shift), 1, sum) }

    private mutating func add(_ number: Int64, _ count: Int64, _ sum: UInt128) {
        if numbers.last == number {
            counts[counts.count - 1] += count
            sums[sums.count - 1] &+= sum
        } else {
            numbers.append(number)
            counts.append(count)
            sums.append(sum)
        }
    }

    /// Makes ranges wider where there are too many.
    mutating func settle() {
        while numbers.count > Self.most {
            let (ids, rows, old) = (numbers, counts, sums)
            (numbers, counts, sums) = ([], [], [])
            shift += 1
            for index in ids.indices { add(ids[index] >> 1, rows[index], old[index]) }
        }
    }

    /// As the ledger keeps it: the shift, then each range's number, rows and sum.
    var text: String {
        var out = "\(shift)"
        for index in numbers.indices {
            out += " \(numbers[index]) \(counts[index]) \(String(sums[index], radix: 16))"
        }
        return out
    }

    init?(text: String) {
        let words = text.split(separator: " ")
        guard let first = words.first.flatMap({ Int(String($0)) }), (0...62).contains(first), words.count % 3 == 1
        else { return nil }
        shift = first
        for place in stride(from: 1, to: words.count, by: 3) {
            guard let number = Int64(String(words[place])), let count = Int64(String(words[place + 1])),
                let sum = UInt128(String(words[place + 2]), radix: 16)
            else { return nil }
            numbers.append(number)
            counts.append(count)
            sums.append(sum)
        }
    }
}

extension MyTablePlan {
    /// The column whose ranges a second pass compares: the key's first, where it is a whole number on both sides.
    var rangeColumn: Int? {
        guard let first = key.first, case .integer = columns[first].converter.kind,
            ["int2", "int4", "int8"].contains(columns[first].target.base)
        else { return nil }
        return first
    }
}

/// Takes the rows of a scan in the order of their keys, and sums them by ranges.
class MyRangeTaker {
    let column: Int
    fileprivate(set) var sums: MyRangeSums

    init(column: Int, _ sums: MyRangeSums = MyRangeSums()) { (self.column, self.sums) = (column, sums) }

    /// Whether it wants lines for COPY.
    var writes: Bool { false }

    /// A row and its line, which it takes out of `lines` where it wants it.
    func take(key: Int64, sum: UInt128, lines: inout [UInt8]) throws {
        sums.add(key: key, sum)
        if sums.numbers.count > 16_384 { sums.settle() }
    }
}

/// Replaces at the target the ranges that are not as they were at the last pass, while the source is read once.
final class MyRangeWriter: MyRangeTaker {
    /// A range's rows wait for its sum; where they are more than this, it is written whatever its sum is.
    private static let most = 8 << 20
    private let table: MyTablePlan
    private let loader: PGConnection
    private let copy: String
    private let old: MyRangeSums
    /// Ranges that others have written to at the target, in ascending order.
    private let touched: [Int64]
    private var (next, nextTouched) = (0, 0)
    private var number: Int64?
    private var sum: UInt128 = 0
    private var (lines, count): ([UInt8], Int64) = ([], 0)
    /// The present range is written, whatever its sum.
    private var isDecided = false
    /// Ranges to be emptied, those side by side together, and the lines that come into them.
    private var runs: [(first: Int64, last: Int64)] = []
    private var isInRun = false
    private var waiting: [UInt8] = []
    private(set) var (rows, bytes): (Int64, Int64) = (0, 0)
    private(set) var isChanged = false
    /// A value was refused: the transaction is lost, and the rest is only looked at.
    var isLost = false
    /// A row came before the one that held its value of another unique key was gone.
    private(set) var hasCollided = false

    init(_ table: MyTablePlan, column: Int, _ loader: PGConnection, copy: String, old: MyRangeSums, touched: [Int64]) {
        (self.table, self.loader, self.copy) = (table, loader, copy)
        (self.old, self.touched) = (old, touched)
        super.init(column: column, MyRangeSums(like: old))
    }

    override var writes: Bool { true }

    override func take(key: Int64, sum: UInt128, lines: inout [UInt8]) throws {
        let number = key >> Int64(old.shift)
        if number != self.number {
            try close()
            self.number = number
            // Before any of its rows is written: else a later DELETE over the gap before it would take them along.
            empty(before: number)
        }
        sums.add(key: key, sum)
        self.sum &+= sum
        if isDecided { waiting += lines } else { self.lines += lines }
        count += 1
        lines.removeAll(keepingCapacity: true)
        if self.lines.count > Self.most {
            isDecided = true
            change(number)
            waiting += self.lines
            self.lines.removeAll()
        }
        if waiting.count > Self.most / 2 { try flush() }
    }

    /// After the last row.
    func end() throws {
        try close()
        empty(before: .max)
        try flush()
        sums.settle()
    }

    /// Ranges of which the source has no row.
    private func empty(before number: Int64) {
        while true {
            let known = next < old.numbers.count ? old.numbers[next] : .max
            let foreign = nextTouched < touched.count ? touched[nextTouched] : .max
            guard min(known, foreign) < number else { return }
            if known <= foreign { next += 1 }
            if foreign <= known { nextTouched += 1 }
            change(min(known, foreign))
        }
    }

    private func close() throws {
        guard let number else { return }
        empty(before: number)
        let isKnown = next < old.numbers.count && old.numbers[next] == number
        let isTouched = nextTouched < touched.count && touched[nextTouched] == number
        if isTouched { nextTouched += 1 }
        if isDecided {
            rows += count
        } else if isKnown, !isTouched, old.sums[next] == sum {
            isInRun = false
        } else {
            change(number)
            waiting += lines
            rows += count
        }
        if isKnown { next += 1 }
        lines.removeAll(keepingCapacity: true)
        (self.number, sum, count, isDecided) = (nil, 0, 0, false)
    }

    private func change(_ number: Int64) {
        isChanged = true
        if isInRun, !runs.isEmpty { runs[runs.count - 1].last = number } else { runs.append((number, number)) }
        isInRun = true
    }

    private func flush() throws {
        guard !isLost else {
            waiting.removeAll()
            return
        }
        let key = PGQuote.identifier(table.columns[column].name)
        for run in runs {
            let (first, last) = (run.first << Int64(old.shift), (run.last << Int64(old.shift)) | ((1 << old.shift) - 1))
            try loader.query("DELETE FROM ONLY \(table.quoted) WHERE \(key) BETWEEN \(first) AND \(last)")
        }
        runs.removeAll()
        isInRun = false
        guard !waiting.isEmpty else { return }
        bytes += Int64(waiting.count)
        do { _ = try loader.load(copy) { send in try waiting.withUnsafeBytes { try send($0) } } } catch let error
            as PGError where error.state == "23505"
        {
            // The reading goes on: an error would cut the source's connection, and with it the snapshot.
            (hasCollided, isLost) = (true, true)
        }
        waiting.removeAll(keepingCapacity: true)
    }
}
