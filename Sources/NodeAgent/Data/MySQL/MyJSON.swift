/// JSON brought to one form: keys sorted by their bytes, the last of equal keys, no spaces, numbers without the ways of
/// writing them. Two texts that `jsonb` holds as equal have the same form.
struct MyJSON {
    private let bytes: UnsafeRawBufferPointer
    private var place = 0
    /// A string with a NUL, which `jsonb` cannot hold.
    private var hasNul = false

    private init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Appends the form of a text.
    static func canonical(_ text: UnsafeRawBufferPointer, into out: inout [UInt8]) -> MyReason? {
        var reader = MyJSON(text)
        reader.space()
        guard reader.value(&out, depth: 0) else { return reader.hasNul ? .nulInJSON : .badJSON }
        reader.space()
        return reader.place == text.count ? nil : .badJSON
    }

    private mutating func space() {
        while place < bytes.count, [9, 10, 13, 32].contains(bytes[place]) { place += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard place < bytes.count, bytes[place] == byte else { return false }
        place += 1
        return true
    }

    private mutating func value(_ out: inout [UInt8], depth: Int) -> Bool {
        guard depth < 512, place < bytes.count else { return false }
        switch bytes[place] {
        case UInt8(ascii: "{"): return object(&out, depth)
        case UInt8(ascii: "["): return array(&out, depth)
        case UInt8(ascii: "\""): return string(&out)
        case UInt8(ascii: "t"): return word("true", &out)
        case UInt8(ascii: "f"): return word("false", &out)
        case UInt8(ascii: "n"): return word("null", &out)
        default: return number(&out)
        }
    }

    private mutating func word(_ text: StaticString, _ out: inout [UInt8]) -> Bool {
        text.withUTF8Buffer { word in
            guard place + word.count <= bytes.count,
                zip(word, bytes[place..<place + word.count]).allSatisfy({ $0 == $1 })
            else { return false }
            place += word.count
            out.append(contentsOf: word)
            return true
        }
    }

    private mutating func array(_ out: inout [UInt8], _ depth: Int) -> Bool {
        place += 1
        out.append(UInt8(ascii: "["))
        space()
        if take(UInt8(ascii: "]")) {
            out.append(UInt8(ascii: "]"))
            return true
        }
        while true {
            space()
            guard value(&out, depth: depth + 1) else { return false }
            space()
            if take(UInt8(ascii: ",")) {
                out.append(UInt8(ascii: ","))
            } else {
                out.append(UInt8(ascii: "]"))
                return take(UInt8(ascii: "]"))
            }
        }
    }

    private mutating func object(_ out: inout [UInt8], _ depth: Int) -> Bool {
        place += 1
        var members: [[UInt8]: [UInt8]] = [:]
        space()
        if !take(UInt8(ascii: "}")) {
            while true {
                space()
                var key: [UInt8] = []
                var member: [UInt8] = []
                guard place < bytes.count, bytes[place] == UInt8(ascii: "\""), string(&key) else { return false }
                space()
                guard take(UInt8(ascii: ":")) else { return false }
                space()
                guard value(&member, depth: depth + 1) else { return false }
                members[key] = member
                space()
                if take(UInt8(ascii: ",")) { continue }
                guard take(UInt8(ascii: "}")) else { return false }
                break
            }
        }
        out.append(UInt8(ascii: "{"))
        for (index, key) in members.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }).enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            out.append(contentsOf: key)
            out.append(UInt8(ascii: ":"))
            out.append(contentsOf: members[key] ?? [])
        }
        out.append(UInt8(ascii: "}"))
        return true
    }

    /// Written back with the two escapes that cannot be left out, and control characters by number.
    private mutating func string(_ out: inout [UInt8]) -> Bool {
        place += 1
        out.append(UInt8(ascii: "\""))
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            switch byte {
            case UInt8(ascii: "\""):
                out.append(byte)
                return true
            case UInt8(ascii: "\\"):
                guard escape(&out) else { return false }
            case 0..<32: return false
            default: out.append(byte)
            }
        }
        return false
    }

    private mutating func escape(_ out: inout [UInt8]) -> Bool {
        guard place < bytes.count else { return false }
        let byte = bytes[place]
        place += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
        case UInt8(ascii: "/"): out.append(byte)
        case UInt8(ascii: "b"): Self.control(8, &out)
        case UInt8(ascii: "f"): Self.control(12, &out)
        case UInt8(ascii: "n"): Self.control(10, &out)
        case UInt8(ascii: "r"): Self.control(13, &out)
        case UInt8(ascii: "t"): Self.control(9, &out)
        case UInt8(ascii: "u"):
            guard var unit = hex() else { return false }
            if unit == 0 {
                hasNul = true
                return false
            }
            if (0xD800..<0xDC00).contains(unit) {
                guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")), let low = hex(),
                    (0xDC00..<0xE000).contains(low)
                else { return false }
                unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(unit) else { return false }
            if unit < 32 {
                Self.control(UInt8(unit), &out)
            } else if unit == 34 || unit == 92 {
                out += [UInt8(ascii: "\\"), UInt8(unit)]
            } else {
                out += Array(String(Character(scalar)).utf8)
            }
        default: return false
        }
        return true
    }

    private static func control(_ byte: UInt8, _ out: inout [UInt8]) {
        out += Array("\\u00".utf8)
        for half in [byte >> 4, byte & 15] { out.append(half < 10 ? 48 + half : 87 + half) }
    }

    private mutating func hex() -> UInt32? {
        guard place + 4 <= bytes.count else { return nil }
        let text = String(decoding: bytes[place..<place + 4], as: UTF8.self)
        place += 4
        return text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") })
            ? UInt32(text, radix: 16) : nil
    }

    /// Digits without zeros at either end, and the power of ten.
    private mutating func number(_ out: inout [UInt8]) -> Bool {
        let isNegative = take(UInt8(ascii: "-"))
        var digits: [UInt8] = []
        var power = 0
        let start = place
        while place < bytes.count, (48...57).contains(bytes[place]) {
            digits.append(bytes[place])
            place += 1
        }
        guard place > start else { return false }
        if take(UInt8(ascii: ".")) {
            let point = place
            while place < bytes.count, (48...57).contains(bytes[place]) {
                digits.append(bytes[place])
                place += 1
                power -= 1
            }
            guard place > point else { return false }
        }
        if place < bytes.count, bytes[place] | 32 == UInt8(ascii: "e") {
            place += 1
            let negative = take(UInt8(ascii: "-"))
            if !negative { _ = take(UInt8(ascii: "+")) }
            let begin = place
            while place < bytes.count, (48...57).contains(bytes[place]) { place += 1 }
            guard let exponent = Int(String(decoding: bytes[begin..<place], as: UTF8.self)) else { return false }
            power += negative ? -exponent : exponent
        }
        let leading = digits.prefix { $0 == 48 }.count
        digits.removeFirst(leading)
        while digits.last == 48 {
            digits.removeLast()
            power += 1
        }
        if digits.isEmpty {
            out.append(48)
            return true
        }
        if isNegative { out.append(UInt8(ascii: "-")) }
        out += digits
        if power != 0 { out += Array("e\(power)".utf8) }
        return true
    }
}
