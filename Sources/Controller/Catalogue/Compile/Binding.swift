import BasculeFleet
import BasculeModel

/// Bindings become addresses and credentials here, and nowhere else.
extension Compilation {
    /// Who asks for an endpoint: on which node, and where in the fleet file.
    struct Consumer {
        var node: NodeName
        var path: String
    }

    mutating func content(_ value: EnvValue, for consumer: Consumer) throws -> Content {
        switch value {
        case .literal(let text): Content(text)
        case .reference(let reference): try content(reference, for: consumer)
        }
    }

    mutating func content(_ reference: Reference, for consumer: Consumer) throws -> Content {
        switch reference {
        case .secret(let name):
            try note(name, .given)
            return .parts([.secret(name)])
        case .generate(let name):
            try note(name, .generated(length: Self.generatedLength))
            return .parts([.secret(name)])
        case .binding(let binding):
            switch binding.target {
            case .database(let name): return try database(name, binding.aspect, for: consumer)
            case .redis(let purpose): return try redis(purpose, binding.aspect, for: consumer)
            case .app(let name): return try app(name, binding.aspect, for: consumer)
            case .mail: return try mail(binding.aspect, for: consumer)
            }
        }
    }

    /// `!generate`: 48 characters of 62 are 285 bits.
    static var generatedLength: Int { 48 }
    /// Passwords between services: 32 characters of 62 are 190 bits.
    static var passwordLength: Int { 32 }

    private mutating func database(
        _ name: DatabaseName, _ aspect: BasculeFleet.Binding.Aspect, for consumer: Consumer
    ) throws -> Content {
        guard let endpoint = output.databases[name] else { throw unplaced("database \(name)", "database", consumer) }
        guard let password = endpoint.password else {
            throw BasculeError(
                .invalidInput, "database \(name) belongs to the superuser, who logs in by no password",
                at: place(consumer.path), hint: "give it an owner of its own")
        }
        let isDirect = aspect == .direct || fleet.services.pgbouncer == nil
        let port = isDirect ? endpoint.port : fleet.services.pgbouncer?.port ?? endpoint.port
        let isRemote = endpoint.node != consumer.node
        let host = try host(of: endpoint.node, visit: isDirect ? .postgresql : .pgbouncer, for: consumer)
        switch aspect {
        case .url, .direct:
            let tail = "@\(bracketed(host)):\(port)/\(name)" + (isRemote ? "?sslmode=require" : "")
            return .parts([.text("postgresql://\(endpoint.owner):"), .secret(password), .text(tail)])
        case .host: return Content(host)
        case .port: return Content("\(port)")
        case .user: return Content(endpoint.owner)
        case .password: return .parts([.secret(password)])
        case .name: return Content(name.rawValue)
        }
    }

    private mutating func redis(
        _ purpose: RedisPurpose, _ aspect: BasculeFleet.Binding.Aspect, for consumer: Consumer
    ) throws -> Content {
        guard let endpoint = output.redis[purpose] else {
            throw unplaced("Redis instance \(purpose.rawValue)", "cache", consumer)
        }
        let host = try host(of: endpoint.node, visit: .redis(purpose), for: consumer)
        switch aspect {
        case .url, .direct:
            return .parts([
                .text("redis://\(endpoint.user):"), .secret(endpoint.password),
                .text("@\(bracketed(host)):\(endpoint.port)/0"),
            ])
        case .host: return Content(host)
        case .port: return Content("\(endpoint.port)")
        case .user: return Content(endpoint.user)
        case .password: return .parts([.secret(endpoint.password)])
        case .name: return "0"
        }
    }

    /// On its own node without a login; apps of other nodes log in over TLS, whose certificate nobody vouches for yet.
    private mutating func mail(_ aspect: BasculeFleet.Binding.Aspect, for consumer: Consumer) throws -> Content {
        guard let endpoint = output.mail else { throw unplaced("mail", "mail", consumer) }
        let host = try host(of: endpoint.node, visit: .mail, for: consumer)
        let isRemote = endpoint.node != consumer.node
        if isRemote { try note(Self.mailPassword, .generated(length: Self.passwordLength)) }
        switch aspect {
        case .host: return Content(host)
        case .port: return Content("\(endpoint.port)")
        case .user: return Content(isRemote ? Self.mailUser : "")
        case .password: return isRemote ? .parts([.secret(Self.mailPassword)]) : ""
        case .url, .direct, .name:
            guard isRemote else { return Content("smtp://\(host):\(endpoint.port)") }
            let tail = "@\(bracketed(host)):\(endpoint.port)?requireTLS=true&tls.rejectUnauthorized=false"
            return .parts([.text("smtp://\(Self.mailUser):"), .secret(Self.mailPassword), .text(tail)])
        }
    }

    /// Another app, by its first instance: apps that need every instance go through the domain.
    private func app(
        _ name: AppName, _ aspect: BasculeFleet.Binding.Aspect, for consumer: Consumer
    ) throws -> Content {
        guard let app = fleet.apps[name], topology.nodes(with: .app).contains(consumer.node) else {
            throw unplaced("app \(name)", "app", consumer)
        }
        switch aspect {
        case .url, .direct: return Content("http://127.0.0.1:\(app.port)")
        case .host: return "127.0.0.1"
        case .port: return Content("\(app.port)")
        case .name: return Content(name.rawValue)
        case .user, .password:
            throw BasculeError(.invalidInput, "an app's endpoint has no \(aspect.rawValue)", at: place(consumer.path))
        }
    }

    /// The host by which a consumer reaches a service; a consumer on another node is remembered.
    private mutating func host(of node: NodeName, visit: Visit, for consumer: Consumer) throws -> String {
        guard node != consumer.node else { return "127.0.0.1" }
        let address = try address(node, neededBy: consumer.path)
        _ = try self.address(consumer.node, neededBy: consumer.path)
        visitors[visit, default: []].insert(consumer.node)
        if case .redis = visit {
            let warning = BasculeError(
                .catalogueUnencrypted, "traffic from \(consumer.node) to \(node) is authenticated but not encrypted",
                at: place(consumer.path), hint: "keep both on one node, or join them by a private network")
            if !output.warnings.contains(warning) { output.warnings.append(warning) }
        }
        return address
    }

    private func unplaced(_ what: String, _ role: String, _ consumer: Consumer) -> BasculeError {
        BasculeError(
            .catalogueUnplaced, "\(what) is bound, but no node of topology \(fleet.activeTopology) runs it",
            at: place(consumer.path), hint: "give a node the role \(role)")
    }

    private func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
}
