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
