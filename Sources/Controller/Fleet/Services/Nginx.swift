import BasculeModel

/// `services.nginx`: the front of every app's domains.
package struct Nginx: Sendable, Equatable {
    /// Per client address; `nil` when `rateLimit: off`.
    package var rateLimit: RateLimit? = RateLimit()
    /// Default true, for text, JSON, JavaScript, CSS and SVG.
    package var gzip = true
    /// Largest request body. Default 10 MiB.
    package var clientMaxBody = ByteSize.mebibytes(10)
    /// Default 65 s.
    package var keepalive: Duration = .seconds(65)
    /// How long the upstream may take to answer. Default 60 s.
    package var proxyTimeout: Duration = .seconds(60)
    package init() {}

    /// Requests beyond `rate` queue up to `burst`, then get 429.
    package struct RateLimit: Sendable, Equatable {
        /// Default 20 r/s.
        package var rate = RequestRate(20, per: .second)
        /// Default 40.
        package var burst = 40
        package init() {}
    }
}

extension Nginx: Declared {
    static var about: String { "Nginx on the nodes with the role web" }
    static var fields: [Field<Nginx>] {
        [
            .key("rateLimit", \.rateLimit, .objectOrOff, "Limit per client address, or off"),
            .key("gzip", \.gzip, .flag, "Compress text, JSON, JavaScript, CSS and SVG"),
            .key("clientMaxBody", \.clientMaxBody, .size, "Largest request body"),
            .key("keepalive", \.keepalive, .duration, "How long an idle client connection stays open"),
            .key("proxyTimeout", \.proxyTimeout, .duration, "How long an app may take to answer"),
        ]
    }
}

extension Nginx.RateLimit: Declared {
    static var about: String { "A limit of requests per client address" }
    static var fields: [Field<Nginx.RateLimit>] {
        [
            .key("rate", \.rate, .rate, "Requests let through"),
            .key("burst", \.burst, .integer(0...100_000), "Requests queued beyond the rate before 429"),
        ]
    }
}

extension Codec where Value == Nginx.RateLimit? {
    /// A mapping, or the word `off`.
    static var objectOrOff: Codec {
        let object = Codec<Nginx.RateLimit>.object
        return Codec(
            "a mapping, or off",
            schema: { .object([("oneOf", .list([.object([("const", .text("off"))]), object.schema()]))]) },
            read: { node, reader in
                if case .scalar("off", _) = node.content { return .some(nil) }
                return object.read(node, reader).map { .some($0) }
            })
    }
}
