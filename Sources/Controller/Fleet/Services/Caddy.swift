import BasculeModel

/// `services.caddy`: the other front of every app's domains, instead of Nginx.
package struct Caddy: Sendable, Equatable {
    package var hsts = HSTS.afterWatch
    /// Compress what the app sends, pages included (BREACH). Default false: files alone, told by their names.
    package var compressPages = false
    /// Largest request body. Default 10 MiB.
    package var clientMaxBody = ByteSize.mebibytes(10)
    /// How long the app may take to answer. Default 60 s.
    package var proxyTimeout: Duration = .seconds(60)
    package init() {}
}

extension Caddy: Declared {
    static var about: String { "Caddy on the nodes with the role web, instead of nginx" }
    static var fields: [Field<Caddy>] {
        [
            .key("hsts", \.hsts, .hsts, "Strict-Transport-Security: from when, off, or for how long"),
            .key("compressPages", \.compressPages, .flag, "Compress pages, too (BREACH)"),
            .key("clientMaxBody", \.clientMaxBody, .size, "Largest request body"),
            .key("proxyTimeout", \.proxyTimeout, .duration, "How long an app may take to answer"),
        ]
    }
}
