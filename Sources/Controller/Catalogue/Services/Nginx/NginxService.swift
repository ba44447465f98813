import BasculeFleet
import BasculeModel

/// `services.nginx` on every node with the role `web`.
extension Compilation {
    static var nginxOrigin: String { "service nginx" }
    static var nginxFolder: String { "/etc/nginx/bascule" }
    /// One port for all apps; the Host header chooses.
    static var innerPort: Int { 8081 }

    /// The block that the agent writes at deployment, and the site's variable names.
    static func upstream(_ app: AppName) -> String { "bascule_\(app)" }
    /// Its folder is also where the flags of instances that are passed over stand. Caddy reads the flags alone.
    func upstreamFile(_ app: AppName) -> String {
        "\(fleet.services.caddy == nil ? Self.nginxFolder : Self.caddyFolder)/upstream-\(app).conf"
    }

    /// Whether a web server is declared, Nginx or Caddy.
    var hasFront: Bool { fleet.services.nginx != nil || fleet.services.caddy != nil }

    /// Whether an app on this node stands behind its web server.
    func isServed(_ app: App, on node: NodeName) -> Bool {
        hasFront && !app.domains.isEmpty && topology.roles(of: node).contains(.web)
    }

    mutating func placeNginx() throws {
        guard let service = fleet.services.nginx else { return }
        for node in topology.nodes(with: .web) { try placeNginx(service, on: node) }
    }

    /// What Nginx's unit needs and reads, collected while its files are placed.
    struct NginxParts {
        var watched: [String] = []
        var needed: [ResourceID] = []
    }

    private mutating func placeNginx(_ service: Nginx, on node: NodeName) throws {
        let origin = Self.nginxOrigin
        try packages(["nginx", "openssl", "logrotate"], on: node, origin: origin)
        for (port, purpose) in [(80, "nginx http"), (443, "nginx https")] {
            openings[node, default: []].append(
                Opening(rule: .init(.tcp, port, purpose: purpose), origin: origin))
        }
        let apps = try servedApps(on: node)
        var parts = NginxParts()
        for path in [Self.nginxFolder, "\(Self.nginxFolder)/pages", "\(Self.nginxFolder)/pages/.bascule"] {
            try add(.directory(DirectorySpec(path)), on: node, origin: origin)
        }
        // The workers read the pairs of an authority themselves, at each handshake.
        let tls = DirectorySpec(
            "\(Self.nginxFolder)/tls", permissions: Permissions(owner: "root", group: "www-data", mode: 0o750))
        try add(.directory(tls), on: node, origin: origin)
        for page in ["maintenance", "unavailable"] {
            let file = FileSpec(
                "\(Self.nginxFolder)/pages/.bascule/\(page).html", try render("nginx-\(page).html", [:]))
            try add(.file(file), on: node, origin: origin)
            parts.needed.append(Resource.file(file).id(on: node))
        }
        try add(
            .file(FileSpec("/etc/logrotate.d/bascule-nginx", try render("nginx-logrotate", [:]))), on: node,
            origin: origin)
        let logs = FileSpec(
            "/etc/tmpfiles.d/bascule-nginx.conf",
            "# Managed by Bascule.\nz /var/log/nginx/bascule-*.json 0640 www-data adm\n")
        try add(.file(logs), on: node, origin: origin)
        parts.needed.append(Resource.file(logs).id(on: node))
        // Debian's welcome page would be the default server, which is ours.
        let welcome = Resource.symlink(
            SymlinkSpec(
                "/etc/nginx/sites-enabled/default", target: "/etc/nginx/sites-available/default", state: .absent))
        try add(welcome, on: node, origin: origin)
        parts.needed.append(welcome.id(on: node))
        for (name, app) in apps { try placeSite(name, app, service, on: node, &parts) }
        for (path, content) in [
            ("/etc/nginx/nginx.conf", try mainNginx(service, on: node)),
            ("/etc/nginx/conf.d/bascule.conf", try sharedNginx(service, on: node)),
        ] {
            try add(.file(FileSpec(path, content)), on: node, origin: origin)
            parts.watched.append(path)
        }
        parts.needed += try placeCertificates(on: node, server: "nginx", group: "www-data")
        let isHomeServed = apps.contains { $0.1.files.values.contains { $0.folder.hasPrefix("/home/") } }
        let hardening = try render(
            "nginx-hardening.conf", ["protectHome": .text(isHomeServed ? "read-only" : "true")])
        try add(
            .unit(
                UnitSpec(
                    "nginx.service", dropIns: ["10-bascule.conf": hardening], reloadOn: parts.watched,
                    check: ["nginx", "-t", "-q"])),
            on: node, requires: parts.needed, origin: origin)
        reserveNginx(service, on: node)
        let status = "http://127.0.0.1:\(Self.innerPort)/.bascule/nginx-status"
        try probe(
            "nginx", on: node, .http(url: status, host: nil, status: 200), unit: "nginx.service", origin: origin)
        try probeHandshake(with: "nginx", apps, on: node, origin: origin)
    }

    /// A whole handshake under a site's name; without a site there is nothing to shake hands for.
    mutating func probeHandshake(
        with server: String, _ apps: [(AppName, App)], on node: NodeName, origin: String
    ) throws {
        guard let site = apps.first?.1.domains.first else { return }
        let name = site.hasPrefix("*.") ? "www.\(site.dropFirst(2))" : site
        let hello = ["openssl", "s_client", "-brief", "-connect", "127.0.0.1:443", "-servername", name]
        try probe(
            "\(server).tls", on: node, .command(hello, user: "nobody"), unit: "\(server).service", origin: origin)
    }

    /// The apps with domains, which a node with the role `web` serves.
    func servedApps(on node: NodeName) throws -> [(AppName, App)] {
        let apps = fleet.apps.filter { !$0.value.domains.isEmpty }.sorted { $0.key < $1.key }
        if let app = apps.first, !topology.roles(of: node).contains(.app) {
            throw BasculeError(
                .catalogueLater,
                "node \(node) serves the web but runs no app: traffic between them comes with a later version",
                at: place("topologies.\(fleet.activeTopology).\(node)"),
                hint: "give \(node) the role app too, so that \(app.key) runs beside its web server")
        }
        return apps.map { ($0.key, $0.value) }
    }

    private func mainNginx(_ service: Nginx, on node: NodeName) throws -> Content {
        try render(
            "nginx.conf",
            [
                "workerConnections": .integer(Self.workerConnections(service)),
                "keepalive": .text(Self.seconds(service.keepalive)),
                "clientMaxBody": .text("\(service.clientMaxBody.bytes)"), "curves": .text(release(node).curves),
            ])
    }

    private func sharedNginx(_ service: Nginx, on node: NodeName) throws -> Content {
        let trusted = try trustedProxies(service.cdn, on: node)
        return try render(
            "nginx-bascule.conf",
            [
                "rateLimit": service.rateLimit.map {
                    // A page asks for its files all at once: five times as many of them as of pages.
                    .map([
                        "rate": .text($0.rate.text),
                        "filesRate": .text(RequestRate($0.rate.count * 5, per: $0.rate.period).text),
                    ])
                } ?? false,
                "loginLimit": service.loginLimit.map { .map(["rate": .text($0.rate.text)]) } ?? false,
                "connectionLimit": .flag(service.connectionLimit != nil), "gzip": .flag(service.gzip != .off),
                "hsts": hstsSeconds(service.hsts).map { .map(["maxAge": .integer($0)]) } ?? false,
                "hasTrusted": .flag(!trusted.networks.isEmpty), "trusted": .texts(trusted.networks),
                "trustedWhy": .text(trusted.why), "http2Directive": .flag(release(node).nginxHasHTTP2Directive),
                "innerPort": .integer(Self.innerPort),
            ])
    }

    static func workerConnections(_ service: Nginx) -> Int { max(1024, 2 * service.connections) }

    /// Master 6 MiB, a worker 8 MiB, five shared zones of 4 MiB, and for each client 64 KiB: a TLS session (about 24),
    /// the request's pools (4) and the answer's buffers (`proxy_buffers` 8 × 4 KiB and `proxy_buffer_size` 4 KiB).
    private mutating func reserveNginx(_ service: Nginx, on node: NodeName) {
        let workers = cpus(node)
        let bytes = (6 + workers * 8 + 5 * 4) << 20 + service.connections * 64 << 10
        reserve(
            bytes, for: "nginx", on: node,
            why: "6 MiB + \(workers) workers × 8 MiB + 5 zones × 4 MiB + \(service.connections) clients × 64 KiB")
    }

    /// The pair of an app: one file for both where certificates are issued, so that it changes in one instant.
    func certificate(_ app: AppName) -> String {
        "\(Self.nginxFolder)/tls/\(app).\(fleet.services.certificates == nil ? "crt" : "pem")"
    }
    func key(_ app: AppName) -> String {
        "\(Self.nginxFolder)/tls/\(app).\(fleet.services.certificates == nil ? "key" : "pem")"
    }
}
