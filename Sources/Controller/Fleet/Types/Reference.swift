import BasculeModel

/// A value that does not stand in the file: `!binding`, `!secret` or `!generate`.
package enum Reference: Sendable, Hashable {
    /// Another service's endpoint: `!binding database.shop`.
    case binding(Binding)
    /// Set with `bascule secret set NAME`.
    case secret(SecretName)
    /// Made once by Bascule and kept.
    case generate(SecretName)
}

/// The endpoint that a binding names, and which part of it is wanted.
package struct Binding: Sendable, Hashable {
    /// What provides the endpoint.
    package enum Target: Sendable, Hashable {
        /// A database declared under `services.postgresql`, through PgBouncer where that is declared.
        case database(DatabaseName)
        /// A Redis instance declared under `services.redis`.
        case redis(RedisPurpose)
        /// Another app's HTTP endpoint.
        case app(AppName)
        /// The mail server declared under `services.mail`.
        case mail
    }

    /// The part of the endpoint. `database.shop` alone is the URL.
    package enum Aspect: String, Sendable, Hashable, CaseIterable {
        case url
        /// The database's own URL, past PgBouncer: for schema migrations, LISTEN and prepared statements.
        case direct
        case host, port, user, password, name
    }

    package var target: Target
    package var aspect: Aspect
    package init(_ target: Target, aspect: Aspect = .url) { (self.target, self.aspect) = (target, aspect) }
}

/// An environment variable's value.
package enum EnvValue: Sendable, Hashable {
    case literal(String)
    case reference(Reference)
}

/// A variable given to a template.
package indirect enum TemplateValue: Sendable, Hashable {
    case text(String)
    case integer(Int64)
    case number(Double)
    case flag(Bool)
    case list([TemplateValue])
    case map([String: TemplateValue])
    case reference(Reference)
}
