import BasculeModel

/// Reads a message from a stranger's bytes: every step is bounded by the message's own length.
struct DNSDecoder {
    private let bytes: [UInt8]
    private var position = 0
    /// Where the last record, a TSIG, begins; nil if there is none.
    private(set) var signatureStart: Int?

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Error: `protocol-violation`.
    mutating func message() throws -> DNSMessage {
        var message = DNSMessage(id: try number())
        let flags: UInt16 = try number()
        message.isResponse = flags & 0x8000 != 0
        message.operation = UInt8(flags >> 11 & 15)
        message.authoritative = flags & 0x0400 != 0
        message.truncated = flags & 0x0200 != 0
        message.recursionDesired = flags & 0x0100 != 0
        message.recursionAvailable = flags & 0x0080 != 0
        message.code = DNSResponseCode(rawValue: flags & 15)
        let counts: [UInt16] = try (0..<4).map { _ in try number() }
        for _ in 0..<counts[0] {
            let name = try self.name()
            message.questions.append(DNSQuestion(name: name, type: DNSType(rawValue: try number())))
            let _: UInt16 = try number()
        }
        message.answers = try records(counts[1])
        message.authority = try records(counts[2])
        message.additional = try records(counts[3])
        if message.additional.last?.type != .tsig { signatureStart = nil }
        return message
    }

    private mutating func records(_ count: UInt16) throws -> [DNSRecord] {
        // The smallest record has 11 bytes, so a lying count runs out of bytes soon.
        try (0..<count).map { _ in
            signatureStart = position
            return try record()
        }
    }

    private mutating func record() throws -> DNSRecord {
        let name = try self.name()
        let type = DNSType(rawValue: try number())
        let recordClass: UInt16 = try number()
        let ttl: UInt32 = try number()
        let length: UInt16 = try number()
        let end = position + Int(length)
        guard end <= bytes.count else { throw Self.broken("a record is longer than the message") }
        let data = try self.data(type, end: end)
        guard position == end else { throw Self.broken("a record's length is wrong") }
        // RFC 2181: a TTL with the top bit set counts as zero.
        let plain = type != .opt && ttl > UInt32(Int32.max) ? 0 : ttl
        return DNSRecord(name: name, ttl: plain, data: data, recordClass: recordClass)
    }

    private mutating func data(_ type: DNSType, end: Int) throws -> DNSData {
        // Empty data is proper in updates.
        if position == end { return .other(type, []) }
        switch type {
        case .a, .aaaa:
            guard let address = IPAddress(bytes: try take(end - position)), address.isIPv4 == (type == .a) else {
                throw Self.broken("an address has the wrong length")
            }
            return .address(address)
        case .cname: return .cname(try name())
        case .ns: return .ns(try name())
        case .ptr: return .ptr(try name())
        case .mx: return .mx(preference: try number(), try name())
        case .soa:
            let primary = try name()
            let mailbox = try name()
            let numbers: [UInt32] = try (0..<5).map { _ in try number() }
            return .soa(
                DNSStart(
                    primary: primary, mailbox: mailbox, serial: numbers[0], refresh: numbers[1], retry: numbers[2],
                    expire: numbers[3], minimum: numbers[4]))
        case .txt:
            var texts: [[UInt8]] = []
            while position < end { texts.append(try take(Int(try take(1)[0]))) }
            return .txt(texts)
        default: return .other(type, try take(end - position))
        }
    }

    mutating func number<Number: FixedWidthInteger>() throws -> Number {
        try take(Number.bitWidth / 8).reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
    }

    mutating func take(_ count: Int) throws -> [UInt8] {
        guard count >= 0, position + count <= bytes.count else { throw Self.broken("it ends too early") }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    /// A name, also a compressed one. Pointers may only lead backwards, so that a loop is impossible.
    mutating func name() throws -> DNSName {
        var labels: [[UInt8]] = []
        var length = 1
        var cursor = position
        var after: Int?
        var limit = position
        while true {
            guard cursor < bytes.count else { throw Self.broken("a name ends too early") }
            let head = Int(bytes[cursor])
            switch head {
            case 0:
                position = after ?? cursor + 1
                guard let name = DNSName(labels: labels) else { throw Self.broken("a name is too long") }
                return name
            case 1...63:
                guard cursor + 1 + head <= bytes.count else { throw Self.broken("a name ends too early") }
                labels.append(Array(bytes[cursor + 1..<cursor + 1 + head]))
                length += head + 1
                guard length <= 255 else { throw Self.broken("a name is too long") }
                cursor += 1 + head
            case 0xc0...0xff:
                guard cursor + 1 < bytes.count else { throw Self.broken("a name ends too early") }
                let target = (head & 0x3f) << 8 | Int(bytes[cursor + 1])
                guard target < limit else { throw Self.broken("a name points forward or at itself") }
                after = after ?? cursor + 2
                limit = target
                cursor = target
            default: throw Self.broken("a label has an unknown form")
            }
        }
    }

    static func broken(_ reason: String) -> BasculeError {
        BasculeError(.protocolViolation, "The DNS message is broken: \(reason)")
    }
}
