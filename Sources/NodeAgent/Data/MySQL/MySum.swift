import BasculeCrypto
import BasculeModel

/// One row in canonical form, used again for every row.
struct MyRowForm {
    var bytes: [UInt8] = []
    private(set) var ends: [Int] = []
    private(set) var nulls: [Bool] = []

    mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        nulls.removeAll(keepingCapacity: true)
    }

    /// Closes the cell whose bytes were appended.
    mutating func close(isNull: Bool = false) {
        ends.append(bytes.count)
        nulls.append(isNull)
    }

    func cell(_ index: Int) -> Range<Int> { (index == 0 ? 0 : ends[index - 1])..<ends[index] }
    func isNull(_ index: Int) -> Bool { nulls[index] }
}

/// The checksums of a table: for each column the sum of a keyed hash of every value together with its row's key, so that
/// neither order nor place matters, and a value that moves to another row is seen.
struct MyTableSum: Equatable {
    static let buckets = 256
    var rows: Int64 = 0
    var columns: [UInt128]
    /// Sums of whole rows by their key, to find what differs without keeping every row.
    var buckets = [UInt128](repeating: 0, count: buckets)

    init(columns: Int) { self.columns = [UInt128](repeating: 0, count: columns) }

    /// Buckets that are not the same.
    func differing(_ other: MyTableSum) -> Set<Int> {
        Set((0..<Self.buckets).filter { buckets[$0] != other.buckets[$0] })
    }

    var texts: [String] { columns.map { String($0, radix: 16) } }
}

/// Adds rows up.
struct MySummer {
    let hash: ShortHash
    let key: [Int]
    private(set) var sum: MyTableSum
    /// The last row's hash by column, and of its key.
    private(set) var cells: [UInt128]
    private(set) var keyHash: UInt128 = 0
    /// The last row's cells together.
    private(set) var whole: UInt128 = 0
    private var scratch: [UInt8] = []

    init(_ hash: ShortHash, plan: MyTablePlan) {
        (self.hash, key) = (hash, plan.key)
        sum = MyTableSum(columns: plan.columns.count)
        cells = [UInt128](repeating: 0, count: plan.columns.count)
    }

    var bucket: Int { Int(truncatingIfNeeded: keyHash) & (MyTableSum.buckets - 1) }

    mutating func add(_ row: MyRowForm) {
        scratch.removeAll(keepingCapacity: true)
        row.bytes.withUnsafeBytes { bytes in
            for place in key {
                let range = row.cell(place)
                withUnsafeBytes(of: UInt32(range.count)) { scratch.append(contentsOf: $0) }
                scratch.append(contentsOf: bytes[range])
            }
            let frame = scratch.count
            whole = 0
            for index in cells.indices {
                scratch.removeLast(scratch.count - frame)
                scratch.append(UInt8(truncatingIfNeeded: index))
                scratch.append(UInt8(truncatingIfNeeded: index >> 8))
                scratch.append(row.isNull(index) ? 1 : 0)
                scratch.append(contentsOf: bytes[row.cell(index)])
                let value = scratch.withUnsafeBytes { hash($0) }
                cells[index] = value
                sum.columns[index] &+= value
                whole &+= value
            }
            scratch.removeLast(scratch.count - frame)
            keyHash = key.isEmpty ? whole : scratch.withUnsafeBytes { hash($0) }
            sum.buckets[bucket] &+= whole
        }
        sum.rows += 1
    }
}

/// What the declared conversions refused: the first ones, and how many.
struct MyRefusals {
    /// As many as a person reads of one column, and of the whole.
    private static let (each, all) = (20, 200)
    private(set) var count: Int64 = 0
    private(set) var first: [MySQLRefusedValue] = []
    private var seen: [String: Int] = [:]

    mutating func add(_ value: @autoclosure () -> MySQLRefusedValue, column: String) {
        count += 1
        guard first.count < Self.all, seen[column, default: 0] < Self.each else { return }
        seen[column, default: 0] += 1
        first.append(value())
    }
}
