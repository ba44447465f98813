import BasculeCrypto
import BasculeModel
import BasculeNet
import Glibc

extension SegmentPerformer {
    /// Points the record set elsewhere, if it is still what it was: compare-and-set at the server.
    func switchDNS(_ change: DNSChange) async throws -> StepResult {
        let services = services
        return try await Blocking.run {
            let zone = try Zone(change, services)
            var to = zone.to
            if to.isEmpty {
                guard let before = try SwitchNotes.load(services.paths)[SwitchNotes.key(change)] else {
                    return StepResult(.satisfied, "\(change.name) was never switched")
                }
                to = before.compactMap { IPAddress($0) }
            }
            let start = WallClock.monotonic()
            // A provider that is down for a moment must not decide a migration.
            while true {
                do {
                    let now = try zone.addresses()
                    let words = to.map { "\($0)" }.joined(separator: ", ")
                    if Set(now.addresses) == Set(to), to.isEmpty || now.ttl == change.ttl {
                        return StepResult(.satisfied, "\(change.name) is \(words) already")
                    }
                    if change.from.isEmpty {
                        try SwitchNotes.note(change, now.addresses.map { "\($0)" }, paths: services.paths)
                    }
                    try zone.replace(from: change.from.isEmpty ? now.addresses : zone.from, to: to, ttl: change.ttl)
                    return StepResult(.done, "\(change.name) \(change.type) \(words), TTL \(change.ttl) s")
                } catch let error as BasculeError
                    where [.timedOut, .connectFailed, .dnsOutcomeUnknown].contains(error.code)
                    && WallClock.monotonic() - start < 60
                {
                    usleep(500_000)
                }
            }
        }
    }

    /// Same addresses, lower TTL; notes when, and what it was.
    func lowerTTL(_ change: DNSChange) async throws -> StepResult {
        let services = services
        return try await Blocking.run {
            let zone = try Zone(change, services)
            let now = try zone.addresses()
            guard !now.addresses.isEmpty else {
                throw BasculeError(
                    .dnsFailed, "\(change.name) has no \(change.type) record at \(change.server)",
                    hint: "is migration.dns.zone right?")
            }
            guard now.ttl > change.ttl else { return StepResult(.satisfied, "its TTL is \(now.ttl) s already") }
            try TTLNotes.note(
                change.name, TTLNotes.Note(oldTTL: now.ttl, loweredAt: WallClock.now()), paths: services.paths)
            try zone.replace(from: now.addresses, to: now.addresses, ttl: change.ttl)
            return StepResult(.done, "TTL \(now.ttl) s → \(change.ttl) s")
        }
    }

    /// Every authoritative server answers with the lowered TTL, and one old TTL has passed since it was lowered.
    func checkDNS(_ change: DNSChange) async throws -> StepResult {
        let services = services
        let wait =
            try TTLNotes.load(services.paths)[change.name].map { $0.loweredAt + Double($0.oldTTL) - WallClock.now() }
            ?? 0
        if wait > 0 { try await Task.sleep(for: .seconds(min(wait, 86_400))) }
        return try await Blocking.run {
            let zone = try Zone(change, services)
            let servers = try zone.authoritative()
            for (name, server) in servers {
                let answer = try Zone.addresses(server, zone.port, zone.name, zone.type)
                guard answer.ttl <= change.ttl, !answer.addresses.isEmpty else {
                    throw BasculeError(
                        .dnsNotReady,
                        "\(name) answers \(change.name) with a TTL of \(answer.ttl) s, not \(change.ttl) s",
                        hint: "wait until the change has reached every name server, then apply again")
                }
            }
            let proof = Evidence(
                "DNS TTL",
                value:
                    "\(change.ttl) s or less at \(servers.count) name servers\(wait > 0 ? ", waited \(Int(wait)) s for caches" : "")",
                threshold: "\(change.ttl) s",
                passed: true, time: WallClock.now(), origin: self.segment.node.rawValue, measure: Double(change.ttl),
                unit: "s")
            return StepResult(.done, proof.value, evidence: [proof])
        }
    }
}

extension ErrorCode {
    /// A name server does not yet answer what the migration needs.
    package static let dnsNotReady: ErrorCode = "dns-not-ready"
}

/// The record set of a change, with the server and key to ask.
private struct Zone {
    let change: DNSChange
    let client: DNSClient
    let key: TSIGKey
    let name: DNSName
    let apex: DNSName
    let type: DNSType
    let to: [IPAddress]
    let from: [IPAddress]
    var port: UInt16 { client.port }

    init(_ change: DNSChange, _ services: AgentServices) throws {
        self.change = change
        let server =
            try IPAddress(change.server) ?? SystemResolver().addresses(of: change.server, deadline: .seconds(10)).first
        guard let server else { throw BasculeError(.dnsFailed, "the name server \(change.server) has no address") }
        client = DNSClient(server: server, port: UInt16(change.port))
        key = try TSIGKey(text: services.secrets.resolve(change.tsig))
        (name, apex) = (try DNSName(change.name), try DNSName(change.zone))
        type = change.type == "AAAA" ? .aaaa : .a
        (to, from) = (change.to.compactMap { IPAddress($0) }, change.from.compactMap { IPAddress($0) })
    }

    /// What the server answers now.
    func addresses() throws -> (addresses: [IPAddress], ttl: Int) {
        try Zone.addresses(client.server, port, name, type)
    }

    static func addresses(_ server: IPAddress, _ port: UInt16, _ name: DNSName, _ type: DNSType) throws -> (
        addresses: [IPAddress], ttl: Int
    ) {
        let answer = try DNSClient(server: server, port: port).query(name, type, deadline: .seconds(5))
        let found = answer.records(type, at: name)
        return (
            found.records.compactMap { if case .address(let address) = $0.data { address } else { nil } },
            found.records.isEmpty ? 0 : Int(found.ttl)
        )
    }

    func replace(from: [IPAddress], to: [IPAddress], ttl: Int) throws {
        try client.update(
            try DNSUpdate.replaceAddresses(of: name, zone: apex, from: from, to: to, ttl: UInt32(ttl)),
            key: key,
            hmacSHA256: { HMAC.sha256(key: $0, $1) }, now: Int64(WallClock.now()), deadline: .seconds(5))
    }

    /// The zone's name servers by name; the one that is asked where it tells no addresses.
    func authoritative() throws -> [(String, IPAddress)] {
        let answer = try client.query(apex, .ns, deadline: .seconds(5))
        var found: [(String, IPAddress)] = []
        for record in answer.answers {
            guard case .ns(let server) = record.data else { continue }
            let own = try client.query(server, .a, deadline: .seconds(5)).records(.a, at: server).records
            for entry in own { if case .address(let address) = entry.data { found.append(("\(server)", address)) } }
        }
        return found.isEmpty ? [(change.server, client.server)] : found
    }
}

/// What a name was before it was switched, where only the conductor could ask: without it the way back would be unknown.
enum SwitchNotes {
    static func key(_ change: DNSChange) -> String { "\(change.name)/\(change.type)" }

    private static func path(_ paths: AgentPaths) -> String { "\(paths.state)/switched.json" }

    static func load(_ paths: AgentPaths) throws -> [String: [String]] {
        try DurableFile.load([String: [String]].self, from: path(paths)) ?? [:]
    }

    /// On disk before the name changes.
    static func note(_ change: DNSChange, _ addresses: [String], paths: AgentPaths) throws {
        var notes = try load(paths)
        notes[key(change)] = addresses
        try DurableFile.save(notes, to: path(paths))
    }
}

/// When which TTL was lowered, so that nobody freezes while caches still hold the old one.
enum TTLNotes {
    struct Note: Codable {
        var oldTTL: Int
        /// Seconds since 1970.
        var loweredAt: Double
    }

    static func load(_ paths: AgentPaths) throws -> [String: Note] {
        try DurableFile.load([String: Note].self, from: "\(paths.state)/ttl.json") ?? [:]
    }

    static func note(_ name: String, _ note: Note, paths: AgentPaths) throws {
        var notes = try load(paths)
        notes[name] = note
        try DurableFile.save(notes, to: "\(paths.state)/ttl.json")
    }
}
