/// A type of DNS record.
package struct DNSType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package static let a = DNSType(rawValue: 1)
    package static let ns = DNSType(rawValue: 2)
    package static let cname = DNSType(rawValue: 5)
    package static let soa = DNSType(rawValue: 6)
    package static let ptr = DNSType(rawValue: 12)
    package static let mx = DNSType(rawValue: 15)
    package static let txt = DNSType(rawValue: 16)
    package static let aaaa = DNSType(rawValue: 28)
    package static let any = DNSType(rawValue: 255)
    static let opt = DNSType(rawValue: 41)
    static let tsig = DNSType(rawValue: 250)
    package var description: String {
        let names: [UInt16: String] = [
            1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 255: "ANY",
        ]
        return names[rawValue] ?? "TYPE\(rawValue)"
    }
}

/// The start of a zone.
package struct DNSStart: Hashable, Sendable {
    package var primary: DNSName
    package var mailbox: DNSName
    package var serial: UInt32
    /// Seconds, as `minimum`, which is how long an answer "there is none" may be kept.
    package var refresh: UInt32
    package var retry: UInt32
    package var expire: UInt32
    package var minimum: UInt32
}

/// What a record says.
package enum DNSData: Hashable, Sendable {
    /// An A or an AAAA record, by the address's family.
    case address(IPAddress)
    case cname(DNSName)
    case ns(DNSName)
    case ptr(DNSName)
    case mx(preference: UInt16, DNSName)
    case soa(DNSStart)
    case txt([[UInt8]])
    case other(DNSType, [UInt8])

    package var type: DNSType {
        switch self {
        case .address(let address): address.isIPv4 ? .a : .aaaa
        case .cname: .cname
        case .ns: .ns
        case .ptr: .ptr
        case .mx: .mx
        case .soa: .soa
        case .txt: .txt
        case .other(let type, _): type
        }
    }
}

/// A record of class IN, unless an update says otherwise.
package struct DNSRecord: Hashable, Sendable {
    package var name: DNSName
    /// Seconds.
    package var ttl: UInt32
    package var data: DNSData
    var recordClass: UInt16 = 1

    package init(name: DNSName, ttl: UInt32, data: DNSData) {
        (self.name, self.ttl, self.data) = (name, ttl, data)
    }

    init(name: DNSName, ttl: UInt32, data: DNSData, recordClass: UInt16) {
        (self.name, self.ttl, self.data, self.recordClass) = (name, ttl, data, recordClass)
    }

    package var type: DNSType { data.type }
}

/// What a server says about a request.
package struct DNSResponseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package static let noError = DNSResponseCode(rawValue: 0)
    package static let formatError = DNSResponseCode(rawValue: 1)
    package static let serverFailure = DNSResponseCode(rawValue: 2)
    package static let noSuchName = DNSResponseCode(rawValue: 3)
    package static let notImplemented = DNSResponseCode(rawValue: 4)
    package static let refused = DNSResponseCode(rawValue: 5)
    package static let nameExists = DNSResponseCode(rawValue: 6)
    package static let setExists = DNSResponseCode(rawValue: 7)
    package static let noSuchSet = DNSResponseCode(rawValue: 8)
    package static let notAuthorized = DNSResponseCode(rawValue: 9)
    package static let notInZone = DNSResponseCode(rawValue: 10)
    package static let badSignature = DNSResponseCode(rawValue: 16)
    package static let badKey = DNSResponseCode(rawValue: 17)
    package static let badTime = DNSResponseCode(rawValue: 18)
    package var description: String {
        let names: [UInt16: String] = [
            0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN",
            7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 16: "BADSIG", 17: "BADKEY", 18: "BADTIME",
        ]
        return names[rawValue] ?? "RCODE\(rawValue)"
    }
}
