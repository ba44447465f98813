import BasculeModel

/// Converts one column's values. Knows nothing of servers: text in, text and canonical form out.
struct MyConverter {
    let kind: MyKind
    let rule: MyRule
    /// Whether the target takes NULL, which some rules make.
    let takesNull: Bool
    let zone: MyZone?

    init(_ kind: MyKind, rule: MyRule = MyRule([]), takesNull: Bool = true) throws {
        (self.kind, self.rule, self.takesNull) = (kind, rule, takesNull)
        if case .moment(_, zone: true) = kind, let name = rule.zone, name != "UTC" {
            zone = try MyZone(name)
        } else {
            zone = nil
        }
    }

    enum Outcome: Equatable {
        /// The target's text is the canonical form.
        case same
        /// The target's text is in `text`.
        case other
        case null
        case refused(MyReason)
    }

    private static let largest = 512 << 20

    /// Appends the canonical form to `canon`; `text` is replaced where the target's text differs from it.
    func convert(_ cell: UnsafeRawBufferPointer, canon: inout [UInt8], text: inout [UInt8]) -> Outcome {
        guard cell.count <= Self.largest else { return .refused(.tooLarge) }
        switch kind {
        case .integer(let min, let max):
            guard let value = MyNumber.integer(cell) else { return .refused(.outOfRange) }
            guard value >= min, value <= max else { return .refused(.outOfRange) }
            canon.append(contentsOf: cell)
            return .same
        case .unsigned:
            canon.append(contentsOf: cell)
            return .same
        case .boolean(let loose):
            guard let value = MyNumber.integer(cell) else { return .refused(.notBoolean) }
            guard loose || value == 0 || value == 1 else { return .refused(.notBoolean) }
            canon.append(value == 0 ? UInt8(ascii: "f") : UInt8(ascii: "t"))
            return .same
        case .bitBoolean:
            canon.append(cell.contains { $0 != 0 } ? UInt8(ascii: "t") : UInt8(ascii: "f"))
            return .same
        case .decimal(let precision, let scale):
            return MyNumber.decimal(
                cell, precision: precision, scale: scale, truncate: rule.says("truncate"), canon: &canon, text: &text)
        case .float4, .float8: return MyNumber.float(cell, single: kind == .float4, canon: &canon, text: &text)
        case .text(let limit): return string(cell, limit: limit, canon: &canon)
        case .char(let limit):
            let end = cell.lastIndex { $0 != 32 }.map { $0 + 1 } ?? 0
            return string(UnsafeRawBufferPointer(rebasing: cell[..<end]), limit: limit, canon: &canon)
        case .enumeration(let labels):
            if cell.isEmpty, !labels.contains([]) { return nullOr(.emptyEnum, "empty-null") }
            guard labels.contains(Array(cell)) else { return .refused(.unknownLabel) }
            canon.append(contentsOf: cell)
            return .same
        case .array:
            MyText.array(cell, into: &canon)
            return .same
        case .jsonb: return json(cell, canon: &canon, text: &text)
        case .bytes:
            canon.append(contentsOf: cell)
            text.removeAll(keepingCapacity: true)
            MyText.hex(cell, into: &text)
            return .other
        case .uuidBytes(let swapped):
            guard cell.count == 16 else { return .refused(.badUUID) }
            MyText.uuid(cell, swapped: swapped, into: &canon)
            return .same
        case .uuid:
            guard MyText.uuid(text: cell, into: &canon) else { return .refused(.badUUID) }
            return .same
        case .date, .timestamp, .moment: return moment(cell, canon: &canon)
        case .time, .interval: return time(cell, canon: &canon)
        case .bits:
            canon.append(contentsOf: cell)
            return .same
        case .inet:
            canon.append(contentsOf: cell)
            return .same
        }
    }

    /// What the target stores, as its COPY text without escapes, brought to the canonical form.
    func canonical(stored cell: UnsafeRawBufferPointer, into canon: inout [UInt8]) {
        var scrap: [UInt8] = []
        let start = canon.count
        switch kind {
        case .decimal:
            _ = MyNumber.decimal(cell, precision: nil, scale: nil, truncate: false, canon: &canon, text: &scrap)
        case .float4, .float8: _ = MyNumber.float(cell, single: kind == .float4, canon: &canon, text: &scrap)
        case .char:
            let end = cell.lastIndex { $0 != 32 }.map { $0 + 1 } ?? 0
            canon.append(contentsOf: cell[..<end])
        case .jsonb:
            if MyJSON.canonical(cell, into: &canon) != nil {
                canon.removeSubrange(start...)
                canon.append(contentsOf: cell)
            }
        case .bytes: MyText.unhex(cell, into: &canon)
        default: canon.append(contentsOf: cell)
        }
    }

    private func nullOr(_ reason: MyReason, _ word: String) -> Outcome {
        guard rule.says(word) else { return .refused(reason) }
        return takesNull ? .null : .refused(.wouldBeNull)
    }

    private func string(_ cell: UnsafeRawBufferPointer, limit: Int?, canon: inout [UInt8]) -> Outcome {
        let start = canon.count
        var isPlain = true
        var hasNul = false
        for byte in cell {
            if byte >= 0x80 { isPlain = false }
            if byte == 0 { hasNul = true }
        }
        if hasNul {
            guard rule.says("strip-nul") else { return .refused(.nulByte) }
            canon.append(contentsOf: cell.lazy.filter { $0 != 0 })
        } else {
            canon.append(contentsOf: cell)
        }
        if !isPlain {
            guard let scalars = MyText.scalars(canon[start...]) else { return .refused(.invalidText) }
            if !rule.says("keep"), let decoded = MyText.decodedOnceMore(scalars) {
                guard rule.says("repair") else { return .refused(.doubleEncoded) }
                canon.removeSubrange(start...)
                canon.append(contentsOf: decoded)
            }
        }
        if let limit, canon.count - start > limit {
            let characters = canon[start...].count { $0 & 0xC0 != 0x80 }
            guard characters <= limit else { return .refused(.tooLong) }
        }
        return .same
    }

    private func json(_ cell: UnsafeRawBufferPointer, canon: inout [UInt8], text: inout [UInt8]) -> Outcome {
        let start = canon.count
        if cell.isEmpty { return nullOr(.badJSON, "empty-null") }
        guard MyText.scalars(Array(cell)[...]) != nil else { return .refused(.invalidText) }
        guard let reason = MyJSON.canonical(cell, into: &canon) else {
            text.removeAll(keepingCapacity: true)
            text.append(contentsOf: cell)
            return .other
        }
        canon.removeSubrange(start...)
        return .refused(reason)
    }

    // MARK: - Times

    private func moment(_ cell: UnsafeRawBufferPointer, canon: inout [UInt8]) -> Outcome {
        guard let parts = MyMoment(cell) else { return nullOr(.invalidDate, "zero-null") }
        guard parts.year > 0, parts.month > 0, parts.day > 0 else { return nullOr(.zeroDate, "zero-null") }
        guard parts.isValid else { return nullOr(.invalidDate, "zero-null") }
        switch kind {
        case .date:
            guard parts.isMidnight else { return .refused(.fractionLost) }
            parts.date(into: &canon)
            return .same
        case .timestamp(let digits):
            guard parts.fits(digits) || rule.says("truncate") else { return .refused(.fractionLost) }
            parts.date(into: &canon)
            parts.clock(digits, into: &canon)
            return .same
        case .moment(let digits, zone: let isWall):
            guard parts.fits(digits) || rule.says("truncate") else { return .refused(.fractionLost) }
            var utc = parts
            if isWall, let zone {
                guard let moments = zone.moments(parts.seconds) else { return .refused(.unknownZone) }
                guard let moment = moments.first else { return .refused(.dstGap) }
                guard moments.count == 1 else { return .refused(.dstOverlap) }
                utc.seconds = moment
            }
            utc.date(into: &canon)
            utc.clock(digits, into: &canon)
            canon += Array("+00".utf8)
            return .same
        default: return .refused(.unexpected)
        }
    }

    private func time(_ cell: UnsafeRawBufferPointer, canon: inout [UInt8]) -> Outcome {
        guard let parts = MyClock(cell) else { return .refused(.unexpected) }
        if case .time(let digits) = kind {
            guard !parts.isNegative, parts.seconds < 86_400 else { return .refused(.beyondADay) }
            guard parts.fits(digits) || rule.says("truncate") else { return .refused(.fractionLost) }
            parts.write(digits, into: &canon)
        } else {
            parts.write(6, into: &canon)
        }
        return .same
    }
}
