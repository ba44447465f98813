import BasculeModel

/// The whole stack of one shop on one server, as `bascule init` writes it.
package struct StackTemplate: Sendable, Equatable {
    package var name = "shop"
    /// nil for a throwaway node on this machine.
    package var address: String? = "203.0.113.10"
    package var user = "root"
    /// Private key file; nil for ssh-agent.
    package var key: String?
    package var domain = "shop.example"
    /// Who gets alerts, and what the certificates' authority writes.
    package var email = "admin@shop.example"
    /// The app's sources, relative to the fleet file.
    package var source = "."
    package var start = "node server.js"
    package var port = 3000
    package var health = "/healthz"
    package var instances = 4
    package init() {}

    /// The file. A value that is no good there shows when it is parsed, which whoever writes it does first.
    package var text: String {
        let known = Set(Services.fields.map(\.key))
        let services = self.services.filter { known.contains($0.key) }
        let roles = Self.roles.filter { known.contains($0.needs) }.map(\.role).joined(separator: ", ")
        return """
            # The whole stack of one shop on one server. `bascule schema` gives every key to your editor, and each service's page
            # in docs/services says what its defaults are and why. Values of secrets never stand here: !secret NAME, !generate NAME.
            fleet: \(name)
            nodes:
              vps1: \(node)
              rehearsal: {provider: lab, image: debian12}   # a throwaway node: bascule apply --topology rehearsal --store rehearsal.db
            topologies:
              single: {vps1: [\(roles)]}
              rehearsal: {rehearsal: [\(roles)]}
            topology: single
            services:
            \(services.map { "  \($0.line)" }.joined(separator: "\n"))
            apps:
              \(name):
                source: {path: \(quoted(source))}
                packages: [nodejs, npm]
                build: ["npm ci --omit=dev"]                # without a shell, as the app's own user
                start: \(quoted(start))
                port: \(port)
                instances: \(instances)
                memory: 192MiB                             # of each; bascule plan --explain memory
                health: {path: \(quoted(health)), timeout: 30s}
                domains: [\(quoted(domain)), \(quoted("www.\(domain)"))]
                env:
                  NODE_ENV: production
                  DATABASE_URL: !binding database.\(name)
                  REDIS_URL: !binding redis.cache
                  QUEUE_URL: !binding redis.durable
                  SESSION_SECRET: !generate session
            costs:                                          # bascule cost
              before: {Supabase: 25, Upstash: 29, Resend: 10, Sentry: 7}
              after: {S3 Glacier: 2, Domain: 1}
              server: ovh-starter
              maintenance: {hours: 2, rate: 50}             # where you pay somebody for it
              once: {training: 400}
              target: 12

            """
    }

    private static let roles: [(role: String, needs: String)] = [
        ("database", "postgresql"), ("cache", "redis"), ("mail", "mail"), ("web", "nginx"),
        ("app", "postgresql"), ("monitoring", "monitoring"),
    ]

    private var node: String {
        guard let address else { return "{provider: lab, image: debian12}" }
        return "{address: \(quoted(address)), user: \(quoted(user))\(key.map { ", key: \(quoted($0))" } ?? "")}"
    }

    private var services: [(key: String, line: String)] {
        [
            (
                "postgresql",
                """
                postgresql:
                    databases: {\(name): {extensions: [citext, pgcrypto]}}
                    settings: {shared_buffers: 384MB}          # a tenth of 4 GB, which serve everything
                """
            ),
            ("pgbouncer", "pgbouncer: {poolMode: transaction}"),
            (
                "redis",
                """
                redis:
                    cache: {maxMemory: 128MiB, policy: allkeys-lru}
                    durable: {maxMemory: 64MiB}                 # queues and sessions: nothing is evicted
                """
            ),
            ("nginx", "nginx: {}"),
            ("certificates", "certificates: {email: \(quoted(email))}"),
            ("mail", "mail: {domain: \(quoted(domain)), admin: \(quoted(email))}"),
            ("monitoring", "monitoring: {mail: {to: [\(quoted(email))], from: \(quoted("alerts@\(domain)"))}}"),
            ("system", "system: {}"),
        ]
    }

    /// As YAML; in quotes only where a plain word would mean something else.
    private func quoted(_ text: String) -> String {
        let plain = text.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "._/@~-".utf8.contains(byte)
        }
        let isWord = text.utf8.contains { (97...122).contains($0) || (65...90).contains($0) }
        if plain, isWord, let first = text.utf8.first, (97...122).contains(first) || first == UInt8(ascii: "/") {
            return text
        }
        if text == "." { return text }
        if plain, text.split(separator: ".").count == 4 { return text }
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\\(scalar)"
            case _ where scalar.value < 32 || scalar.value == 127: out += "\u{FFFD}"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
