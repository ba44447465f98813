/// Numbers as both servers write them.
enum MyNumber {
    static func integer(_ cell: UnsafeRawBufferPointer) -> Int64? {
        var place = 0
        let isNegative = cell.first == UInt8(ascii: "-")
        if isNegative { place = 1 }
        guard place < cell.count else { return nil }
        var value: Int64 = 0
        while place < cell.count {
            guard (48...57).contains(cell[place]) else { return nil }
            let (shifted, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, beyond) = shifted.subtractingReportingOverflow(Int64(cell[place] - 48))
            guard !over, !beyond else { return nil }
            value = sum
            place += 1
        }
        guard isNegative || value != Int64.min else { return nil }
        return isNegative ? value : -value
    }

    /// The canonical form has no zeros that say nothing, so that 1.50 and 1.5 are the same.
    static func decimal(
        _ cell: UnsafeRawBufferPointer, precision: Int?, scale: Int?, truncate: Bool, canon: inout [UInt8],
        text: inout [UInt8]
    ) -> MyConverter.Outcome {
        var digits = cell[...]
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative { digits = digits.dropFirst() }
        let point = digits.firstIndex(of: UInt8(ascii: ".")) ?? digits.endIndex
        let whole = digits[..<point].drop { $0 == 48 }
        var part = digits[point...].dropFirst()
        while part.last == 48 { part = part.dropLast() }
        guard !digits.isEmpty, whole.allSatisfy({ (48...57).contains($0) }),
            part.allSatisfy({ (48...57).contains($0) })
        else { return .refused(.unexpected) }
        if let scale, part.count > scale {
            guard truncate else { return .refused(.fractionLost) }
            part = part.prefix(max(0, scale))
            while part.last == 48 { part = part.dropLast() }
        }
        if let precision, whole.count > precision - (scale ?? 0) { return .refused(.outOfRange) }
        if isNegative, !whole.isEmpty || !part.isEmpty { canon.append(UInt8(ascii: "-")) }
        if whole.isEmpty { canon.append(48) } else { canon.append(contentsOf: whole) }
        if !part.isEmpty {
            canon.append(UInt8(ascii: "."))
            canon.append(contentsOf: part)
        }
        return .same
    }

    /// The canonical form is the number's bits.
    static func float(
        _ cell: UnsafeRawBufferPointer, single: Bool, canon: inout [UInt8], text: inout [UInt8]
    ) -> MyConverter.Outcome {
        guard let value = Double(String(decoding: cell, as: UTF8.self)) else { return .refused(.unexpected) }
        text.removeAll(keepingCapacity: true)
        if single {
            let narrow = Float(value)
            guard narrow.isFinite else { return .refused(.outOfRange) }
            text += Array("\(narrow)".utf8)
            withUnsafeBytes(of: narrow.bitPattern.bigEndian) { canon.append(contentsOf: $0) }
        } else {
            text.append(contentsOf: cell)
            withUnsafeBytes(of: value.bitPattern.bigEndian) { canon.append(contentsOf: $0) }
        }
        return .other
    }
}

/// Texts and bytes as both servers write them.
enum MyText {
    private static let digits = Array("0123456789abcdef".utf8)

    /// `\x0aff`
    static func hex(_ bytes: UnsafeRawBufferPointer, into out: inout [UInt8]) {
        out.reserveCapacity(out.count + 2 + bytes.count * 2)
        out.append(UInt8(ascii: "\\"))
        out.append(UInt8(ascii: "x"))
        for byte in bytes {
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
    }

    static func unhex(_ text: UnsafeRawBufferPointer, into out: inout [UInt8]) {
        func value(_ byte: UInt8) -> UInt8 { byte < 58 ? byte &- 48 : (byte | 32) &- 87 }
        var place = 2
        while place + 1 < text.count {
            out.append(value(text[place]) << 4 | value(text[place + 1]))
            place += 2
        }
    }

    static func uuid(_ bytes: UnsafeRawBufferPointer, swapped: Bool, into out: inout [UInt8]) {
        let order = swapped ? [4, 5, 6, 7, 2, 3, 0, 1] + Array(8..<16) : Array(0..<16)
        for (index, place) in order.enumerated() {
            if [4, 6, 8, 10].contains(index) { out.append(UInt8(ascii: "-")) }
            out.append(digits[Int(bytes[place] >> 4)])
            out.append(digits[Int(bytes[place] & 15)])
        }
    }

    /// A UUID in any of the ways it is written, in lower case with its dashes.
    static func uuid(text: UnsafeRawBufferPointer, into out: inout [UInt8]) -> Bool {
        var found: [UInt8] = []
        for byte in text where byte != UInt8(ascii: "-") {
            let lower = (65...90).contains(byte) ? byte | 32 : byte
            guard (48...57).contains(lower) || (97...102).contains(lower) else { return false }
            found.append(lower)
        }
        guard found.count == 32 else { return false }
        for (index, digit) in found.enumerated() {
            if [8, 12, 16, 20].contains(index) { out.append(UInt8(ascii: "-")) }
            out.append(digit)
        }
        return true
    }

    /// `a,b` as the text of an array, quoted exactly as PostgreSQL quotes it.
    static func array(_ cell: UnsafeRawBufferPointer, into out: inout [UInt8]) {
        out.append(UInt8(ascii: "{"))
        if !cell.isEmpty {
            for (index, member) in cell.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
                .enumerated()
            {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                let isWord = String(decoding: member, as: UTF8.self).lowercased() == "null"
                let needsQuotes =
                    member.isEmpty || isWord || member.contains { "{}\"\\ \t\n\r\u{0B}\u{0C}".utf8.contains($0) }
                if needsQuotes { out.append(UInt8(ascii: "\"")) }
                for byte in member {
                    if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { out.append(UInt8(ascii: "\\")) }
                    out.append(byte)
                }
                if needsQuotes { out.append(UInt8(ascii: "\"")) }
            }
        }
        out.append(UInt8(ascii: "}"))
    }

    /// The scalars of strict UTF-8, or nil.
    static func scalars(_ bytes: ArraySlice<UInt8>) -> [Unicode.Scalar]? {
        var scalars: [Unicode.Scalar] = []
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): scalars.append(scalar)
            case .emptyInput: return scalars
            case .error: return nil
            }
        }
    }

    /// The UTF-8 that a text was before somebody took it for latin1 (MySQL's is Windows-1252) and encoded it again; nil
    /// where the text cannot have come about that way.
    static func decodedOnceMore(_ scalars: [Unicode.Scalar]) -> [UInt8]? {
        var bytes: [UInt8] = []
        var isPlain = true
        for scalar in scalars {
            switch scalar.value {
            case 0..<0x80: bytes.append(UInt8(scalar.value))
            case 0xA0...0xFF, 0x81, 0x8D, 0x8F, 0x90, 0x9D:
                bytes.append(UInt8(scalar.value))
                isPlain = false
            default:
                guard let place = windows.firstIndex(of: scalar.value) else { return nil }
                bytes.append(UInt8(0x80 + place))
                isPlain = false
            }
        }
        guard !isPlain, Self.scalars(bytes[...]) != nil else { return nil }
        return bytes
    }

    /// Windows-1252 from 0x80 to 0x9F; 0 where it has nothing.
    private static let windows: [UInt32] = [
        0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0,
        0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E,
        0x0178,
    ]

    /// Appends a value with the escapes of COPY's text format.
    static func escape(_ bytes: some Sequence<UInt8>, into out: inout [UInt8]) {
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), UInt8(ascii: "\\")]
            case 10: out += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            case 13: out += [UInt8(ascii: "\\"), UInt8(ascii: "r")]
            case 9: out += [UInt8(ascii: "\\"), UInt8(ascii: "t")]
            default: out.append(byte)
            }
        }
    }

    /// A value for people: printable, cut, and quoted.
    static func shown(_ bytes: some Collection<UInt8>, limit: Int = 40) -> String {
        var text = "'"
        for scalar in String(decoding: bytes.prefix(limit), as: UTF8.self).unicodeScalars {
            switch scalar.value {
            case 0..<32, 127, 0x80..<0xA0, 0x200B...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF, 0xFFFD:
                text += "\\u{\(String(scalar.value, radix: 16))}"
            case 39, 92: text += "\\\(scalar)"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + (bytes.count > limit ? "'…" : "'")
    }
}
