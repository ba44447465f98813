/// How one column's values go over: the source's text, the target's text, and the canonical form that both sides share.
enum MyKind: Equatable {
    case integer(min: Int64, max: Int64)
    /// An unsigned 64-bit number, exactly.
    case unsigned
    /// From a number; `loose` takes every other number for true.
    case boolean(loose: Bool)
    /// From BIT(1).
    case bitBoolean
    /// Digits before and after the point; nil is any.
    case decimal(precision: Int?, scale: Int?)
    case float4, float8
    /// Characters at most; nil is any.
    case text(limit: Int?)
    /// Blanks at the end do not count.
    case char(limit: Int)
    case enumeration(Set<[UInt8]>)
    /// A set as an array of text.
    case array
    /// Compared by value, since `jsonb` keeps neither order nor spaces.
    case jsonb
    case bytes
    /// 16 bytes as a UUID; `swapped` as UUID_TO_BIN(…, 1) writes it.
    case uuidBytes(swapped: Bool)
    case uuid
    case date
    /// A wall clock, with digits after the second's point.
    case timestamp(Int)
    /// A moment; the source's text is UTC, or a wall clock in the zone.
    case moment(Int, zone: Bool)
    case time(Int)
    /// Hours may be many and negative.
    case interval
    case bits
    case inet
}

/// Why a value is not taken. The words are stable: reports and documentation use them.
enum MyReason: String {
    case zeroDate = "zero-date"
    case invalidDate = "invalid-date"
    case outOfRange = "out-of-range"
    case notBoolean = "not-boolean"
    case nulByte = "nul-byte"
    case invalidText = "invalid-utf8"
    case doubleEncoded = "double-encoded"
    case tooLong = "too-long"
    case tooLarge = "too-large"
    case fractionLost = "fraction-lost"
    case beyondADay = "time-beyond-a-day"
    case emptyEnum = "empty-enum"
    case unknownLabel = "unknown-label"
    case dstGap = "time-skipped-by-dst"
    case dstOverlap = "time-doubled-by-dst"
    case unknownZone = "zone-unknown-for-this-year"
    case badJSON = "bad-json"
    case nulInJSON = "nul-in-json"
    case badUUID = "bad-uuid"
    case unexpected = "unexpected-value"
    case wouldBeNull = "null-not-allowed"

    /// What the fleet file may say about it.
    var hint: String {
        switch self {
        case .zeroDate, .invalidDate: "rule zero-null makes it NULL; or correct the rows"
        case .outOfRange: "rule numeric (or a wider type) for the column"
        case .notBoolean: "rule smallint keeps the numbers, rule nonzero takes them for true"
        case .nulByte, .nulInJSON: "rule strip-nul leaves the bytes out, rule bytea or text keeps them"
        case .invalidText: "correct the rows, or rule bytea keeps the bytes"
        case .doubleEncoded: "rule repair decodes it once more, rule keep takes it as it is"
        case .tooLong: "widen the target's column"
        case .tooLarge: "PostgreSQL holds values up to 1 GB"
        case .fractionLost: "rule truncate drops the digits; or widen the target's column"
        case .beyondADay: "rule interval for the column"
        case .emptyEnum: "rule empty-null makes it NULL, rule text keeps it"
        case .unknownLabel: "add the label to the target's type, or rule text"
        case .dstGap, .dstOverlap, .unknownZone: "correct the rows, or rule timestamp keeps the wall clock"
        case .badJSON: "rule text for the column"
        case .badUUID: "rule text or bytea for the column"
        case .unexpected: "look at the value"
        case .wouldBeNull: "the target's column must take NULL"
        }
    }
}
