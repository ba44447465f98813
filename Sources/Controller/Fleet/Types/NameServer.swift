import BasculeModel

/// The primary name server of a zone, changed by RFC 2136. A migration's switch, the records of mail and dns-01 each have
/// one; its keys stand among theirs.
package struct NameServer: Sendable, Equatable {
    package enum Provider: String, Sendable, Hashable, CaseIterable { case rfc2136 }
    package var provider = Provider.rfc2136
    /// An address, a host name, or a node.
    package var host = ""
    package var port = 53
    /// The secret holding `[ALGORITHM:]NAME:BASE64`, as `dig -y` takes it.
    package var tsig: SecretName = ""
    package init() {}

    /// Its keys, for the table of the type that has it.
    static func keys<Owner: Declared>(in path: WritableKeyPath<Owner, NameServer>) -> [Field<Owner>] {
        [
            .key("provider", path.appending(path: \.provider), .choice(), "How the zone is changed"),
            .key(
                "server", path.appending(path: \.host), .host, required: true,
                "The primary name server: an address, a host name, or a node"),
            .key("port", path.appending(path: \.port), .port, "Its port"),
            .key(
                "tsig", path.appending(path: \.tsig), .secret, required: true,
                "Holds [ALGORITHM:]NAME:BASE64, as dig -y takes it"),
        ]
    }
}
