import BasculeFleet
import BasculeModel

/// A record set that the world must see for the fleet's mail to be believed.
package struct MailRecord: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable, Encodable {
        /// The server's own name leads to its address …
        case address
        /// … and its address to its name, which is what it calls itself in HELO.
        case reverse
        /// Who may send for the domain (RFC 7208), and for the server's own name (bounces have no other).
        case spf, helo
        /// The key that signatures are checked with (RFC 6376).
        case dkim
        /// What to do with mail that neither of them vouches for (RFC 7489).
        case dmarc
        /// The domain where the reports are read agrees to that (RFC 7489, 7.1).
        case reports
        /// Who takes mail for the domain.
        case mx
    }

    package var kind: Kind
    /// Without the final dot; for `reverse` the address itself.
    package var name: String
    /// `A`, `AAAA`, `PTR`, `TXT` or `MX`.
    package var type: String
    /// As a zone file has it, TXT without quotes and in one piece. Empty: any will do.
    package var value: String
}

/// The records of `services.mail`.
package struct MailRecords: Sendable {
    let mail: Mail
    /// The addresses from which mail leaves.
    package let addresses: [String]
    let publicKey: String

    /// - Parameter publicKey: base64, as DNS publishes it.
    package init(_ mail: Mail, node: String?, publicKey: String) {
        self.mail = mail
        let known = mail.addresses.isEmpty ? [node].compactMap { $0 } : mail.addresses
        addresses = known.filter { mail.ipv6 || !$0.contains(":") }
        self.publicKey = publicKey
    }

    package var all: [MailRecord] {
        var list: [MailRecord] = []
        if mail.relay == nil || mail.receive != nil {
            for address in addresses {
                let type = address.contains(":") ? "AAAA" : "A"
                list.append(MailRecord(kind: .address, name: mail.name, type: type, value: address))
                list.append(MailRecord(kind: .reverse, name: address, type: "PTR", value: "\(mail.name)."))
            }
            list.append(MailRecord(kind: .helo, name: mail.name, type: "TXT", value: "v=spf1 a -all"))
        }
        if !senders.isEmpty {
            let value = (["v=spf1"] + senders + ["-all"]).joined(separator: " ")
            list.append(MailRecord(kind: .spf, name: mail.domain, type: "TXT", value: value))
        }
        list.append(
            MailRecord(
                kind: .dkim, name: "\(mail.selector)._domainkey.\(mail.domain)", type: "TXT",
                value: "v=DKIM1; k=rsa; p=\(publicKey)"))
        list.append(
            MailRecord(
                kind: .dmarc, name: "_dmarc.\(mail.domain)", type: "TXT",
                value: "v=DMARC1; p=\(mail.dmarc.rawValue); rua=mailto:\(mail.admin)"))
        let host = String(mail.admin.drop { $0 != "@" }.dropFirst())
        if host != mail.domain, !host.hasSuffix(".\(mail.domain)") {
            list.append(
                MailRecord(
                    kind: .reports, name: "\(mail.domain)._report._dmarc.\(host)", type: "TXT", value: "v=DMARC1"))
        }
        list.append(
            MailRecord(
                kind: .mx, name: mail.domain, type: "MX", value: mail.receive == nil ? "" : "10 \(mail.name)."))
        return list
    }

    /// What the SPF record lets send: our addresses unless a relay does, and whom the fleet file adds. Addresses cost
    /// receivers no look-up, of which SPF allows ten.
    private var senders: [String] {
        let own = mail.relay == nil ? addresses.map { $0.contains(":") ? "ip6:\($0)" : "ip4:\($0)" } : []
        return own + mail.spf
    }
}

extension MailRecord {
    /// Whether an update may write it: addresses' names and other people's domains belong to others, and who takes a
    /// domain's mail is not changed in passing.
    package var isPublishable: Bool {
        switch kind {
        case .reverse, .reports: false
        case .mx: !value.isEmpty
        case .address, .spf, .helo, .dkim, .dmarc: true
        }
    }

    /// A TXT record's text in pieces of at most 255 bytes, which is what one string of it can hold (RFC 1035).
    package static func strings(_ text: String) -> [[UInt8]] {
        let bytes = Array(text.utf8)
        return stride(from: 0, to: bytes.count, by: 255).map { Array(bytes[$0..<min($0 + 255, bytes.count)]) }
    }

    /// A line for a zone file, or for a provider's form.
    /// - Parameter ttl: seconds.
    package func line(ttl: Int) -> String {
        if type == "TXT" {
            let quoted = Self.strings(value).map { "\"\(String(decoding: $0, as: UTF8.self))\"" }
            let text = quoted.count == 1 ? quoted[0] : "( \(quoted.joined(separator: "\n    ")) )"
            return "\(name). \(ttl) IN TXT \(text)"
        }
        return kind == .reverse ? "\(name) → PTR \(value)" : "\(name). \(ttl) IN \(type) \(value)"
    }
}
