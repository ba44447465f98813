import BasculePostgres

/// A type of the target.
struct MyTarget: Equatable {
    /// As PostgreSQL's catalog names it: `int4`, `bpchar`, `_text`, `enum`.
    var base: String
    /// Characters, digits or bits.
    var length: Int?
    var scale: Int?
    /// For `enum`: its labels in order, and its own name, quoted.
    var labels: [String] = []
    var name = ""

    init(_ base: String, _ length: Int? = nil, scale: Int? = nil) {
        (self.base, self.length, self.scale) = (base, length, scale)
    }

    var ddl: String {
        let digits = length.map { scale == nil ? "(\($0))" : "(\($0),\(scale ?? 0))" } ?? ""
        switch base {
        case "enum": return name
        case "_text": return "text[]"
        case "bpchar": return "character\(digits)"
        case "timestamptz": return "timestamp\(digits) with time zone"
        case "int2": return "smallint"
        case "int4": return "integer"
        case "int8": return "bigint"
        case "float4": return "real"
        case "float8": return "double precision"
        case "bool": return "boolean"
        default: return base + digits
        }
    }
}

/// The declared default of each MySQL type, and what a rule makes of it.
enum MyDefaults {
    static func target(_ column: MyColumn, _ rule: MyRule) -> MyTarget? {
        if let word = rule.type { return ruled(word, column) }
        if column.isJSON { return MyTarget("jsonb") }
        let width = column.columnType.lowercased()
        switch column.dataType {
        case "tinyint": return MyTarget(width.hasPrefix("tinyint(1)") && !column.countsByItself ? "bool" : "int2")
        case "smallint": return MyTarget(column.isUnsigned ? "int4" : "int2")
        case "mediumint": return MyTarget("int4")
        case "int", "integer": return MyTarget(column.isUnsigned ? "int8" : "int4")
        case "bigint": return MyTarget("int8")
        case "decimal", "numeric": return MyTarget("numeric", column.precision, scale: column.scale)
        case "float": return MyTarget("float4")
        case "double", "real": return MyTarget("float8")
        case "bit": return column.precision == 1 ? MyTarget("bool") : MyTarget("bit", column.precision)
        case "year": return MyTarget("int2")
        case "date": return MyTarget("date")
        case "datetime": return MyTarget("timestamp", column.fraction)
        case "timestamp": return MyTarget("timestamptz", column.fraction)
        case "time": return MyTarget("time", column.fraction)
        case "char": return MyTarget("bpchar", max(1, Int(column.length)))
        case "varchar": return column.length > 0 ? MyTarget("varchar", Int(column.length)) : MyTarget("text")
        case "tinytext", "text", "mediumtext", "longtext": return MyTarget("text")
        case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob": return MyTarget("bytea")
        case "uuid": return MyTarget("uuid")
        case "inet4", "inet6": return MyTarget("inet")
        case "set": return MyTarget("_text")
        case "enum":
            var target = MyTarget("enum")
            target.labels = column.labels
            return target
        default: return nil
        }
    }

    private static func ruled(_ word: String, _ column: MyColumn) -> MyTarget? {
        switch word {
        case "boolean": MyTarget("bool")
        case "smallint": MyTarget("int2")
        case "integer": MyTarget("int4")
        case "bigint": MyTarget("int8")
        case "numeric":
            column.dataType == "decimal"
                ? MyTarget("numeric", column.precision, scale: column.scale) : MyTarget("numeric", 20, scale: 0)
        case "real": MyTarget("float4")
        case "double": MyTarget("float8")
        case "text", "wkt": MyTarget("text")
        case "varchar": MyTarget("varchar", max(1, Int(column.length)))
        case "char": MyTarget("bpchar", max(1, Int(column.length)))
        case "bytea", "wkb": MyTarget("bytea")
        case "uuid", "uuid-swapped": MyTarget("uuid")
        case "timestamp", "timestamptz", "time": MyTarget(word, column.dataType == "date" ? 0 : column.fraction)
        case "bit": MyTarget("bit", max(1, column.precision))
        case "array": MyTarget("_text")
        case "enum":
            {
                var target = MyTarget("enum")
                target.labels = column.labels
                return target
            }()
        default: MyTarget(word)
        }
    }
}

/// Whether, and how, values of a source's column go into a type of the target.
enum MyFit {
    static func kind(_ column: MyColumn, _ target: MyTarget, _ rule: MyRule) -> MyKind? {
        switch column.isJSON ? "json" : column.dataType {
        case "tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year": integer(column, target, rule)
        case "decimal", "numeric": decimal(column, target)
        case "float", "double", "real": float(column, target)
        case "bit": bit(column, target)
        case "date", "datetime", "timestamp": moment(column, target)
        case "time": time(target)
        case "char", "varchar", "tinytext", "text", "mediumtext", "longtext": text(column, target)
        case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob": bytes(target, rule)
        case "json": json(target)
        case "enum": label(target)
        case "set": target.base == "_text" ? .array : plainText(target)
        case "uuid": target.base == "uuid" ? .uuid : plainText(target)
        case "inet4", "inet6": target.base == "inet" ? .inet : plainText(target)
        case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
            "geometrycollection":
            target.base == "text" ? .text(limit: nil) : target.base == "bytea" ? .bytes : nil
        default: nil
        }
    }

    /// What is selected at the source, so that the text says the whole value.
    static func select(_ column: MyColumn, _ kind: MyKind, _ rule: MyRule) -> String {
        let name =
            "`" + column.name.split(separator: "`", omittingEmptySubsequences: false).joined(separator: "``") + "`"
        switch column.dataType {
        // As text it would be cut to six digits.
        case "float": return "\(name) + 0E0"
        case "bit" where kind == .bits: return "LPAD(BIN(\(name) + 0), \(column.precision), '0')"
        case "bit" where kind != .bitBoolean: return "\(name) + 0"
        case "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
            "geometrycollection":
            return kind == .bytes ? "ST_AsBinary(\(name))" : "ST_AsText(\(name))"
        default: return name
        }
    }

    private static func integer(_ column: MyColumn, _ target: MyTarget, _ rule: MyRule) -> MyKind? {
        switch target.base {
        case "bool": .boolean(loose: rule.says("nonzero"))
        case "int2": .integer(min: Int64(Int16.min), max: Int64(Int16.max))
        case "int4": .integer(min: Int64(Int32.min), max: Int64(Int32.max))
        case "int8": .integer(min: .min, max: .max)
        case "numeric": .decimal(precision: target.length, scale: target.scale)
        case "text", "varchar": column.isUnsigned && column.dataType == "bigint" ? .unsigned : plainText(target)
        default: nil
        }
    }

    private static func decimal(_ column: MyColumn, _ target: MyTarget) -> MyKind? {
        switch target.base {
        case "numeric": .decimal(precision: target.length, scale: target.scale)
        case "int8" where column.scale == 0: .integer(min: .min, max: .max)
        case "int4" where column.scale == 0: .integer(min: Int64(Int32.min), max: Int64(Int32.max))
        default: plainText(target)
        }
    }

    private static func float(_ column: MyColumn, _ target: MyTarget) -> MyKind? {
        switch target.base {
        case "float8": .float8
        case "float4" where column.dataType == "float": .float4
        default: nil
        }
    }

    private static func bit(_ column: MyColumn, _ target: MyTarget) -> MyKind? {
        switch target.base {
        case "bool" where column.precision == 1: .bitBoolean
        case "bit" where target.length == column.precision: .bits
        case "varbit" where (target.length ?? .max) >= column.precision: .bits
        case "numeric": .decimal(precision: target.length, scale: target.scale)
        case "int8": .integer(min: .min, max: .max)
        case "int4": .integer(min: Int64(Int32.min), max: Int64(Int32.max))
        default: nil
        }
    }

    private static func moment(_ column: MyColumn, _ target: MyTarget) -> MyKind? {
        switch target.base {
        case "date" where column.dataType == "date": .date
        case "timestamp": .timestamp(target.length ?? 6)
        case "timestamptz": .moment(target.length ?? 6, zone: column.dataType != "timestamp")
        default: nil
        }
    }

    private static func time(_ target: MyTarget) -> MyKind? {
        switch target.base {
        case "time": .time(target.length ?? 6)
        case "interval": .interval
        default: plainText(target)
        }
    }

    private static func text(_ column: MyColumn, _ target: MyTarget) -> MyKind? {
        switch target.base {
        case "uuid": .uuid
        case "jsonb": .jsonb
        case "inet": .inet
        case "enum": .enumeration(Set(target.labels.map { Array($0.utf8) }))
        case "bytea": .bytes
        default: plainText(target)
        }
    }

    private static func bytes(_ target: MyTarget, _ rule: MyRule) -> MyKind? {
        switch target.base {
        case "bytea": .bytes
        case "uuid": .uuidBytes(swapped: rule.type == "uuid-swapped")
        default: nil
        }
    }

    private static func json(_ target: MyTarget) -> MyKind? { target.base == "jsonb" ? .jsonb : plainText(target) }

    private static func label(_ target: MyTarget) -> MyKind? {
        target.base == "enum" ? .enumeration(Set(target.labels.map { Array($0.utf8) })) : plainText(target)
    }

    private static func plainText(_ target: MyTarget) -> MyKind? {
        switch target.base {
        case "text", "citext", "json": .text(limit: nil)
        case "varchar": .text(limit: target.length)
        case "bpchar": .char(limit: target.length ?? 1)
        default: nil
        }
    }
}
