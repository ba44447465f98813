import BasculeCatalogue
import BasculeFleet
import BasculeModel
import BasculeNet
import Foundation

/// One thing that must be right for the fleet's mail to arrive.
package struct MailFinding: Encodable, Sendable, Equatable {
    package enum Status: String, Encodable, Sendable { case right, missing, wrong, unknown }
    /// A record's kind, or `submission`, `relay`, `egress`.
    package var check: String
    package var name: String
    package var type: String?
    package var status: Status
    /// The line for the zone; nil where any record will do.
    package var line: String?
    /// What was seen, and by whom.
    package var detail: String?
    /// What to do about it.
    package var hint: String?
    /// Good to have; nobody refuses mail for want of it.
    package var isAdvice = false
    /// It was written just now.
    package var published = false
}

/// `bascule mail check`: what is to be published, what the world sees, and whether mail gets out.
package struct MailCheck: Sendable {
    let session: FleetSession
    let publish: Bool
    let resolver: String?
    let egress: String?

    /// - Parameters:
    ///   - resolver: `NODE`, `ADDRESS` or `ADDRESS:PORT`; nil: this machine's own.
    ///   - egress: `HOST` or `HOST:PORT`, a mail server that the node should reach; nil: a large receiver's, unless a relay
    ///     takes all mail.
    package init(session: FleetSession, publish: Bool, resolver: String?, egress: String?) {
        (self.session, self.publish, self.resolver, self.egress) = (session, publish, resolver, egress)
    }

    package func run(_ say: @Sendable (MailFinding) throws -> Void) async throws -> [MailFinding] {
        guard let mail = session.fleet.services.mail else {
            throw BasculeError(
                .notFound, "the fleet file declares no mail", hint: "add services.mail, and the role mail to a node")
        }
        let (compiled, _) = try await PlanMaker(session: session).compile()
        guard let endpoint = compiled.mail else {
            throw BasculeError(.notFound, "no node has the role mail", at: session.positions["services.mail"])
        }
        let addresses = try await session.addresses()
        let key = try session.secret(endpoint.key, compiled.secrets[endpoint.key] ?? .given)
        let records = MailRecords(mail, node: addresses[endpoint.node], publicKey: try RSAKey.publicKey(of: key))
        let names = MailDNS(
            primary: try await primary(mail, addresses), resolver: try await client(resolver, addresses))
        var findings: [MailFinding] = []
        for record in records.all {
            let finding = await Task.detached { self.finding(record, names) }.value
            findings.append(finding)
            try say(finding)
        }
        for finding in [await submission(endpoint), await relay(mail, endpoint), await egress(mail, endpoint)] {
            guard let finding else { continue }
            findings.append(finding)
            try say(finding)
        }
        return findings
    }

    // MARK: - Records

    private func finding(_ record: MailRecord, _ names: MailDNS) -> MailFinding {
        var seen = look(record, names)
        let zone = names.primary?.zone
        let isOurs = zone.map { record.name == $0 || record.name.hasSuffix(".\($0)") } ?? false
        guard publish, record.isPublishable, isOurs, seen.status == .missing || seen.status == .wrong else {
            if seen.hint == nil, seen.status != .right { seen.hint = hint(record, canPublish: isOurs) }
            return seen
        }
        do {
            try names.publish(record)
            // Secondary servers take a moment.
            let end = Deadline.seconds(10)
            repeat {
                seen = look(record, names)
                if seen.status != .right { Monotonic.sleep(.milliseconds(200)) }
            } while seen.status != .right && !end.passed
            seen.published = true
        } catch {
            seen.hint =
                (error as? BasculeError).map { "\($0.message)\($0.cause.map { ": \($0)" } ?? "")" } ?? "\(error)"
        }
        return seen
    }

    private func look(_ record: MailRecord, _ names: MailDNS) -> MailFinding {
        var finding = MailFinding(
            check: record.kind.rawValue, name: record.name, type: record.type, status: .unknown,
            line: record.value.isEmpty ? nil : record.line(ttl: names.primary?.ttl ?? 3600),
            isAdvice: record.kind == .mx && record.value.isEmpty || record.kind == .reports)
        do {
            let answers = try names.ask(record)
            finding.judge(record, answers)
            if finding.line != nil, let found = answers.lazy.compactMap(\.found).first {
                finding.line = record.over(found).line(ttl: names.primary?.ttl ?? 3600)
            }
        } catch {
            finding.detail = (error as? BasculeError)?.message ?? "\(error)"
        }
        return finding
    }

    private func hint(_ record: MailRecord, canPublish: Bool) -> String? {
        switch record.kind {
        case .reverse: return "set the reverse name of \(record.name) to \(record.value) in your provider's console"
        case .mx where record.value.isEmpty: return "receivers distrust a domain to which nobody can answer"
        case .reports: return "without it reports are not sent to \(session.fleet.services.mail?.admin ?? "")"
        case _ where record.isPublishable && canPublish && !publish: return "bascule mail check --publish writes it"
        default: return nil
        }
    }

    private func primary(_ mail: Mail, _ addresses: [NodeName: String]) async throws -> MailDNS.Primary? {
        var dns = mail.dns
        if dns == nil, let known = session.fleet.migration?.dns,
            mail.domain == known.zone || mail.domain.hasSuffix(".\(known.zone)")
        {
            var own = Mail.DNS()
            (own.zone, own.server) = (known.zone, known.server)
            dns = own
        }
        guard let dns else { return nil }
        let key = try TSIGKey(text: try session.secret(dns.server.tsig, .given))
        return MailDNS.Primary(
            zone: dns.zone,
            server: try await client(dns.server.host, addresses, port: UInt16(clamping: dns.server.port)),
            key: key, ttl: Int(dns.ttl.components.seconds))
    }

    /// A DNS server by a node's name, an address, or a host's name; nil is the first of this machine's own.
    private func client(
        _ text: String?, _ addresses: [NodeName: String], port: UInt16 = 53
    ) async throws -> DNSClient {
        guard let text else { return DNSClient(server: try Self.systemResolver()) }
        let (host, given) = Self.split(text, port: port)
        if let address = IPAddress(addresses[NodeName(host)] ?? host) { return DNSClient(server: address, port: given) }
        let found = try await Task.detached { try SystemResolver().addresses(of: host, deadline: .seconds(10)) }.value
        guard let address = found.first else { throw BasculeError(.nameNotResolved, "\(host) has no address") }
        return DNSClient(server: address, port: given)
    }

    private static func systemResolver() throws -> IPAddress {
        let text = (try? String(contentsOfFile: "/etc/resolv.conf", encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" }
            if words.count > 1, words[0] == "nameserver", let address = IPAddress(String(words[1])) { return address }
        }
        throw BasculeError(.nameNotResolved, "this machine has no resolver", hint: "--resolver ADDRESS")
    }

    /// `HOST:PORT` or `HOST`; an IPv6 address has no port here.
    private static func split(_ text: String, port: UInt16) -> (host: String, port: UInt16) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let given = UInt16(parts[1]) else { return (text, port) }
        return (String(parts[0]), given)
    }

    // MARK: - On the node

    private func submission(_ endpoint: MailEndpoint) async -> MailFinding? {
        var finding = MailFinding(
            check: "submission", name: "\(endpoint.node)", status: .unknown,
            hint: "bascule status \(endpoint.node); the node's journal of postfix and opendkim says why")
        await ask(endpoint.node, [MailPrograms.probe, "deliver"], &finding)
        return finding
    }

    /// Whether the relay's certificate is right, it takes the login, and would take mail; nil where there is none.
    private func relay(_ mail: Mail, _ endpoint: MailEndpoint) async -> MailFinding? {
        guard let relay = mail.relay else { return nil }
        let login =
            relay.password.map { "bascule secret set \($0), then bascule apply, where the login is wrong; " } ?? ""
        var finding = MailFinding(
            check: "relay", name: "\(relay.host):\(relay.port)", status: .unknown,
            hint: login + "until it is right, mail waits in the queue, at most as long as limits.queueLifetime says")
        await ask(endpoint.node, [MailPrograms.probe, "relay", relay.host, "\(relay.port)"], &finding)
        return finding
    }

    /// What a node reaches by itself; with a relay only where somebody asks.
    private func egress(_ mail: Mail, _ endpoint: MailEndpoint) async -> MailFinding? {
        guard egress != nil || mail.relay == nil else { return nil }
        let (host, port) = Self.split(egress ?? "gmail-smtp-in.l.google.com:25", port: 25)
        var finding = MailFinding(
            check: "egress", name: "\(host):\(port)", status: .unknown,
            hint: "ask the provider to open port \(port) outward, or declare services.mail.relay")
        // Once may be a receiver's whim.
        for _ in 0..<3 where finding.status != .right {
            await ask(endpoint.node, [MailPrograms.probe, "egress", host, "\(port)"], &finding)
        }
        return finding
    }

    /// Has the agent ask once, as it asks whether services serve.
    private func ask(_ node: NodeName, _ words: [String], _ finding: inout MailFinding) async {
        do {
            guard try session.isBootstrapped(node) else {
                finding.detail = "the node has no agent yet"
                return
            }
            let question = ProbeSpec("mail.\(finding.check)", .command(words, user: "root"))
            let desired = DesiredResource(.probe(question), on: node, origin: "mail check")
            guard case .observations(let seen) = try await session.link(node).ask(.observe([desired])),
                case .probe(let answer)? = seen.first?.observed
            else { throw BasculeError(.protocolViolation, "the agent answered something else than observations") }
            finding.status = answer.serves ? .right : .wrong
            finding.detail = answer.serves ? nil : answer.detail
            if answer.serves { finding.hint = nil }
        } catch {
            finding.detail = BasculeError.wrapping(error, "no answer").message
        }
    }
}

extension MailFinding {
    /// The worst of what the servers say: one that is behind makes mail fail now and then.
    mutating func judge(_ record: MailRecord, _ answers: [MailDNS.Answer]) {
        var notes: [String] = []
        var verdicts: [MailVerdict] = []
        for answer in answers {
            guard let found = answer.found else {
                notes.append("\(answer.server) \(answer.error ?? "does not answer")")
                continue
            }
            let verdict = record.verdict(found)
            verdicts.append(verdict)
            switch verdict {
            case .right: break
            case .missing: notes.append("\(answer.server) has none")
            case .wrong(let why): notes.append("\(answer.server): \(why)")
            }
        }
        detail = notes.isEmpty ? nil : notes.joined(separator: "; ")
        if verdicts.contains(where: { if case .wrong = $0 { true } else { false } }) {
            status = .wrong
        } else if verdicts.contains(.missing) {
            status = .missing
        } else {
            status = verdicts.count == answers.count && !answers.isEmpty ? .right : .unknown
        }
    }
}
