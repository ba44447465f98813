/// Reads the fields of SSH messages. Every read is bounded; nil means that the bytes are not there.
struct WireReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position >= bytes.count }

    mutating func byte() -> UInt8? {
        guard position < bytes.count else { return nil }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func number() -> UInt32? {
        guard bytes.count - position >= 4 else { return nil }
        defer { position += 4 }
        return bytes[position..<position + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    mutating func string() -> [UInt8]? {
        let start = position
        guard let length = number(), Int(length) <= bytes.count - position else {
            position = start
            return nil
        }
        defer { position += Int(length) }
        return Array(bytes[position..<position + Int(length)])
    }

    mutating func text() -> String? { string().map { String(decoding: $0, as: UTF8.self) } }

    mutating func skip(_ count: Int) { position = min(bytes.count, position + count) }
}

/// Writes the fields of SSH messages.
struct WireWriter {
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { bytes.append(value) }
    mutating func number(_ value: UInt32) { bytes += (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
    mutating func string(_ value: [UInt8]) {
        number(UInt32(value.count))
        bytes += value
    }
}

/// What a server offers, from its plain-text KEXINIT: read only to say why there is nothing in common.
struct KexOffer {
    var keyExchanges: [String] = []
    var hostKeys: [String] = []
    var ciphers: [String] = []
    var macs: [String] = []

    /// `bytes` start right after the banner's line end.
    init?(_ bytes: [UInt8]) {
        var reader = WireReader(bytes)
        guard let length = reader.number(), length < 40_000, reader.byte() != nil, reader.byte() == 20 else {
            return nil
        }
        reader.skip(16)
        func names(_ text: String) -> [String] { text.split(separator: ",").prefix(64).map(String.init) }
        guard let kex = reader.text(), let host = reader.text(), let up = reader.text(), reader.text() != nil,
            let mac = reader.text()
        else { return nil }
        (keyExchanges, hostKeys, ciphers, macs) = (names(kex), names(host), names(up), names(mac))
    }
}
