import BasculeModel
import Foundation

/// `services.mail`: Postfix, which sends what the apps hand it, signed and in the name of one domain.
package struct Mail: Sendable, Equatable {
    /// The domain of the senders' addresses.
    package var domain = ""
    /// What the server calls itself; without it `mail.DOMAIN`.
    package var hostname: String?
    /// Who reads what is written to root and postmaster, bounces and reports.
    package var admin = ""
    /// Names the DKIM key: another selector is another key, and the old one may stay published for a while.
    package var selector = "bascule"
    /// An RSA key of the user's own, in PEM; without it Bascule makes one of 2048 bits.
    package var key: SecretName?
    /// More mechanisms for the SPF record, such as `include:_spf.example`: who else sends for the domain.
    package var spf: [String] = []
    package var dmarc = Policy.quarantine
    /// The addresses by which the world knows the node, where they are not its own (behind a translation).
    package var addresses: [String] = []
    /// Whether mail leaves by IPv6 too. Default false: without a right PTR it harms more than it helps.
    package var ipv6 = false
    package var limits = Limits()
    package var warmUp: WarmUp?
    package var relay: Relay?
    package var receive: Receive?
    package var dns: DNS?
    package init() {}

    /// What receivers are asked to do with mail in the domain's name that neither SPF nor DKIM vouches for.
    package enum Policy: String, Sendable, Hashable, CaseIterable { case none, quarantine, reject }

    /// What one app gone wild may do at most.
    package struct Limits: Sendable, Equatable {
        /// Default 10 MiB.
        package var messageSize = ByteSize.mebibytes(10)
        /// Recipients of one message. Default 50.
        package var recipients = 50
        /// Messages a minute of one client. Default 120.
        package var perMinute = 120
        /// How long delivery is tried. Default 1 day: nobody wants yesterday's link for a new password.
        package var queueLifetime: Duration = .seconds(86_400)
        /// Deliveries at once, and connections of clients at once. Default 10: some 10 messages a second.
        package var processes = 10
        package init() {}
    }

    /// The throttle of a new address.
    package struct WarmUp: Sendable, Equatable {
        /// The first day, in UTC: `2026-12-06`.
        package var start = ""
        /// Recipients on each day from the first on; afterwards there is no limit.
        package var perDay = WarmUp.schedule
        package init() {}

        /// Doubling where it is small, growing by a fifth to a half where it is large; four weeks.
        package static let schedule = [
            50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 800, 1000, 1200, 1400, 1700, 2000, 2400, 2800, 3300,
            4000, 4800, 5700, 6800, 8000, 9500, 11500, 13500, 16000,
        ]
    }

    /// Another server that takes all outgoing mail.
    package struct Relay: Sendable, Equatable {
        package var host = ""
        /// Default 587.
        package var port = 587
        package var user: String?
        package var password: SecretName?
        package init() {}
    }

    /// Mail from the world to the domain: nothing but what is listed.
    package struct Receive: Sendable, Equatable {
        /// Where mail to each local part goes; postmaster and abuse go to the administrator anyway.
        package var aliases: [String: String] = [:]
        package init() {}
    }

    /// Where `bascule mail check --publish` writes the records.
    package struct DNS: Sendable, Equatable {
        package var zone = ""
        package var server = NameServer()
        /// Default 1 h.
        package var ttl: Duration = .seconds(3600)
        package init() {}
    }

    /// What the server calls itself, in HELO too.
    package var name: String { hostname ?? "mail.\(domain)" }
}

extension Mail: Declared {
    static var about: String { "Postfix on the node with the role mail: sends for one domain" }
    static var fields: [Field<Mail>] {
        [
            .key("domain", \.domain, .domain, required: true, "The domain of the senders' addresses"),
            .key("hostname", \.hostname, .domain, "What the server calls itself; mail.DOMAIN if absent"),
            .key(
                "admin", \.admin, .mailbox, required: true,
                "Who reads what is written to root and postmaster, bounces and reports"),
            .key("selector", \.selector, .name(.selector), "Names the DKIM key; another one is another key"),
            .key("key", \.key, .secret, "An RSA key of your own, in PEM; one is made if absent"),
            .key("spf", \.spf, .list(.mechanism), "Who else sends for the domain, as SPF mechanisms"),
            .key("dmarc", \.dmarc, .choice(), "What receivers shall do with mail that is not ours"),
            .key("addresses", \.addresses, .list(.address), "The node's public addresses, where they are not its own"),
            .key("ipv6", \.ipv6, .flag, "Send by IPv6 too"),
            .key("limits", \.limits, .object, "What one app gone wild may do at most"),
            .key("warmUp", \.warmUp, .object, "Throttle for a new address"),
            .key("relay", \.relay, .object, "Another server that takes all outgoing mail"),
            .key("receive", \.receive, .object, "Take mail from the world, too; port 25 opens"),
            .key("dns", \.dns, .object, "Where mail check --publish writes; migration.dns if absent"),
        ]
    }
}

extension Mail.Limits: Declared {
    static var about: String { "What one app gone wild may do at most" }
    static var fields: [Field<Mail.Limits>] {
        [
            .key("messageSize", \.messageSize, .size, "Largest message"),
            .key("recipients", \.recipients, .integer(1...1000), "Recipients of one message"),
            .key("perMinute", \.perMinute, .integer(1...1_000_000), "Messages a minute of one client"),
            .key("queueLifetime", \.queueLifetime, .duration, "How long delivery is tried"),
            .key("processes", \.processes, .integer(5...500), "Processes of each kind at most"),
        ]
    }
}

extension Mail.WarmUp: Declared {
    static var about: String { "A throttle for an address that nobody knows yet" }
    static var fields: [Field<Mail.WarmUp>] {
        [
            .key("start", \.start, .day, required: true, "The first day, in UTC"),
            .key("perDay", \.perDay, .list(.integer(1...10_000_000)), "Recipients on each day; then no limit"),
        ]
    }
}

extension Mail.Relay: Declared {
    static var about: String { "Another server that takes all outgoing mail, over verified TLS" }
    static var fields: [Field<Mail.Relay>] {
        [
            .key("host", \.host, .host, required: true, "Its name, as its certificate has it"),
            .key("port", \.port, .port, "Its port; 465 is TLS from the first byte"),
            .key("user", \.user, .line("a user name"), "Who logs in"),
            .key("password", \.password, .secret, "The password"),
        ]
    }
}

extension Mail.Receive: Declared {
    static var about: String { "Mail from the world to the domain: nothing but what is listed" }
    static var fields: [Field<Mail.Receive>] {
        [.key("aliases", \.aliases, .map(.localPart, { $0 }, .mailbox), "Where mail to each local part goes")]
    }
}

extension Mail.DNS: Declared {
    static var about: String { "Where mail check --publish writes the records" }
    static var fields: [Field<Mail.DNS>] {
        [.key("zone", \.zone, .domain, required: true, "The zone that holds the domain")]
            + NameServer.keys(in: \.server) + [.key("ttl", \.ttl, .duration, "The records' time to live")]
    }
}

extension TextRule {
    static let selector = TextRule(what: "a DKIM selector", first: "a-z0-9", rest: "a-z0-9-", limit: 63)
    static let localPart = TextRule(
        what: "the part of an address before @", first: "a-z0-9", rest: "a-z0-9.+_-", limit: 64)
}

extension Codec where Value == String {
    /// `PART@HOST`, without what would need quoting in a lookup table.
    static var mailbox: Codec {
        .scalar(
            "a mail address such as admin@shop.example", pattern: "^[A-Za-z0-9][A-Za-z0-9.+_-]*@[a-z0-9.-]+$",
            parse: { text in
                guard let at = text.lastIndex(of: "@") else { return nil }
                let rule = TextRule(what: "", first: "A-Za-z0-9", rest: "A-Za-z0-9.+_-", limit: 64)
                let host = String(text[text.index(after: at)...])
                return rule.accepts(String(text[..<at])) && HostText.isDomain(host) && !host.hasPrefix("*") ? text : nil
            })
    }

    /// An SPF mechanism that lets somebody send; `all` is written by Bascule.
    static var mechanism: Codec {
        .scalar(
            "an SPF mechanism such as include:_spf.example",
            pattern: "^(include|a|mx|ip4|ip6|exists)(:[A-Za-z0-9_.:/-]+)?$",
            hint: "include:, a, mx, ip4:, ip6: or exists:; all is written by Bascule",
            parse: { text in
                let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard let word = parts.first, ["include", "a", "mx", "ip4", "ip6", "exists"].contains(word) else {
                    return nil
                }
                guard parts.count == 2 else { return word == "a" || word == "mx" ? text : nil }
                let rule = TextRule(what: "", first: "A-Za-z0-9_:", rest: "A-Za-z0-9_.:/-", limit: 200)
                return rule.accepts(String(parts[1])) ? text : nil
            })
    }

    static var address: Codec {
        .scalar("an IPv4 or IPv6 address", parse: { HostText.isAddress($0) ? $0 : nil })
    }

    /// `YYYY-MM-DD`, a day that exists.
    static var day: Codec {
        .scalar(
            "a day such as 2026-12-06", pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            parse: { text in
                guard text.utf8.count == 10, (try? Date(text + "T00:00:00Z", strategy: .iso8601)) != nil else {
                    return nil
                }
                return text
            })
    }
}
