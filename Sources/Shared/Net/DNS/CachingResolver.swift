import BasculeModel
import Synchronization

/// Asks one DNS server and keeps its answers exactly as long as their TTL says, as a well-behaved customer's
/// resolver does. Answers that there is nothing are kept too, as long as the zone's SOA says.
package final class CachingResolver: Resolver {
    /// Addresses, and where they came from.
    package struct Found: Hashable, Sendable {
        package var addresses: [IPAddress]
        /// Seconds for which they may still be used.
        package var ttl: Double
        package var fromCache: Bool
    }

    private struct Entry {
        let addresses: [IPAddress]
        let until: UInt64
    }

    private struct Key: Hashable {
        let name: DNSName
        let type: DNSType
    }

    private let client: DNSClient
    private let types: [DNSType]
    private let now: @Sendable () -> UInt64
    private let cache = Mutex<[Key: Entry]>([:])

    /// `types` in order of preference: the first that has addresses wins. `now` is in nanoseconds.
    package init(
        _ client: DNSClient, types: [DNSType] = [.a, .aaaa], now: @escaping @Sendable () -> UInt64 = Monotonic.now
    ) {
        (self.client, self.types, self.now) = (client, types, now)
    }

    package func addresses(of host: String, deadline: Deadline) throws -> [IPAddress] {
        if let address = IPAddress(host) { return [address] }
        return try lookUp(DNSName(host), deadline: deadline).addresses
    }

    /// Errors: `name-not-resolved` if there is none of the types, and those of `DNSClient.query`.
    package func lookUp(_ name: DNSName, deadline: Deadline) throws -> Found {
        for type in types {
            let found = try lookUp(Key(name: name, type: type), deadline: deadline)
            if !found.addresses.isEmpty { return found }
        }
        throw BasculeError(.nameNotResolved, "The name has no address", at: .thing("\(name)"))
    }

    /// Forgets everything, as a customer who starts anew.
    package func clear() { cache.withLock { $0 = [:] } }

    private func lookUp(_ key: Key, deadline: Deadline) throws -> Found {
        let start = now()
        if let entry = cache.withLock({ $0[key] }), entry.until > start {
            return Found(
                addresses: entry.addresses, ttl: Double(entry.until - start) / 1_000_000_000, fromCache: true)
        }
        let answer = try client.query(key.name, key.type, recursionDesired: true, deadline: deadline)
        guard answer.code == .noError || answer.code == .noSuchName else {
            throw BasculeError(
                .nameNotResolved, "The DNS server could not say", at: .thing("\(key.name)"), cause: "\(answer.code)")
        }
        let (records, ttl) = answer.records(key.type, at: key.name)
        let addresses = records.compactMap { record in
            if case .address(let address) = record.data { address } else { nil }
        }
        let seconds = addresses.isEmpty ? Self.negativeTTL(answer) : ttl
        let entry = Entry(addresses: addresses, until: now() + UInt64(seconds) * 1_000_000_000)
        cache.withLock { kept in
            if kept.count >= 1000 { kept = [:] }
            kept[key] = entry
        }
        return Found(addresses: addresses, ttl: Double(seconds), fromCache: false)
    }

    /// RFC 2308: the lesser of the SOA record's own TTL and its minimum; nothing without one.
    private static func negativeTTL(_ answer: DNSMessage) -> UInt32 {
        for record in answer.authority {
            if case .soa(let start) = record.data { return min(record.ttl, start.minimum) }
        }
        return 0
    }
}
