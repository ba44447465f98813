import BasculeCrypto
import BasculeModel
import BasculeMySQL
import BasculePostgres
import FoundationEssentials

/// Both databases of a move.
struct MySides {
    let move: MySQLMove
    let address: MyAddress
    let report: MyReporter
    /// An earlier attempt came to T0 and went back.
    let afterOpen: Bool

    init(
        _ move: MySQLMove, afterOpen: Bool, resolve: (SecretName) throws -> Secret, report: MyReporter
    ) throws {
        (self.move, self.afterOpen, self.report) = (move, afterOpen, report)
        address = try MyAddress(url: try resolve(move.source))
    }

    /// The target's side, with the ways to log in that a PostgreSQL move has.
    var target: Sides {
        Sides(
            move: PostgresMove(
                source: move.source, targetDatabase: move.targetDatabase, targetSocket: move.targetSocket,
                targetPort: move.targetPort, targetUser: move.targetUser, owner: move.owner), secret: Secret(""))
    }

    /// A session with one consistent snapshot: InnoDB's own, so that one connection needs no lock of anybody's tables.
    func snapshot() throws -> MyConnection {
        let source = try MyConnection(address)
        do {
            try source.query("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            try source.query("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        } catch { throw error.basculeError("taking a snapshot", at: .thing(source.place)) }
        return source
    }

    static let snapshotText = "one consistent snapshot over one connection, without a lock"

    /// The source's clock in seconds.
    static func clock(_ source: MyConnection) -> Int64? {
        guard let text = try? source.query("SELECT UNIX_TIMESTAMP()").first?.first else { return nil }
        return text.flatMap { Int64($0) }
    }

    func catalog(_ source: MyConnection) throws -> MyCatalog {
        try MyCatalogReader(source: source, database: address.database, exclude: Set(move.exclude)).read()
    }
}

/// What a move keeps in the target's ledger: the sums of the source at its last reading.
struct MyLedger: Codable {
    struct Table: Codable {
        var rows: Int64
        var columns: [String]
        var buckets: [String]
        /// See `MyRangeSums`; nil where the key is no whole number.
        var ranges: String?
    }
    /// 16 random bytes.
    var key: [UInt8]
    /// Of the source's catalog and the rules.
    var schema: String
    /// When the users' metadata says that they came.
    var since: String
    /// The source was fenced when it was read.
    var isFenced = false
    /// The source's clock at its last reading, or later.
    var began: Int64?
    /// What the copy's reading and writing of all tables took.
    var seconds: Double?
    var tables: [String: Table] = [:]

    init(schema: String, since: String) {
        var generator = SystemRandomNumberGenerator()
        key = (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }
        (self.schema, self.since) = (schema, since)
    }

    var hash: ShortHash { ShortHash(key: key) }

    /// See `MySQLReport.again`: each side is read once; a changed table is written once more, and the source's read twice
    /// where the server does not say that it was changed. `bench/mysql.py` measures the share of the copy that reading
    /// both sides takes.
    var again: [Double]? { seconds.map { [$0 * 0.9, $0 * 1.9] } }

    /// That a table was written to since. What the server does not know, or not for sure, is read to find out.
    func knowsChanged(_ table: MyTable) -> Bool {
        guard let began, let changed = table.changed else { return false }
        return changed > began
    }

    func sum(_ table: String, columns: Int) -> MyTableSum? {
        guard let kept = tables[table], kept.columns.count == columns, kept.buckets.count == MyTableSum.buckets else {
            return nil
        }
        var sum = MyTableSum(columns: columns)
        sum.rows = kept.rows
        sum.columns = kept.columns.map { UInt128($0, radix: 16) ?? 0 }
        sum.buckets = kept.buckets.map { UInt128($0, radix: 16) ?? 0 }
        return sum
    }

    mutating func set(_ table: String, _ sum: MyTableSum, _ ranges: MyRangeSums?) {
        tables[table] = Table(
            rows: sum.rows, columns: sum.texts, buckets: sum.buckets.map { String($0, radix: 16) },
            ranges: ranges?.text)
    }

    func ranges(_ table: String) -> MyRangeSums? { tables[table]?.ranges.flatMap { MyRangeSums(text: $0) } }

    static func read(_ connection: PGConnection, _ name: String) throws -> MyLedger? {
        guard try Ledger.exists(connection), let text = try Ledger.value(connection, "mysql/\(name)") else {
            return nil
        }
        return try? JSONDecoder().decode(MyLedger.self, from: Data(text.utf8))
    }

    func write(_ connection: PGConnection, _ name: String) throws {
        let data = try JSONEncoder().encode(self)
        try Ledger.set(connection, "mysql/\(name)", String(decoding: data, as: UTF8.self))
    }
}
