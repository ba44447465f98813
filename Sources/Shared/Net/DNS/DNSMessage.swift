import BasculeModel

/// A question.
package struct DNSQuestion: Hashable, Sendable {
    package var name: DNSName
    package var type: DNSType
    package init(name: DNSName, type: DNSType) { (self.name, self.type) = (name, type) }
}

/// A DNS message (RFC 1035), a query, an answer or an update (RFC 2136, whose sections have other names).
package struct DNSMessage: Hashable, Sendable {
    package var id: UInt16
    package var isResponse = false
    /// 0 query, 5 update.
    package var operation: UInt8 = 0
    package var authoritative = false
    package var truncated = false
    package var recursionDesired = false
    package var recursionAvailable = false
    package var code = DNSResponseCode.noError
    /// The zone, in an update.
    package var questions: [DNSQuestion] = []
    /// The prerequisites, in an update.
    package var answers: [DNSRecord] = []
    /// The changes, in an update.
    package var authority: [DNSRecord] = []
    package var additional: [DNSRecord] = []

    package init(id: UInt16) { self.id = id }

    /// A query that announces room for 1232 bytes over UDP, what passes without fragments everywhere.
    static func query(_ question: DNSQuestion, recursionDesired: Bool) -> DNSMessage {
        var message = DNSMessage(id: .random(in: .min ... .max))
        message.recursionDesired = recursionDesired
        message.questions = [question]
        if let root = DNSName(labels: []) {
            message.additional = [DNSRecord(name: root, ttl: 0, data: .other(.opt, []), recordClass: 1232)]
        }
        return message
    }

    /// The records of a type at a name, along the CNAMEs in the answer, with the least TTL along the way.
    package func records(_ type: DNSType, at name: DNSName) -> (records: [DNSRecord], ttl: UInt32) {
        var current = name
        var ttl = UInt32.max
        // More links than records means a loop.
        for _ in 0...answers.count {
            let found = answers.filter { $0.name == current && $0.type == type }
            if !found.isEmpty { return (found, found.reduce(ttl) { min($0, $1.ttl) }) }
            let link = answers.lazy.compactMap { record -> (DNSName, UInt32)? in
                guard record.name == current, case .cname(let target) = record.data else { return nil }
                return (target, record.ttl)
            }.first
            guard let link else { break }
            current = link.0
            ttl = min(ttl, link.1)
        }
        return ([], 0)
    }

    /// As bytes, names not compressed.
    func encoded() -> [UInt8] {
        var flags = UInt16(operation & 15) << 11 | code.rawValue & 15
        flags |= isResponse ? 0x8000 : 0
        flags |= authoritative ? 0x0400 : 0
        flags |= truncated ? 0x0200 : 0
        flags |= recursionDesired ? 0x0100 : 0
        flags |= recursionAvailable ? 0x0080 : 0
        let counts = [questions.count, answers.count, authority.count, additional.count]
        var bytes = id.bytes + flags.bytes + counts.flatMap { UInt16(clamping: $0).bytes }
        for question in questions { bytes += question.name.wire + question.type.rawValue.bytes + UInt16(1).bytes }
        for record in answers + authority + additional { bytes += record.encoded() }
        return bytes
    }
}

extension DNSRecord {
    func encoded() -> [UInt8] {
        let content = data.encoded()
        return name.wire + type.rawValue.bytes + recordClass.bytes + ttl.bytes + UInt16(clamping: content.count).bytes
            + content
    }
}

extension DNSData {
    func encoded() -> [UInt8] {
        switch self {
        case .address(let address): address.bytes
        case .cname(let name), .ns(let name), .ptr(let name): name.wire
        case .mx(let preference, let name): preference.bytes + name.wire
        case .soa(let start):
            start.primary.wire + start.mailbox.wire
                + [start.serial, start.refresh, start.retry, start.expire, start.minimum].flatMap(\.bytes)
        case .txt(let texts): texts.flatMap { [UInt8(clamping: $0.count)] + $0.prefix(255) }
        case .other(_, let bytes): bytes
        }
    }
}

extension FixedWidthInteger {
    /// In network order.
    var bytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}
