import BasculeCatalogue
import BasculeCrypto
import BasculeFleet
import BasculeModel
import BasculeNet
import Foundation

/// Asks the name servers about a domain's mail, and tells them.
package struct MailDNS: Sendable {
    /// Where updates go and where the zone's own servers are looked up; without it, a resolver is asked for them.
    package struct Primary: Sendable {
        package var zone: String
        package var server: DNSClient
        package var key: TSIGKey
        /// Seconds.
        package var ttl: Int
        package init(zone: String, server: DNSClient, key: TSIGKey, ttl: Int) {
            (self.zone, self.server, self.key, self.ttl) = (zone, server, key, ttl)
        }
    }

    /// One server's answer; nil where it did not answer.
    package struct Answer: Sendable, Hashable {
        package var server: String
        package var found: [String]?
        package var error: String?
    }

    let primary: Primary?
    let resolver: DNSClient

    package init(primary: Primary?, resolver: DNSClient) { (self.primary, self.resolver) = (primary, resolver) }

    private static let patience = Duration.seconds(6)

    /// What every server that is responsible for the record's name says.
    package func ask(_ record: MailRecord) throws -> [Answer] {
        if record.kind == .reverse {
            guard let address = IPAddress(record.name) else { return [] }
            let name = try DNSName(address.reverseName)
            return [answer("resolver", resolver, name, .ptr, recursive: true)]
        }
        let name = try DNSName(record.name)
        let type: DNSType = ["A": .a, "AAAA": .aaaa, "MX": .mx][record.type] ?? .txt
        // Where reports go is another domain's affair.
        if record.kind == .reports { return [answer("resolver", resolver, name, type, recursive: true)] }
        return try servers(of: name).map { answer($0.name, $0.client, name, type, recursive: false) }
    }

    private func answer(
        _ label: String, _ client: DNSClient, _ name: DNSName, _ type: DNSType, recursive: Bool
    ) -> Answer {
        do {
            let message = try client.query(name, type, recursionDesired: recursive, deadline: .after(Self.patience))
            guard message.code == .noError || message.code == .noSuchName else {
                return Answer(server: label, found: nil, error: "\(message.code)")
            }
            return Answer(server: label, found: message.records(type, at: name).records.map { $0.data.zoneText })
        } catch {
            return Answer(server: label, found: nil, error: (error as? BasculeError)?.message ?? "\(error)")
        }
    }

    /// The authoritative servers of the closest zone above a name, by name.
    private func servers(of name: DNSName) throws -> [(name: String, client: DNSClient)] {
        if let primary {
            let apex = try DNSName(primary.zone)
            if name.isWithin(apex) { return try servers(apex, asking: primary.server, recursive: false) }
        }
        var labels = name.description.split(separator: ".").map(String.init)
        while labels.count >= 2 {
            let zone = try DNSName(labels.joined(separator: "."))
            let found = try servers(zone, asking: resolver, recursive: true)
            if !found.isEmpty { return found }
            labels.removeFirst()
        }
        throw BasculeError(.dnsFailed, "no name server is known for \(name)", hint: "is the domain delegated?")
    }

    private func servers(_ zone: DNSName, asking client: DNSClient, recursive: Bool) throws -> [(
        name: String, client: DNSClient
    )] {
        func ask(_ name: DNSName, _ type: DNSType) throws -> [DNSRecord] {
            try client.query(name, type, recursionDesired: recursive, deadline: .after(Self.patience))
                .records(type, at: name).records
        }
        var found: [(String, DNSClient)] = []
        for record in try ask(zone, .ns) {
            guard case .ns(let server) = record.data else { continue }
            for entry in try ask(server, .a) {
                guard case .address(let address) = entry.data else { continue }
                // A primary on another port is one for tests, and so are its like.
                found.append(("\(server)", DNSClient(server: address, port: client.port)))
            }
        }
        if found.isEmpty, !recursive { return [("\(client.server)", client)] }
        return found
    }

    /// Writes one record set, if it is still what was seen. Errors: those of `DNSClient.update`.
    package func publish(_ record: MailRecord) throws {
        guard let primary else { throw BasculeError(.defect, "there is no server to publish at") }
        let name = try DNSName(record.name)
        let type: DNSType = ["A": .a, "AAAA": .aaaa, "MX": .mx][record.type] ?? .txt
        let message = try primary.server.query(name, type, deadline: .after(Self.patience))
        let present = message.records(type, at: name).records.map(\.data)
        let wanted: [DNSData]
        switch type {
        case .txt:
            wanted = record.published(over: present.map(\.zoneText)).map { .txt(MailRecord.strings($0)) }
        case .mx:
            let words = record.value.split(separator: " ")
            let host = try DNSName(String(words.last ?? ""))
            wanted = present + [.mx(preference: words.first.flatMap { UInt16($0) } ?? 10, host)]
        default: wanted = IPAddress(record.value).map { [.address($0)] } ?? []
        }
        let before: DNSUpdate.Prerequisite = present.isEmpty ? .absent(name, type) : .equals(name, present)
        let update = DNSUpdate(
            zone: try DNSName(primary.zone), prerequisites: [before],
            changes: [.deleteSet(name, type)] + wanted.map { .add(name, ttl: UInt32(clamping: primary.ttl), $0) })
        try primary.server.update(
            update, key: primary.key, hmacSHA256: { HMAC.sha256(key: $0, $1) },
            now: Int64(Date().timeIntervalSince1970),
            deadline: .after(Self.patience))
    }
}

extension DNSData {
    /// As a zone file has it; the strings of a TXT record joined, unprintable bytes as `?`.
    var zoneText: String {
        switch self {
        case .address(let address): "\(address)"
        case .cname(let name), .ns(let name), .ptr(let name): "\(name)"
        case .mx(let preference, let name): "\(preference) \(name)"
        case .txt(let strings):
            String(strings.joined().prefix(4096).map { (32...126).contains($0) ? Character(UnicodeScalar($0)) : "?" })
        case .soa, .other: "?"
        }
    }
}

extension IPAddress {
    /// The name at which the reverse tree keeps an address.
    package var reverseName: String {
        if isIPv4 { return bytes.reversed().map { "\($0)." }.joined() + "in-addr.arpa" }
        let nibbles = bytes.reversed().flatMap { [$0 & 15, $0 >> 4] }
        return nibbles.map { String($0, radix: 16) + "." }.joined() + "ip6.arpa"
    }
}
