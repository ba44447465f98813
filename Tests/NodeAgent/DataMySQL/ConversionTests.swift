import BasculeModel
import Testing

@testable import BasculeData

/// One value through one conversion.
struct Case: Sendable, CustomTestStringConvertible {
    var type: String
    var rule: String
    var value: [UInt8]
    /// The target's text, or the reason with a bang before it; `NULL` for one.
    var expected: String

    init(_ type: String, _ value: String, _ expected: String, rule: String = "") {
        self.init(type, Array(value.utf8), expected, rule: rule)
    }
    init(_ type: String, _ value: [UInt8], _ expected: String, rule: String = "") {
        (self.type, self.value, self.expected, self.rule) = (type, value, expected, rule)
    }
    var testDescription: String { "\(type) \(MyText.shown(value)) \(rule) → \(expected)" }

    /// A column as the catalog would describe it.
    var column: MyColumn {
        let base = String(type.prefix { $0 != "(" && $0 != " " })
        let digits = type.split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }
        let isText = ["char", "varchar", "text"].contains(base)
        return MyColumn(
            name: "c", dataType: base, columnType: type, isNullable: true, defaultText: nil, extra: "", generation: "",
            charset: isText ? "utf8mb4" : "", collation: "", length: Int64(isText ? digits.first ?? 0 : 0),
            precision: digits.first ?? 0, scale: digits.count > 1 ? digits[1] : 0, fraction: digits.first ?? 0,
            comment: "", isJSON: base == "json")
    }

    func run() throws -> String {
        let rule = MyRules(rule.isEmpty ? [:] : [column.dataType: rule]).rule(table: "t", column)
        let target = try #require(MyDefaults.target(column, rule), "no type")
        let kind = try #require(MyFit.kind(column, target, rule), "no way from \(type) to \(target.ddl)")
        let converter = try MyConverter(kind, rule: rule)
        var (canon, text): ([UInt8], [UInt8]) = ([], [])
        let outcome = value.withUnsafeBytes { converter.convert($0, canon: &canon, text: &text) }
        switch outcome {
        case .same: return String(decoding: canon, as: UTF8.self)
        case .other: return String(decoding: text, as: UTF8.self)
        case .null: return "NULL"
        case .refused(let reason): return "!\(reason.rawValue)"
        }
    }
}

@Suite struct ConversionTests {
    @Test(arguments: numbers + texts + times + others) func everyValueGoesOverOrIsRefusedByName(_ one: Case) throws {
        #expect(try one.run() == one.expected)
    }

    private static let numbers = [
        Case("tinyint(1)", "0", "f"), Case("tinyint(1)", "1", "t"), Case("tinyint(1)", "2", "!not-boolean"),
        Case("tinyint(1)", "-1", "t", rule: "boolean nonzero"), Case("tinyint(1)", "7", "7", rule: "smallint"),
        Case("tinyint(4) unsigned", "255", "255"), Case("int(10) unsigned", "4294967295", "4294967295"),
        Case("bigint(20)", "-9223372036854775808", "-9223372036854775808"),
        Case("bigint(20) unsigned", "9223372036854775807", "9223372036854775807"),
        Case("bigint(20) unsigned", "9223372036854775808", "!out-of-range"),
        Case("bigint(20) unsigned", "18446744073709551615", "18446744073709551615", rule: "numeric"),
        Case("decimal(10,2)", "12.50", "12.5"), Case("decimal(10,2)", "-0.00", "0"),
        Case("decimal(65,30)", "1.000000000000000000000000000001", "1.000000000000000000000000000001"),
        Case("float", "0.10000000149011612", "0.1"), Case("double", "1e308", "1e308"),
        Case("float", "1.5", "1.5", rule: "double"), Case("year(4)", "0000", "0000"),
        Case("bit(1)", [1], "t"), Case("bit(1)", [0], "f"), Case("bit(8)", "00000101", "00000101"),
    ]

    private static let texts = [
        Case("varchar(10)", "é€😀", "é€😀"), Case("text", [97, 0, 98], "!nul-byte"),
        Case("text", [97, 0, 98], "ab", rule: "strip-nul"), Case("text", [0xC3, 0x28], "!invalid-utf8"),
        // "é" taken for latin1 and encoded again, and a curly quote likewise.
        Case("text", "Ã©tÃ©", "!double-encoded"), Case("text", "Ã©tÃ©", "été", rule: "repair"),
        Case("text", "Ã©tÃ©", "Ã©tÃ©", rule: "keep"), Case("text", "donâ€™t", "don’t", rule: "repair"),
        Case("text", "à la carte, naïve, Ä", "à la carte, naïve, Ä"), Case("varchar(3)", "ééé", "ééé"),
        Case("varchar(3)", "éééé", "!too-long"), Case("char(5)", "ab   ", "ab"),
        Case("enum('a','b')", "b", "b"), Case("enum('a','b')", "", "!empty-enum"),
        Case("enum('a','b')", "", "NULL", rule: "enum empty-null"), Case("enum('a','b')", "c", "!unknown-label"),
        Case("set('a','b c','null')", "a,b c,null", "{a,\"b c\",\"null\"}"), Case("set('a')", "", "{}"),
        Case("char(36)", "6CCD780C-BABA-1026-9564-5B8C656024DB", "6ccd780c-baba-1026-9564-5b8c656024db", rule: "uuid"),
        Case("char(36)", "nothing", "!bad-uuid", rule: "uuid"),
    ]

    private static let times = [
        Case("date", "2024-02-29", "2024-02-29"), Case("date", "0000-00-00", "!zero-date"),
        Case("date", "2024-00-15", "!zero-date"), Case("date", "2023-02-29", "!invalid-date"),
        Case("date", "0000-00-00", "NULL", rule: "zero-null"), Case("date", "9999-12-31", "9999-12-31"),
        Case("datetime(3)", "2024-03-31 02:30:00.500", "2024-03-31 02:30:00.5"),
        Case("datetime", "0000-00-00 00:00:00", "!zero-date"),
        // A wall clock in Paris: winter, summer, the hour that is skipped, the hour that comes twice.
        Case("datetime", "2024-01-01 12:00:00", "2024-01-01 11:00:00+00", rule: "timestamptz Europe/Paris"),
        Case("datetime", "2024-07-01 00:30:00", "2024-06-30 22:30:00+00", rule: "timestamptz Europe/Paris"),
        Case("datetime", "2024-03-31 02:30:00", "!time-skipped-by-dst", rule: "timestamptz Europe/Paris"),
        Case("datetime", "2024-10-27 02:30:00", "!time-doubled-by-dst", rule: "timestamptz Europe/Paris"),
        Case("datetime", "1890-01-01 00:00:00", "1889-12-31 23:50:39+00", rule: "timestamptz Europe/Paris"),
        Case("datetime", "2024-01-01 12:00:00", "2024-01-01 12:00:00+00", rule: "timestamptz UTC"),
        Case("timestamp(6)", "2038-01-19 03:14:07.999999", "2038-01-19 03:14:07.999999+00"),
        Case("time", "23:59:59", "23:59:59"), Case("time", "24:00:00", "!time-beyond-a-day"),
        Case("time", "-01:00:00", "!time-beyond-a-day"), Case("time", "838:59:59", "838:59:59", rule: "interval"),
        Case("time(3)", "-26:03:04.500", "-26:03:04.5", rule: "interval"),
    ]

    private static let others = [
        Case("varbinary(4)", [0, 255, 10], "\\x00ff0a"),
        Case("binary(16)", Array(0..<16), "00010203-0405-0607-0809-0a0b0c0d0e0f", rule: "uuid"),
        Case("binary(16)", Array(0..<16), "04050607-0203-0001-0809-0a0b0c0d0e0f", rule: "uuid-swapped"),
        Case("json", "{\"b\": 1.0, \"a\": [1e2]}", "{\"b\": 1.0, \"a\": [1e2]}"),
        Case("json", "{\"a\": \"x\\u0000y\"}", "!nul-in-json"), Case("json", "{\"a\": }", "!bad-json"),
        Case("json", "{\"b\":1,\"a\":2}", "{\"b\":1,\"a\":2}", rule: "text"),
    ]

    @Test(arguments: [
        ("{\"b\":1,\"a\":2}", "{\"a\": 2, \"b\": 1}"), ("[1.50, 1e2, -0]", "[1.5, 100, 0]"),
        ("{\"a\":1,\"a\":2}", "{\"a\": 2}"), ("\"\\u00e9\\n\\/\"", "\"é\\n/\""), ("\"\\ud83d\\ude00\"", "\"😀\""),
    ]) func jsonIsComparedByValue(_ source: String, _ stored: String) {
        var (one, other): ([UInt8], [UInt8]) = ([], [])
        let first = Array(source.utf8).withUnsafeBytes { MyJSON.canonical($0, into: &one) }
        let second = Array(stored.utf8).withUnsafeBytes { MyJSON.canonical($0, into: &other) }
        #expect(first == nil && second == nil && one == other)
    }

    @Test(
        arguments: [
            ("`a` + 1 > 0 and `b` <> 'x'", "(((\"a\" + 1) > 0) AND (\"b\" <> 'x'))"),
            ("concat(`a`,_utf8mb4' it\\'s ',`b`)", "((\"a\")::text || (' it''s ')::text || (\"b\")::text)"),
            ("`a` in (1,2) or `b` is null", "((\"a\" IN (1, 2)) OR (\"b\" IS NULL))"),
            ("sleep(5)", nil), ("`nobody` > 1", nil), ("`a`); DROP TABLE x; --", nil), ("`a` / 2", nil),
        ] as [(String, String?)])
    func expressionsAreTranslatedOrLeft(_ source: String, _ expected: String?) {
        var table = MyTable(
            name: "t", engine: "", type: "", estimatedRows: 0, bytes: 0, nextValue: nil, comment: "",
            isPartitioned: false)
        table.columns = ["a", "b"].map { name in
            var column = Case("int", "", "").column
            column.name = name
            return column
        }
        #expect(MyExpression.translate(source, of: table) == expected)
    }

    @Test(arguments: [
        (
            "GRANT SELECT, INSERT (`a`, `b`), UPDATE ON `shop`.* TO `app`@`%`", "shop", true,
            ["INSERT (`a`, `b`)", "UPDATE"]
        ),
        ("GRANT ALL PRIVILEGES ON `sh\\_p`.* TO `app`@`%` WITH GRANT OPTION", "sh_p", true, ["ALL PRIVILEGES"]),
        ("GRANT ALL PRIVILEGES ON `sh\\_p`.* TO `app`@`%`", "shop", false, ["ALL PRIVILEGES"]),
        ("GRANT INSERT ON `s%`.* TO `app`@`%`", "shop", true, ["INSERT"]),
        ("GRANT SELECT ON `shop`.`orders` TO `app`@`%`", "shop", true, []),
        ("GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `app`@`%`", "shop", true, ["EXECUTE"]),
        ("GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '*X'", "shop", true, []),
    ]) func grantsAreRead(_ line: String, _ database: String, _ reaches: Bool, _ writes: [String]) throws {
        let grant = try #require(MyGrant(line))
        #expect(grant.reaches(database) == reaches)
        #expect(grant.writes == writes)
    }
}
