import BasculeModel

/// A dynamic update (RFC 2136): all of it happens, or nothing.
package struct DNSUpdate: Sendable, Hashable {
    /// What must hold before.
    package enum Prerequisite: Sendable, Hashable {
        /// The record set is exactly this, TTL apart: compare-and-set.
        case equals(DNSName, [DNSData])
        case exists(DNSName, DNSType)
        case absent(DNSName, DNSType)
    }

    /// What is done, in this order.
    package enum Change: Sendable, Hashable {
        case deleteSet(DNSName, DNSType)
        case delete(DNSName, DNSData)
        /// `ttl` in seconds.
        case add(DNSName, ttl: UInt32, DNSData)
    }

    package var zone: DNSName
    package var prerequisites: [Prerequisite]
    package var changes: [Change]

    package init(zone: DNSName, prerequisites: [Prerequisite] = [], changes: [Change]) {
        (self.zone, self.prerequisites, self.changes) = (zone, prerequisites, changes)
    }

    /// Replaces the addresses of one family at a name, if they are still what they were (empty: none).
    /// Error: `invalid-input` if the families are mixed or both sides are empty.
    package static func replaceAddresses(
        of name: DNSName, zone: DNSName, from old: [IPAddress], to new: [IPAddress], ttl: UInt32
    ) throws -> DNSUpdate {
        guard let first = (old + new).first, (old + new).allSatisfy({ $0.isIPv4 == first.isIPv4 }) else {
            throw BasculeError(.invalidInput, "A set of addresses is of one family and not empty on both sides")
        }
        let type = first.isIPv4 ? DNSType.a : .aaaa
        return DNSUpdate(
            zone: zone,
            prerequisites: [old.isEmpty ? .absent(name, type) : .equals(name, old.map { .address($0) })],
            changes: [.deleteSet(name, type)] + new.map { .add(name, ttl: ttl, .address($0)) })
    }

    func message() -> DNSMessage {
        var message = DNSMessage(id: .random(in: .min ... .max))
        message.operation = 5
        message.questions = [DNSQuestion(name: zone, type: .soa)]
        let (none, any): (UInt16, UInt16) = (254, 255)
        message.answers = prerequisites.flatMap { prerequisite in
            switch prerequisite {
            case .equals(let name, let set): set.map { DNSRecord(name: name, ttl: 0, data: $0) }
            case .exists(let name, let type): [DNSRecord(name: name, ttl: 0, data: .other(type, []), recordClass: any)]
            case .absent(let name, let type): [DNSRecord(name: name, ttl: 0, data: .other(type, []), recordClass: none)]
            }
        }
        message.authority = changes.map { change in
            switch change {
            case .deleteSet(let name, let type):
                DNSRecord(name: name, ttl: 0, data: .other(type, []), recordClass: any)
            case .delete(let name, let data): DNSRecord(name: name, ttl: 0, data: data, recordClass: none)
            case .add(let name, let ttl, let data): DNSRecord(name: name, ttl: ttl, data: data)
            }
        }
        return message
    }
}

extension DNSClient {
    /// Sends an update over TCP (over UDP a repetition could meet its own first delivery) and verifies the answer's
    /// signature.
    ///
    /// `now` is the wall clock in seconds since 1970: the server's must be within 5 minutes of it.
    /// Errors: `dns-prerequisite-failed`, `dns-not-authorized`, `dns-failed`, `dns-outcome-unknown` (ask again
    /// with a query), `connect-failed`, `timed-out`.
    package func update(
        _ update: DNSUpdate, key: TSIGKey, hmacSHA256: @escaping TSIGKey.MAC, now: Int64, deadline: Deadline
    ) throws {
        let place = Place.thing("\(update.zone) at \(endpoint)")
        let message = update.message()
        let signed = try key.sign(message.encoded(), id: message.id, now: now, mac: hmacSHA256)
        let stream = try TCPStream.connect(to: endpoint, deadline: deadline)
        let bytes: [UInt8]
        do {
            bytes = try Self.exchange(signed.bytes, over: stream, deadline: deadline)
        } catch let error as BasculeError where error.code != .invalidInput {
            throw BasculeError(
                .dnsOutcomeUnknown, "The DNS server did not answer the update", at: place, cause: error.message,
                hint: "Query the record set to learn what became of it.")
        }
        let answer = try Self.answer(to: message, bytes)
        let verdict = try key.verify(bytes, answer: answer, requestMAC: signed.mac, now: now, mac: hmacSHA256)
        if case .refused(let code) = verdict {
            throw BasculeError(
                .dnsNotAuthorized, "The DNS server does not accept the signature of the update", at: place,
                cause: "\(code)", hint: code == .badTime ? "Set both clocks." : "Check the TSIG key's name and secret.")
        }
        switch answer.code {
        case .noError where verdict == .valid: return
        case .nameExists, .setExists, .noSuchSet, .noSuchName:
            throw BasculeError(
                .dnsPrerequisiteFailed, "The record set is not what the update expects", at: place,
                cause: "\(answer.code)", hint: "Query it, and plan again.")
        case .refused, .notAuthorized:
            throw BasculeError(
                .dnsNotAuthorized, "The DNS server does not allow this update", at: place, cause: "\(answer.code)",
                hint: "Check the zone's update policy for this TSIG key.")
        case .noError:
            throw BasculeError(
                .dnsOutcomeUnknown, "The DNS server's answer is not signed, so it proves nothing", at: place)
        default:
            throw BasculeError(.dnsFailed, "The DNS server did not make the update", at: place, cause: "\(answer.code)")
        }
    }
}
