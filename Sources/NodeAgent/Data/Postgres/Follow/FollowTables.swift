import BasculeModel
import BasculePostgres

/// How each table of a source can be followed.
struct FollowTables {
    /// Every change is published, and rows can be told apart by these columns.
    var keyed: [(table: PGTable, key: [String])] = []
    /// Every change is published, but no column tells rows apart: compared as a whole.
    var whole: [PGTable] = []
    /// Only insertions are published: compared as a whole, and copied again where rows were changed or deleted.
    var inserts: [PGTable] = []
    /// Not followed, with the reason: compared as a whole, and copied again where they differ.
    var left: [(table: PGTable, reason: String)] = []

    /// What the publication of whole changes holds.
    var published: [PGTable] { keyed.map(\.table) + whole }
    /// Tables whose proof reads all of their rows after the fence.
    var unproved: [PGTable] { whole + inserts + left.map(\.table) }

    private static let query = """
        SELECT c.oid, c.relpersistence, c.relreplident,
            (SELECT json_agg(a.attname ORDER BY k.place) FROM pg_index i
                CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place)
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
                WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate AND k.place <= i.indnkeyatts
                    AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'n' THEN false
                        ELSE i.indisprimary END)::text,
            EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled IN ('A', 'R')),
            EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = c.oid
                AND a.attnum > 0 AND NOT a.attisdropped AND t.typname IN ('json', 'xml', 'point', 'line', 'lseg',
                    'box', 'path', 'polygon', 'circle'))
        FROM pg_class c WHERE c.oid = ANY ($1::oid[])
        """

    init(_ tables: [PGTable], source: PGConnection) throws {
        let rows: PGRows
        do {
            rows = try source.query(Self.query, [PGQuote.array(tables.map { "\($0.oid)" })])
        } catch { throw error.basculeError("reading replica identities", at: .thing(source.place)) }
        let byOid = Dictionary(uniqueKeysWithValues: tables.map { ($0.oid, $0) })
        for row in rows.rows {
            guard let table = byOid[number(row[0])] else { continue }
            let key = row[3].map(JSONNames.decode) ?? []
            if row[1] != "p" {
                left.append((table, "it is unlogged"))
            } else if row[4] == "t" {
                left.append((table, "a trigger of it fires for replicated rows too"))
            } else if row[2] == "f", key.isEmpty {
                // The worker finds a row by comparing all of it, which these types cannot be.
                if row[5] == "t" {
                    left.append((table, "a column of it cannot be compared"))
                } else {
                    whole.append(table)
                }
            } else if key.isEmpty {
                inserts.append(table)
            } else {
                keyed.append((table, key))
            }
        }
        keyed.sort { $0.table.shown < $1.table.shown }
        whole.sort { $0.shown < $1.shown }
        inserts.sort { $0.shown < $1.shown }
        left.sort { $0.table.shown < $1.table.shown }
    }

    /// What the administrator should know of tables that are not followed wholly.
    var findings: [PostgresFinding] {
        inserts.map {
            PostgresFinding(
                "follow-no-identity", .warn, $0.shown,
                "Without a replica identity only its insertions are followed: it is compared as a whole after the "
                    + "fence, and copied again if rows of it were changed or deleted",
                hint: "Add a primary key, or ALTER TABLE … REPLICA IDENTITY FULL if it is small.")
        }
            + left.map {
                PostgresFinding(
                    "follow-left-out", .warn, $0.table.shown,
                    "It is not followed, because \($0.reason): it is copied again after the fence if it changed",
                    hint: "Nothing, if it is small.")
            }
    }
}
