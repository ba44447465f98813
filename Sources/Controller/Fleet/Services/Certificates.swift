import BasculeModel

/// `services.certificates`: certificates of an ACME authority for every app's domains.
package struct Certificates: Sendable, Equatable {
    package enum Challenge: String, Sendable, Hashable, CaseIterable {
        case http = "http-01"
        case dns = "dns-01"
    }

    /// Where the authority writes to; nil registers without an address.
    package var email: String?
    /// The authority's directory. Default Let's Encrypt's.
    package var directory = "https://acme-v02.api.letsencrypt.org/directory"
    /// nil: dns-01 where a name server is known (here or in `migration.dns`) or a domain is a wildcard, else http-01.
    package var challenge: Challenge?
    /// Where dns-01 publishes; nil takes `migration.dns`.
    package var dns: Publishing?
    /// A PEM file of the fleet's folder with the roots that the directory's own certificate leads to.
    package var caBundle: String?
    /// What an authority asks for that knows its customers beforehand (RFC 8555, 7.3.4).
    package var account: ExternalAccount?
    package init() {}

    /// Where dns-01 writes its records.
    package struct Publishing: Sendable, Equatable {
        package var server = NameServer()
        /// How long the authority's resolvers may take to see a change. Default 30 s.
        package var propagation: Duration = .seconds(30)
        package init() {}
    }

    /// External account binding.
    package struct ExternalAccount: Sendable, Equatable {
        package var keyID = ""
        /// Holds the key in base64url.
        package var key: SecretName = ""
        package init() {}
    }
}

extension Certificates: Declared {
    static var about: String { "Certificates of an ACME authority, on the nodes with the role web" }
    static var fields: [Field<Certificates>] {
        let directory = Codec<String>.scalar(
            "an https URL", pattern: "^https://", show: { .text($0) },
            parse: { text in
                let plain = text.unicodeScalars.allSatisfy {
                    $0.isASCII && $0.value > 0x20 && $0.value < 0x7f && !"\"'`\\$".unicodeScalars.contains($0)
                }
                return text.hasPrefix("https://") && text.utf8.count > 8 && plain ? text : nil
            })
        let mail = TextRule(what: "a mail address", first: "A-Za-z0-9", rest: "A-Za-z0-9@._+-", limit: 254)
        return [
            .key("email", \.email, .name(mail), "Where the authority writes to"),
            .key("directory", \.directory, directory, "The authority's directory"),
            .key(
                "challenge", \.challenge, .choice(),
                "How the names are proved; dns-01 if absent and a name server is known"),
            .key("dns", \.dns, .object, "Where dns-01 publishes; the migration's name server if absent"),
            .key("caBundle", \.caBundle, .fleetPath, "Roots of the directory's own certificate, where not public"),
            .key("account", \.account, .object, "What an authority asks for that knows its customers beforehand"),
        ]
    }
}

extension Certificates.Publishing: Declared {
    static var about: String { "Where dns-01 writes its records" }
    static var fields: [Field<Certificates.Publishing>] {
        NameServer.keys(in: \.server) + [
            .key("propagation", \.propagation, .duration, "How long the authority may take to see a change")
        ]
    }
}

extension Certificates.ExternalAccount: Declared {
    static var about: String { "External account binding" }
    static var fields: [Field<Certificates.ExternalAccount>] {
        [
            .key("keyID", \.keyID, .name(.header), required: true, "The key's identifier"),
            .key("key", \.key, .secret, required: true, "Holds the key in base64url"),
        ]
    }
}
