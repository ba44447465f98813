import BasculeModel

/// `services.nginx`: the front of every app's domains.
package struct Nginx: Sendable, Equatable {
    /// What is compressed. Compressing a page that holds a secret beside the visitor's own words tells it (BREACH).
    package enum Gzip: Sendable, Hashable { case off, files, dynamic }

    /// Per client address; `nil` when `rateLimit: off`.
    package var rateLimit: RateLimit? = RateLimit()
    /// Per client address, on the apps' declared login paths; `nil` when `loginLimit: off`.
    package var loginLimit: LoginLimit? = LoginLimit()
    /// Requests of one address at the same time (HTTP/2 counts each of its streams); `nil` when off. Default 200.
    package var connectionLimit: Int? = 200
    /// Clients served at the same time. Default 512.
    package var connections = 512
    /// Default: files of the kinds that compress, by their names.
    package var gzip = Gzip.files
    package var hsts = HSTS.afterWatch
    /// Whose word for the client's address is taken.
    package var cdn = CDN.none
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

    /// The same where customers log in: guessing a password takes many tries, knowing it takes few.
    package struct LoginLimit: Sendable, Equatable {
        /// Default 10 r/m.
        package var rate = RequestRate(10, per: .minute)
        /// Default 10.
        package var burst = 10
        package init() {}
    }
}

/// When browsers are told to come by TLS only, which cannot be taken back before its time is over.
package enum HSTS: Sendable, Equatable {
    /// Two years (Mozilla's 63072000 s) once a declared migration's watch has ended; at once where there is none.
    case afterWatch
    case off
    case always(Duration)
}

/// A content delivery network in front of the nodes.
package enum CDN: Sendable, Equatable {
    case none, cloudflare
    /// The networks that its requests come from.
    case networks([String])
}

extension Nginx: Declared {
    static var about: String { "Nginx on the nodes with the role web" }
    static var fields: [Field<Nginx>] {
        [
            .key("rateLimit", \.rateLimit, .orOff(.object), "Limit per client address, or off"),
            .key(
                "loginLimit", \.loginLimit, .orOff(.object), "Limit per client address on the apps' login paths, or off"
            ),
            .key(
                "connectionLimit", \.connectionLimit, .orOff(.integer(1...100_000)),
                "Requests of one client address at the same time, or off"),
            .key("connections", \.connections, .integer(64...32_768), "Clients served at the same time"),
            .key("gzip", \.gzip, .gzip, "Compress files by their names; pages too with {dynamic: true} (BREACH)"),
            .key("hsts", \.hsts, .hsts, "Strict-Transport-Security: from when, off, or for how long"),
            .key("cdn", \.cdn, .cdn, "Whose word for the client's address is taken"),
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

extension Nginx.LoginLimit: Declared {
    static var about: String { "A limit of requests to the login path per client address" }
    static var fields: [Field<Nginx.LoginLimit>] {
        [
            .key("rate", \.rate, .rate, "Requests let through"),
            .key("burst", \.burst, .integer(0...100_000), "Requests let through beyond the rate before 429"),
        ]
    }
}

/// `gzip: {dynamic: true}`.
private struct GzipKeys: Declared {
    var dynamic = false
    static var about: String { "What is compressed" }
    static var fields: [Field<GzipKeys>] {
        [.key("dynamic", \.dynamic, .flag, "Also what the app makes anew for each visitor (BREACH)")]
    }
}

extension Codec where Value == Nginx.Gzip {
    static var gzip: Codec {
        let object = Codec<GzipKeys>.object
        let flag = Codec<Bool>.flag
        return Codec(
            "true, false, or a mapping",
            schema: { .object([("oneOf", .list([flag.schema(), object.schema()]))]) },
            show: { $0 == .files ? .flag(true) : nil },
            read: { node, reader in
                if case .scalar = node.content { return flag.read(node, reader).map { $0 ? .files : .off } }
                return object.read(node, reader).map { $0.dynamic ? .dynamic : .files }
            })
    }
}

extension Codec where Value == HSTS {
    static var hsts: Codec {
        .scalar(
            "'afterWatch', 'off', or a duration such as 365d", pattern: "^(afterWatch|off|([0-9]{1,9}(ms|s|m|h|d))+)$",
            hint: "a browser keeps to it for as long: begin with 1d",
            show: { $0 == .afterWatch ? .text("afterWatch") : nil },
            parse: { text in
                switch text {
                case "afterWatch": .afterWatch
                case "off": .off
                default: UnitText.duration(text).map { .always($0) }
                }
            })
    }
}

extension Codec where Value == CDN {
    static var cdn: Codec {
        let networks = Codec<[String]>.oneOrMore(.network)
        return Codec(
            "'off', 'cloudflare', or the networks of another",
            schema: {
                .object([
                    (
                        "oneOf",
                        .list([
                            .object([("enum", .list([.text("off"), .text("cloudflare")]))]),
                            .object([("type", .text("array")), ("items", Codec<String>.network.schema())]),
                        ])
                    )
                ])
            },
            show: { $0 == .none ? .text("off") : nil },
            read: { node, reader in
                switch node.content {
                case .scalar("off", _): return CDN.none
                case .scalar("cloudflare", _): return .cloudflare
                default: return networks.read(node, reader).map { .networks($0) }
                }
            })
    }
}

extension Codec {
    /// What another codec reads, or the word `off` for nil.
    static func orOff<Item>(_ item: Codec<Item>) -> Codec where Value == Item? {
        Codec(
            "\(item.expected), or off",
            schema: { .object([("oneOf", .list([.object([("const", .text("off"))]), item.schema()]))]) },
            show: { $0.flatMap(item.show) },
            read: { node, reader in
                if case .scalar("off", _) = node.content { return .some(nil) }
                return item.read(node, reader).map { .some($0) }
            })
    }
}
