import BasculeModel

extension Migration: Declared {
    static var about: String { "The way from the old world to this fleet" }
    static var fields: [Field<Migration>] {
        [
            .key("edge", \.edge, .edge, "Who shows the old maintenance page and later proxies to the active side"),
            .key("sources", \.sources, .map(.source, { SourceName($0) }, .source), "The data to bring, by name"),
            .key("dns", \.dns, .object, "How names move to the new side"),
            .key("window", \.window, .object, "When the outage may be"),
            .key("rollback", \.rollback, .object, "When to go back, and what it may cost"),
            .key(
                "finalBackup", \.finalBackup, .choice(),
                "Archives of the sources: a first one beside the copy, the last one of the fenced source beside the watch (parallel) or before the sync (before)"
            ),
            .key(
                "drill", \.drill, .choice(),
                "Whether nothing is copied before the declared backups were restored by a fresh bascule snapshot drill"),
            .key("approve", \.approve, .choice(), "Who answers the go/no-go"),
            .key("customers", \.customers, .object, "Whom to tell, and when"),
            .key(
                "testAlert", \.testAlert, .duration,
                "The freeze begins only if a test alert has reached the administrator within this time"),
        ]
    }
}

extension EdgeNode: Declared {
    static var about: String { "An old front server that Bascule may configure" }
    static var fields: [Field<EdgeNode>] {
        [
            .key("node", \.node, .name(.node), required: true, "Its name under 'nodes'"),
            .key("upstream", \.upstream, .endpoint, "Where it proxies to today; what a rollback restores"),
            .key("certificate", \.certificate, .absolutePath, "The certificate chain that it serves the domains with"),
            .key("certificateKey", \.certificateKey, .absolutePath, "That certificate's private key"),
        ]
    }
}

extension EdgeHooks: Declared {
    static var about: String { "Commands, run here, for an edge that Bascule cannot configure" }
    static var fields: [Field<EdgeHooks>] {
        [
            .key("maintenance", \.maintenance, .command, required: true, "Shows the maintenance page"),
            .key("restore", \.restore, .command, required: true, "Takes it away again, the old app serving"),
            .key("proxy", \.proxy, .command, "Sends traffic to the address given as its last argument"),
        ]
    }
}

private struct HookedEdge: Declared {
    var hooks = EdgeHooks()
    static var about: String { "An edge behind commands" }
    static var fields: [Field<HookedEdge>] {
        [.key("hooks", \.hooks, .object, required: true, "The commands")]
    }
}

extension Codec where Value == Edge {
    static var edge: Codec {
        .variant(
            "a mapping with 'node' or 'hooks'",
            [Variant("node", EdgeNode.self) { .node($0) }, Variant("hooks", HookedEdge.self) { .hooks($0.hooks) }])
    }
}

extension DNSSwitch: Declared {
    static var about: String { "How names move to the new side" }
    static var fields: [Field<DNSSwitch>] {
        [.key("zone", \.zone, .domain, required: true, "The zone that holds the names")]
            + NameServer.keys(in: \.server) + [
                .key(
                    "records", \.records, .map(.domainName, { $0 }, .object), "Each name's addresses after the switch"),
                .key("ttl", \.ttl, .duration, "Lowered to this before the switch"),
            ]
    }
}

extension TextRule {
    static let domainName = TextRule(what: "a host name", first: "a-z0-9*_", rest: "a-z0-9._-", limit: 253)
}

extension AddressRecords: Declared {
    static var about: String { "The addresses of a name" }
    static var fields: [Field<AddressRecords>] {
        let target = Codec<String>.host.map { text -> AddressTarget in
            HostText.isAddress(text) ? .address(text) : .node(NodeName(text))
        }
        return [
            .key("A", \.a, target, "A node or an IPv4 address"),
            .key("AAAA", \.aaaa, target, "A node or an IPv6 address"),
        ]
    }
}

extension Window: Declared {
    static var about: String { "When the outage may be" }
    static var fields: [Field<Window>] {
        [
            .key("start", \.start, .instant, "Its beginning; whenever it is applied if absent"),
            .key("length", \.length, .duration, "How long it may last"),
        ]
    }
}

extension RollbackPolicy: Declared {
    static var about: String { "When to go back, and what it may cost" }
    static var fields: [Field<RollbackPolicy>] {
        [
            .key("budget", \.budget, .duration, "A migration whose rollback takes longer does not start"),
            .key("watch", \.watch, .duration, "How long the criteria are watched after T0"),
            .key("ifAlone", \.ifAlone, .choice(), "What the conducting agent does when nobody answers"),
            .key("when", \.when, .object, "The criteria that trip it"),
            .key(
                "minimumUsers", \.minimumUsers, .integer(1...1_000_000), "Fewer distinct users than this decide nothing"
            ),
            .key(
                "newWrites", \.newWrites, .choice(),
                "What becomes of writes taken after T0; the operator is asked if absent"),
        ]
    }
}

extension RollbackCriteria: Declared {
    static var about: String { "Criteria; one that is absent is not watched" }
    static var fields: [Field<RollbackCriteria>] {
        [
            .key("usersUnableToLogIn", \.usersUnableToLogIn, .threshold, "Distinct users who only fail to log in"),
            .key("serverErrors", \.serverErrors, .threshold, "Answers 500 to 599 of all answers"),
            .key("dataLoss", \.dataLoss, .threshold, "Rows or keys that verification misses"),
            .key("journeysFailed", \.journeysFailed, .threshold, "Journeys that fail of those run"),
        ]
    }
}

extension Customers: Declared {
    static var about: String { "Whom to tell, and when" }
    static var fields: [Field<Customers>] {
        [
            .key("notice", \.notice, .duration, "How long before the window they are told"),
            .key("from", \.from, .line("a sender's address"), "The sender"),
            .key("database", \.database, .name(.postgres), "The database holding them"),
            .key("query", \.query, .line("a query"), "Selects one column of mail addresses"),
            .key("message", \.message, .fleetPath, "The message's template"),
        ]
    }
}
