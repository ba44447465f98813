/// A date, or a date with a clock, as MySQL writes it.
struct MyMoment {
    var year: Int
    var month: Int
    var day: Int
    var hour = 0
    var minute = 0
    var second = 0
    var micros = 0

    /// `2024-02-29`, `2024-02-29 10:00:00`, `2024-02-29 10:00:00.123456`; nil where it is none.
    init?(_ cell: UnsafeRawBufferPointer) {
        var reader = MyDigits(cell)
        guard let year = reader.number(), reader.skip("-"), let month = reader.number(), reader.skip("-"),
            let day = reader.number()
        else { return nil }
        (self.year, self.month, self.day) = (year, month, day)
        if reader.isAtEnd { return }
        guard reader.skip(" "), let hour = reader.number(), reader.skip(":"), let minute = reader.number(),
            reader.skip(":"), let second = reader.number(), let micros = reader.fraction(), reader.isAtEnd
        else { return nil }
        (self.hour, self.minute, self.second, self.micros) = (hour, minute, second, micros)
    }

    var isValid: Bool {
        (1...9999).contains(year) && (1...12).contains(month) && day >= 1
            && day <= MyCalendar.days(month, of: year) && hour < 24 && minute < 60 && second < 60
    }
    var isMidnight: Bool { hour == 0 && minute == 0 && second == 0 && micros == 0 }

    /// Seconds since 1970, the clock read as if it were UTC.
    var seconds: Int64 {
        get { MyCalendar.number(year, month, day) * 86_400 + Int64(hour * 3600 + minute * 60 + second) }
        set {
            let days = newValue >= 0 ? newValue / 86_400 : (newValue - 86_399) / 86_400
            (year, month, day) = MyCalendar.date(days)
            let rest = Int(newValue - days * 86_400)
            (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
        }
    }

    /// No digits beyond the target's.
    func fits(_ digits: Int) -> Bool { micros % MyDigits.power(6 - digits) == 0 }

    func date(into out: inout [UInt8]) {
        MyDigits.write(year, width: 4, into: &out)
        out.append(UInt8(ascii: "-"))
        MyDigits.write(month, width: 2, into: &out)
        out.append(UInt8(ascii: "-"))
        MyDigits.write(day, width: 2, into: &out)
    }

    /// A blank and the clock, as PostgreSQL writes it: no zeros at the end of the fraction.
    func clock(_ digits: Int, into out: inout [UInt8]) {
        out.append(UInt8(ascii: " "))
        MyClock(isNegative: false, seconds: hour * 3600 + minute * 60 + second, micros: micros).write(
            digits, into: &out)
    }
}

/// A TIME, which MySQL lets run from -838:59:59 to 838:59:59.
struct MyClock {
    var isNegative: Bool
    var seconds: Int
    var micros: Int

    init(isNegative: Bool, seconds: Int, micros: Int) {
        (self.isNegative, self.seconds, self.micros) = (isNegative, seconds, micros)
    }

    init?(_ cell: UnsafeRawBufferPointer) {
        var reader = MyDigits(cell)
        isNegative = reader.skip("-")
        guard let hour = reader.number(), reader.skip(":"), let minute = reader.number(), reader.skip(":"),
            let second = reader.number(), let micros = reader.fraction(), reader.isAtEnd
        else { return nil }
        seconds = hour * 3600 + minute * 60 + second
        self.micros = micros
        if seconds == 0, micros == 0 { isNegative = false }
    }

    func fits(_ digits: Int) -> Bool { micros % MyDigits.power(6 - digits) == 0 }

    func write(_ digits: Int, into out: inout [UInt8]) {
        if isNegative { out.append(UInt8(ascii: "-")) }
        MyDigits.write(seconds / 3600, width: 2, into: &out)
        out.append(UInt8(ascii: ":"))
        MyDigits.write(seconds / 60 % 60, width: 2, into: &out)
        out.append(UInt8(ascii: ":"))
        MyDigits.write(seconds % 60, width: 2, into: &out)
        var rest = micros / MyDigits.power(6 - digits) * MyDigits.power(6 - digits)
        guard rest > 0 else { return }
        out.append(UInt8(ascii: "."))
        var unit = 100_000
        while rest > 0 {
            out.append(UInt8(48 + rest / unit))
            rest %= unit
            unit /= 10
        }
    }
}

/// Reads and writes digits.
struct MyDigits {
    private let cell: UnsafeRawBufferPointer
    private var place = 0
    init(_ cell: UnsafeRawBufferPointer) { self.cell = cell }

    var isAtEnd: Bool { place == cell.count }

    mutating func number() -> Int? {
        let start = place
        var value = 0
        while place < cell.count, (48...57).contains(cell[place]), place - start < 9 {
            value = value * 10 + Int(cell[place] - 48)
            place += 1
        }
        return place > start ? value : nil
    }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard place < cell.count, UInt32(cell[place]) == character.value else { return false }
        place += 1
        return true
    }

    /// Millionths; 0 without a point, nil where more than six digits or none follow it.
    mutating func fraction() -> Int? {
        guard skip(".") else { return 0 }
        let start = place
        guard let value = number(), place - start <= 6 else { return nil }
        return value * Self.power(6 - (place - start))
    }

    static func power(_ digits: Int) -> Int {
        switch digits {
        case ..<1: 1
        case 1: 10
        case 2: 100
        case 3: 1000
        case 4: 10_000
        case 5: 100_000
        default: 1_000_000
        }
    }

    static func write(_ value: Int, width: Int, into out: inout [UInt8]) {
        var unit = 1
        for _ in 1..<width { unit *= 10 }
        while value / unit >= 10 { unit *= 10 }
        while unit > 0 {
            out.append(UInt8(48 + value / unit % 10))
            unit /= 10
        }
    }
}
