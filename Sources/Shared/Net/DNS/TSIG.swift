import BasculeModel
import FoundationEssentials

/// A key shared with a DNS server, for signatures by hmac-sha256 (RFC 8945).
package struct TSIGKey: Sendable {
    /// Computes HMAC-SHA-256: (key, message) → 32 bytes. An argument, because this module has no cryptography.
    package typealias MAC = @Sendable (_ key: [UInt8], _ message: [UInt8]) throws -> [UInt8]

    package let name: DNSName
    private let secret: Secret
    private static let fudge: UInt16 = 300

    /// `base64` is how BIND's key files write it. Errors: `invalid-input`.
    package init(name: String, base64: Secret) throws {
        guard let data = Data(base64Encoded: base64.reveal()), data.count >= 16 else {
            throw BasculeError(
                .invalidInput, "The secret of the TSIG key ‘\(name)’ is not base64 of at least 16 bytes",
                hint: "`tsig-keygen -a hmac-sha256 NAME` makes a good one.")
        }
        self.name = try DNSName(name)
        secret = Secret(bytes: Array(data))
    }

    /// From `NAME:BASE64` or `hmac-sha256:NAME:BASE64` (as `nsupdate -y` takes it). Errors: `invalid-input`.
    package init(text: Secret) throws {
        let parts = text.reveal().split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3 && parts[0] == "hmac-sha256" else {
            throw BasculeError(
                .invalidInput, "A TSIG key is written as [hmac-sha256:]NAME:BASE64",
                hint: "Only hmac-sha256 is supported.")
        }
        try self.init(name: String(parts[parts.count - 2]), base64: Secret(String(parts[parts.count - 1])))
    }

    enum Verdict: Equatable {
        case valid, unsigned
        case refused(DNSResponseCode)
    }

    /// The message with its signature, and the signature alone, which the answer's covers too.
    func sign(_ message: [UInt8], id: UInt16, now: Int64, mac: MAC) throws -> (bytes: [UInt8], mac: [UInt8]) {
        let time = Self.time(now)
        let sum = try mac(secret.revealBytes(), message + variables(time: time, fudge: Self.fudge, error: 0, other: []))
        let data = try algorithm() + time + Self.fudge.bytes + UInt16(sum.count).bytes + sum + id.bytes + [0, 0, 0, 0]
        let record = DNSRecord(name: name, ttl: 0, data: .other(.tsig, data), recordClass: 255)
        return (try Self.counting(message, by: 1) + record.encoded(), sum)
    }

    /// Checks an answer's signature. Error: `protocol-violation` for one that is wrong.
    func verify(
        _ bytes: [UInt8], answer: DNSMessage, requestMAC: [UInt8], now: Int64, mac: MAC
    ) throws -> Verdict {
        var decoder = DNSDecoder(bytes)
        _ = try decoder.message()
        guard let start = decoder.signatureStart, let record = answer.additional.last,
            case .other(.tsig, let data) = record.data
        else { return .unsigned }
        var fields = DNSDecoder(data)
        let algorithm = try fields.name()
        let time = try fields.take(6)
        let fudge: UInt16 = try fields.number()
        let size: UInt16 = try fields.number()
        let sum = try fields.take(Int(size))
        let original: UInt16 = try fields.number()
        let error: UInt16 = try fields.number()
        let otherSize: UInt16 = try fields.number()
        let other = try fields.take(Int(otherSize))
        // A server that does not know the key cannot sign; nobody gains by forging a refusal.
        if error != 0 { return .refused(DNSResponseCode(rawValue: error)) }
        guard record.name == name, try algorithm.wire == self.algorithm() else {
            throw DNSDecoder.broken("it is signed with another key")
        }
        let message = original.bytes + (try Self.counting(Array(bytes[..<start]), by: -1)).dropFirst(2)
        let expected = try mac(
            secret.revealBytes(),
            UInt16(requestMAC.count).bytes + requestMAC + message
                + variables(time: time, fudge: fudge, error: error, other: other))
        // All bytes are looked at, so that the time tells nothing.
        let difference = zip(sum, expected).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
        guard sum.count == expected.count, difference == 0 else {
            throw DNSDecoder.broken("its signature is wrong")
        }
        let signedAt = time.reduce(Int64(0)) { $0 << 8 | Int64($1) }
        guard abs(signedAt - now) <= Int64(fudge) else { throw DNSDecoder.broken("its signature is out of date") }
        return .valid
    }

    private func algorithm() throws -> [UInt8] { try DNSName("hmac-sha256").wire }

    private func variables(time: [UInt8], fudge: UInt16, error: UInt16, other: [UInt8]) throws -> [UInt8] {
        try name.wire + UInt16(255).bytes + UInt32(0).bytes + algorithm() + time + fudge.bytes + error.bytes
            + UInt16(other.count).bytes + other
    }

    /// 48 bits.
    private static func time(_ now: Int64) -> [UInt8] { Array(now.bytes.suffix(6)) }

    /// The message with another count of additional records (bytes 10 and 11).
    private static func counting(_ message: [UInt8], by difference: Int) throws -> [UInt8] {
        guard message.count >= 12, let count = UInt16(exactly: Int(message[10]) << 8 + Int(message[11]) + difference)
        else { throw DNSDecoder.broken("its counts are wrong") }
        var copy = message
        copy.replaceSubrange(10..<12, with: count.bytes)
        return copy
    }
}
