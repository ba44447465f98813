import BasculeModel
import BasculePostgres
import Glibc

/// The keys of rows that were touched at the source since the copy was proved, in the target's table `bascule.touched`.
struct Touched {
    let admin: PGConnection
    let source: PGConnection
    let names: FollowNames
    /// Keys of the way back stand apart.
    var place = "touched"

    /// Beyond this many keys a proof is not worth more than reading everything.
    static let limit: Int64 = 5_000_000

    static func prepare(_ admin: PGConnection, place: String = "touched") throws(PGError) {
        // By digest: a key may be longer than an index takes.
        try admin.script(
            """
            SET client_min_messages = error;
            CREATE TABLE IF NOT EXISTS bascule.\(place) (rel text NOT NULL, key text NOT NULL);
            CREATE UNIQUE INDEX IF NOT EXISTS \(place)_once ON bascule.\(place) (rel, md5(key));
            """)
    }

    func forget() throws {
        try admin.script("SET client_min_messages = error; DROP TABLE IF EXISTS bascule.touched")
        try admin.query("DELETE FROM bascule.move WHERE key IN ('proof', 'proof.rows')")
    }

    /// Takes from the slot what is there. What was written is safe before the slot lets it go.
    func drain(_ tables: FollowTables, slot: String, publications: [String]) throws {
        let keys = Dictionary(uniqueKeysWithValues: tables.keyed.map { ($0.table.quoted, $0.key) })
        let reader = SlotReader(connection: source, slot: slot, publications: publications)
        var notes = KeyNotes(keys)
        let goal = try reader.goal()
        while true {
            let (messages, end) = try reader.peek()
            guard end > 0 else { return }
            for message in messages { notes.add(message) }
            try save(notes.take())
            try reader.advance(to: end)
            if end >= goal { return }
        }
    }

    /// On disk when it returns.
    func save(_ pairs: [KeyNotes.Pair]) throws(PGError) {
        guard !pairs.isEmpty else { return }
        try admin.query("SET synchronous_commit = on")
        try admin.query(
            "INSERT INTO bascule.\(place) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING",
            [PGQuote.array(pairs.map(\.rel)), PGQuote.array(pairs.map(\.key))])
    }

    /// Tables that were emptied, or touched in a row whose key was not told: nothing is known of their rows.
    func unknown() throws -> Set<String> {
        Set(try admin.query("SELECT DISTINCT rel FROM bascule.\(place) WHERE key = '{}'").rows.map { $0[0] ?? "" })
    }

    func count() throws -> Int64 { number(try admin.query("SELECT count(*) FROM bascule.\(place)").scalar) }

    /// Keys of one table, each as its columns' values, in batches.
    func batches(_ table: PGTable, size: Int = 20_000, _ body: ([[String]]) throws -> Void) throws {
        var after = ""
        while true {
            let rows = try admin.query(
                """
                SELECT md5(key), to_json(key::text[])::text FROM bascule.\(place)
                WHERE rel = $1 AND key <> '{}' AND md5(key) > $2 ORDER BY 1 LIMIT \(size)
                """, [table.quoted, after])
            guard let last = rows.rows.last else { return }
            try body(rows.rows.map { JSONNames.decode($0[1] ?? "[]") })
            after = last[0] ?? ""
        }
    }
}

/// Collects keys out of decoded messages. Pure.
struct KeyNotes {
    struct Pair: Hashable {
        var rel: String
        var key: String
    }

    private let keys: [String: [String]]
    private var relations: [UInt32: (name: String, places: [Int])] = [:]
    private var pairs: Set<Pair> = []

    /// Key columns by table, quoted.
    init(_ keys: [String: [String]]) { self.keys = keys }

    mutating func take() -> [Pair] {
        defer { pairs = [] }
        return Array(pairs)
    }

    mutating func add(_ message: PgOutput.Message) {
        switch message {
        case .relation(let relation):
            let name = PGQuote.identifier(relation.schema, relation.name)
            let places = (keys[name] ?? []).compactMap { key in relation.columns.firstIndex { $0.name == key } }
            relations[relation.oid] = (name, places)
        case .insert(let oid, let new): note(oid, new)
        case .update(let oid, let old, let new):
            if let old { note(oid, old) }
            note(oid, new)
        case .delete(let oid, let old): note(oid, old)
        case .truncate(let oids, _, _):
            for oid in oids {
                if let relation = relations[oid] { pairs.insert(Pair(rel: relation.name, key: "{}")) }
            }
        case .begin, .commit, .other: break
        }
    }

    private mutating func note(_ oid: UInt32, _ values: [PgOutput.Value]) {
        guard let relation = relations[oid], let wanted = keys[relation.name], !wanted.isEmpty else { return }
        let key = relation.places.compactMap { $0 < values.count ? values[$0].text : nil }
        // A key so large that it was not sent again.
        pairs.insert(Pair(rel: relation.name, key: key.count == wanted.count ? PGQuote.array(key) : "{}"))
    }
}
