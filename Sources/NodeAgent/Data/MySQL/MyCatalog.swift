import BasculeModel
import BasculeMySQL

/// What the source's catalog holds of one database.
struct MyCatalog {
    var tables: [MyTable] = []
    /// What is not carried, by kind: `view`, `trigger`, `routine`, `event`, `sequence`.
    var others: [(kind: String, name: String)] = []

    /// Everything that the target is made from, so that a change of it is noticed.
    var text: String {
        tables.map { table in
            "\(table.name) \(table.columns.map { "\($0)" }) \(table.indexes) \(table.foreignKeys) \(table.checks)"
        }.joined(separator: "\n")
    }
}

struct MyTable {
    var name: String
    var engine: String
    /// `BASE TABLE`, or `SYSTEM VERSIONED`.
    var type: String
    var estimatedRows: Int64
    var bytes: Int64
    /// The next value, where a column counts by itself.
    var nextValue: UInt64?
    var comment: String
    var isPartitioned: Bool
    /// When it was last written to, in seconds of the source's clock, where the server still knows.
    var changed: Int64?
    var columns: [MyColumn] = []
    var indexes: [MyIndex] = []
    var foreignKeys: [MyForeignKey] = []
    var checks: [MyCheck] = []

    var primary: MyIndex? { indexes.first { $0.name == "PRIMARY" } }
    func column(_ name: String) -> MyColumn? { columns.first { $0.name == name } }
}

struct MyColumn {
    var name: String
    /// `bigint`
    var dataType: String
    /// `bigint(20) unsigned`
    var columnType: String
    var isNullable: Bool
    var defaultText: String?
    /// `auto_increment`, `on update current_timestamp()`, `STORED GENERATED`, …
    var extra: String
    var generation: String
    var charset: String
    var collation: String
    var length: Int64
    var precision: Int
    var scale: Int
    var fraction: Int
    var comment: String
    /// MariaDB's JSON is text with a check.
    var isJSON = false

    var isUnsigned: Bool { columnType.contains("unsigned") }
    var isGenerated: Bool { !generation.isEmpty }
    var countsByItself: Bool { extra.contains("auto_increment") }
    var touchesOnUpdate: Bool { extra.lowercased().contains("on update") }
    var isText: Bool { !charset.isEmpty && dataType != "enum" && dataType != "set" && !isJSON }
    /// Equal and unique whatever the case of letters.
    var ignoresCase: Bool { isText && collation.contains("_ci") || collation.contains("_nopad_ci") }

    /// The labels of an enum or a set.
    var labels: [String] {
        guard let open = columnType.firstIndex(of: "(") else { return [] }
        var labels: [String] = []
        var bytes = Array(columnType[columnType.index(after: open)...].utf8)[...]
        let quote = UInt8(ascii: "'")
        while bytes.first == quote {
            bytes = bytes.dropFirst()
            var label: [UInt8] = []
            while let byte = bytes.popFirst() {
                if byte == quote {
                    guard bytes.first == quote else { break }
                    bytes = bytes.dropFirst()
                }
                label.append(byte)
            }
            labels.append(String(decoding: label, as: UTF8.self))
            if bytes.first == UInt8(ascii: ",") { bytes = bytes.dropFirst() }
        }
        return labels
    }
}

struct MyIndex {
    struct Part {
        /// Empty for an expression.
        var column: String
        var prefix: Int?
        var descends: Bool
    }
    var name: String
    var isUnique: Bool
    /// `BTREE`, `HASH`, `FULLTEXT`, `SPATIAL`…
    var kind: String
    var parts: [Part]
}

struct MyForeignKey {
    var name: String
    var columns: [String]
    /// Another database's, where it is not ours.
    var schema: String
    var table: String
    var targets: [String]
    var onUpdate: String
    var onDelete: String
}

struct MyCheck {
    var name: String
    var clause: String
}

/// Reads `information_schema` of one database.
struct MyCatalogReader {
    let source: MyConnection
    let database: String
    let exclude: Set<String>

    func read() throws -> MyCatalog {
        do throws(MyError) { return try catalog() } catch {
            throw error.basculeError("reading the catalog", at: .thing(source.place))
        }
    }

    private var here: String { MyQuote.literal(database) }

    private func catalog() throws(MyError) -> MyCatalog {
        var catalog = MyCatalog()
        let rows = try source.query(
            """
            SELECT TABLE_NAME, IFNULL(ENGINE, ''), TABLE_TYPE, IFNULL(TABLE_ROWS, 0), IFNULL(DATA_LENGTH, 0),
                AUTO_INCREMENT, IFNULL(TABLE_COMMENT, ''), IFNULL(CREATE_OPTIONS, ''), UNIX_TIMESTAMP(UPDATE_TIME)
            FROM information_schema.TABLES WHERE TABLE_SCHEMA = \(here) ORDER BY TABLE_NAME
            """)
        for row in rows {
            let name = row[0] ?? ""
            switch row[2] ?? "" {
            case "VIEW", "SYSTEM VIEW": catalog.others.append(("view", name))
            case "SEQUENCE": catalog.others.append(("sequence", name))
            default:
                guard !exclude.contains(name) else { continue }
                catalog.tables.append(
                    MyTable(
                        name: name, engine: row[1] ?? "", type: row[2] ?? "", estimatedRows: Int64(row[3] ?? "") ?? 0,
                        bytes: Int64(row[4] ?? "") ?? 0, nextValue: row[5].flatMap { UInt64($0) },
                        comment: row[6] ?? "", isPartitioned: (row[7] ?? "").contains("partitioned"),
                        changed: row[8].flatMap { Int64($0) }))
            }
        }
        let place = Dictionary(uniqueKeysWithValues: catalog.tables.enumerated().map { ($1.name, $0) })
        for (table, column) in try columns() { place[table].map { catalog.tables[$0].columns.append(column) } }
        try indexes(&catalog, place)
        try foreignKeys(&catalog, place)
        try checks(&catalog, place)
        catalog.others += try others()
        return catalog
    }

    /// MySQL's catalog writes the quotes of an expression with a backslash each.
    private func plainExpression(_ text: String) -> String {
        source.isMariaDB ? text : text.replacing("\\'", with: "'")
    }

    private func columns() throws(MyError) -> [(String, MyColumn)] {
        try source.query(
            """
            SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA,
                IFNULL(GENERATION_EXPRESSION, ''), IFNULL(CHARACTER_SET_NAME, ''), IFNULL(COLLATION_NAME, ''),
                IFNULL(CHARACTER_MAXIMUM_LENGTH, 0), IFNULL(NUMERIC_PRECISION, 0), IFNULL(NUMERIC_SCALE, 0),
                IFNULL(DATETIME_PRECISION, 0), COLUMN_COMMENT
            FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = \(here) ORDER BY TABLE_NAME, ORDINAL_POSITION
            """
        ).map { row in
            func number(_ index: Int) -> Int { Int(row[index] ?? "") ?? 0 }
            let isJSON = row[2] == "json"
            let generation = plainExpression(row[7] ?? "")
            return (
                row[0] ?? "",
                MyColumn(
                    name: row[1] ?? "", dataType: (row[2] ?? "").lowercased(), columnType: row[3] ?? "",
                    isNullable: row[4] == "YES", defaultText: row[5], extra: row[6] ?? "", generation: generation,
                    charset: isJSON ? "" : row[8] ?? "", collation: isJSON ? "" : row[9] ?? "",
                    length: Int64(row[10] ?? "") ?? 0, precision: number(11), scale: number(12), fraction: number(13),
                    comment: row[14] ?? "", isJSON: isJSON)
            )
        }
    }

    private func indexes(_ catalog: inout MyCatalog, _ place: [String: Int]) throws(MyError) {
        let rows = try source.query(
            """
            SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, IFNULL(COLUMN_NAME, ''), SUB_PART, IFNULL(COLLATION, 'A'),
                INDEX_TYPE
            FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = \(here)
            ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX
            """)
        for row in rows {
            guard let index = place[row[0] ?? ""] else { continue }
            let part = MyIndex.Part(column: row[3] ?? "", prefix: row[4].flatMap { Int($0) }, descends: row[5] == "D")
            let name = row[1] ?? ""
            if catalog.tables[index].indexes.last?.name == name {
                catalog.tables[index].indexes[catalog.tables[index].indexes.count - 1].parts.append(part)
            } else {
                catalog.tables[index].indexes.append(
                    MyIndex(name: name, isUnique: row[2] == "0", kind: row[6] ?? "", parts: [part]))
            }
        }
    }

    private func foreignKeys(_ catalog: inout MyCatalog, _ place: [String: Int]) throws(MyError) {
        let rows = try source.query(
            """
            SELECT k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA,
                k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.UPDATE_RULE, r.DELETE_RULE
            FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
                ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME
                AND r.TABLE_NAME = k.TABLE_NAME
            WHERE k.TABLE_SCHEMA = \(here) AND k.REFERENCED_TABLE_NAME IS NOT NULL
            ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION
            """)
        for row in rows {
            guard let index = place[row[0] ?? ""] else { continue }
            let name = row[1] ?? ""
            if catalog.tables[index].foreignKeys.last?.name != name {
                catalog.tables[index].foreignKeys.append(
                    MyForeignKey(
                        name: name, columns: [], schema: row[3] ?? "", table: row[4] ?? "", targets: [],
                        onUpdate: row[6] ?? "", onDelete: row[7] ?? ""))
            }
            let last = catalog.tables[index].foreignKeys.count - 1
            catalog.tables[index].foreignKeys[last].columns.append(row[2] ?? "")
            catalog.tables[index].foreignKeys[last].targets.append(row[5] ?? "")
        }
    }

    private func checks(_ catalog: inout MyCatalog, _ place: [String: Int]) throws(MyError) {
        // MySQL's view lacks the table's name, which its constraints' list has; before 8.0.16 there is none at all.
        let sql =
            source.isMariaDB
            ? """
            SELECT TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
            WHERE CONSTRAINT_SCHEMA = \(here) ORDER BY 1, 2
            """
            : """
            SELECT t.TABLE_NAME, c.CONSTRAINT_NAME, c.CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS c
            JOIN information_schema.TABLE_CONSTRAINTS t ON t.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA
                AND t.CONSTRAINT_NAME = c.CONSTRAINT_NAME AND t.CONSTRAINT_TYPE = 'CHECK'
            WHERE c.CONSTRAINT_SCHEMA = \(here) ORDER BY 1, 2
            """
        let rows: [[String?]]
        do { rows = try source.query(sql) } catch {
            guard error.number == 1109 else { throw error }
            return
        }
        for row in rows {
            guard let index = place[row[0] ?? ""] else { continue }
            let clause = plainExpression(row[2] ?? "")
            // What MariaDB adds to a JSON column by itself.
            if let column = catalog.tables[index].columns.firstIndex(where: {
                clause == "json_valid(\(MyQuote.identifier($0.name)))"
            }) {
                catalog.tables[index].columns[column].isJSON = true
                continue
            }
            catalog.tables[index].checks.append(MyCheck(name: row[1] ?? "", clause: clause))
        }
    }

    private func others() throws(MyError) -> [(kind: String, name: String)] {
        var found: [(kind: String, name: String)] = []
        for (kind, sql) in [
            (
                "trigger",
                "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = \(here) ORDER BY 1"
            ),
            (
                "routine",
                "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = \(here) ORDER BY 1"
            ),
            ("event", "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = \(here) ORDER BY 1"),
        ] {
            found += try source.query(sql).map { (kind, $0[0] ?? "") }
        }
        return found
    }
}
