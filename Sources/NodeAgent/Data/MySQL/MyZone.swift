import BasculeModel
import Glibc

/// One time zone's history, from the system's compiled data.
struct MyZone {
    private let transitions: [Int64]
    /// One more than transitions: before the first, after each.
    private let offsets: [Int]
    /// The rule after the last transition changes the clock twice a year, which is not followed.
    private let endsWithRule: Bool

    init(_ name: String, folder: String = "/usr/share/zoneinfo") throws {
        let parts = name.split(separator: "/")
        guard name.utf8.allSatisfy({ $0 > 32 && $0 < 127 }), !parts.contains(".."),
            let bytes = Self.read("\(folder)/\(name)"), let zone = Self(bytes)
        else {
            throw BasculeError(
                .invalidInput, "The time zone \(name) is not known on this node",
                hint: "Write it as in /usr/share/zoneinfo, for example Europe/Paris; the package tzdata holds them.")
        }
        self = zone
    }

    /// A TZif file of version 2 or later; nil where it is none.
    init?(_ data: [UInt8]) {
        func number(_ at: Int, _ size: Int) -> Int64? {
            guard at >= 0, at + size <= data.count else { return nil }
            let value = data[at..<at + size].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return size == 4 ? Int64(Int32(truncatingIfNeeded: value)) : Int64(bitPattern: value)
        }
        func counts(_ at: Int) -> [Int]? {
            let found = (0..<6).compactMap { number(at + 20 + $0 * 4, 4).map { Int($0) } }
            return found.count == 6 && found.allSatisfy { (0...100_000).contains($0) } ? found : nil
        }
        guard data.starts(with: Array("TZif".utf8)), data.count > 44, data[4] >= UInt8(ascii: "2"),
            let old = counts(0)
        else { return nil }
        // Header, then the old block: times, kinds, six bytes a type, names, leap seconds, two flags.
        let start = 44 + old[3] * 5 + old[4] * 6 + old[5] + old[2] * 8 + old[1] + old[0]
        guard let new = counts(start) else { return nil }
        let (times, types) = (new[3], new[4])
        let body = start + 44
        let kinds = body + times * 8
        let infos = kinds + times
        var transitions: [Int64] = []
        var offsets: [Int] = []
        guard types > 0, let first = number(infos, 4) else { return nil }
        offsets.append(Int(first))
        for index in 0..<times {
            guard let time = number(body + index * 8, 8), kinds + index < data.count,
                let offset = number(infos + Int(data[kinds + index]) * 6, 4)
            else { return nil }
            transitions.append(time)
            offsets.append(Int(offset))
        }
        let footer = infos + types * 6 + new[5] + new[2] * 12 + new[1] + new[0]
        (self.transitions, self.offsets) = (transitions, offsets)
        endsWithRule = footer < data.count && data[footer...].contains(UInt8(ascii: ","))
    }

    /// The moments (seconds since 1970) at which the zone's wall clock shows `wall` (the same count, read as if UTC):
    /// none in a gap, two in an overlap; nil where the data does not reach.
    func moments(_ wall: Int64) -> [Int64]? {
        if endsWithRule, let last = transitions.last, wall > last { return nil }
        var found: [Int64] = []
        // Offsets stay within a day, so only the neighbours of the wall clock's place can matter.
        var low = 0
        var high = transitions.count
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle] < wall - 172_800 { low = middle + 1 } else { high = middle }
        }
        var index = low
        while index <= transitions.count {
            let moment = wall - Int64(offsets[index])
            let begins = index == 0 ? Int64.min : transitions[index - 1]
            let ends = index == transitions.count ? Int64.max : transitions[index]
            if moment >= begins, moment < ends, !found.contains(moment) { found.append(moment) }
            if begins != .min, begins > wall + 172_800 { break }
            index += 1
        }
        return found
    }

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 262_144)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return count > 0 ? Array(bytes.prefix(count)) : nil
    }
}

/// The proleptic Gregorian calendar.
enum MyCalendar {
    static func days(_ month: Int, of year: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    /// Days since 1970-01-01.
    static func number(_ year: Int, _ month: Int, _ day: Int) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return Int64(era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468)
    }

    static func date(_ number: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = Int(number) + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * dayOfYear + 2) / 153
        let month = part < 10 ? part + 3 : part - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * part + 2) / 5 + 1)
    }
}
