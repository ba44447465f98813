import BasculeModel

/// What no single key of `services.mail` can tell.
extension FleetChecks {
    func mail(_ mail: Mail, _ fleet: Fleet) {
        let path = "services.mail"
        if let hostname = mail.hostname, !Self.isWithin(hostname, mail.domain) {
            reader.error(
                .fleetBadValue, "the mail server's name '\(hostname)' is not in the domain '\(mail.domain)'",
                at: value("\(path).hostname"),
                hint: "bounces are sent in its name: write for example mail.\(mail.domain)")
        }
        if let relay = mail.relay, (relay.user == nil) != (relay.password == nil) {
            let missing = relay.user == nil ? "user" : "password"
            reader.error(
                .fleetMissingKey, "the relay has no '\(missing)'", at: key("\(path).relay"),
                hint: "user and password go together; leave both out where the relay knows the node's address")
        }
        if !(.seconds(300) ... .seconds(604_800)).contains(mail.limits.queueLifetime) {
            reader.error(
                .fleetBadValue, "delivery is tried for 5m to 7d", at: value("\(path).limits.queueLifetime"),
                hint: "1d is enough for what an app sends")
        }
        if let warmUp = mail.warmUp, warmUp.perDay.isEmpty {
            reader.error(
                .fleetBadValue, "a warm-up of no days throttles nothing", at: value("\(path).warmUp.perDay"),
                hint: "leave perDay out for Bascule's schedule")
        }
        if let dns = mail.dns, !dns.zone.isEmpty, !Self.isWithin(mail.domain, dns.zone) {
            reader.error(
                .fleetDangling, "the domain '\(mail.domain)' is not in the zone '\(dns.zone)'",
                at: value("\(path).dns.zone"))
        }
        // An alias at the domain itself would be forwarded to ourselves for ever.
        for (part, target) in mail.receive?.aliases ?? [:] where mail.receive != nil {
            if target.hasSuffix("@\(mail.domain)") {
                loops(target, mail, at: value("\(path).receive.aliases.\(part)"))
            }
        }
        if mail.receive != nil, mail.admin.hasSuffix("@\(mail.domain)") {
            loops(mail.admin, mail, at: value("\(path).admin"))
        }
    }

    private func loops(_ address: String, _ mail: Mail, at span: Span) {
        let part = String(address.prefix { $0 != "@" })
        let target = mail.receive?.aliases[part]
        if let target, !target.hasSuffix("@\(mail.domain)") { return }
        reader.error(
            .fleetDangling, "mail to \(address) would come back to this very server", at: span,
            hint: "name a mailbox in another domain, or an alias that leads to one")
    }

    static func isWithin(_ name: String, _ zone: String) -> Bool { name == zone || name.hasSuffix(".\(zone)") }
}
