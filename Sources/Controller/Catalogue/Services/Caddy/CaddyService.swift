import BasculeFleet
import BasculeModel

/// `services.caddy` on every node with the role `web`: the same apps, domains and certificates as with Nginx.
extension Compilation {
    static var caddyOrigin: String { "service caddy" }
    static var caddyFolder: String { "/etc/caddy/bascule" }

    mutating func placeCaddy() throws {
        guard let service = fleet.services.caddy else { return }
        if fleet.migration != nil {
            throw BasculeError(
                .catalogueLater, "a migration reads Nginx's access log, and Caddy's is another",
                at: place("services.caddy"), hint: "declare nginx until the migration is over")
        }
        for node in topology.nodes(with: .web) { try placeCaddy(service, on: node) }
    }

    private mutating func placeCaddy(_ service: Caddy, on node: NodeName) throws {
        let origin = Self.caddyOrigin
        let apps = try servedApps(on: node)
        try packages(["caddy", "openssl"], on: node, origin: origin)
        for (port, purpose) in [(80, "caddy http"), (443, "caddy https")] {
            openings[node, default: []].append(
                Opening(rule: .init(.tcp, port, purpose: purpose), origin: origin))
        }
        // The agent's flags of closed domains stand in the same place whichever server reads them.
        for (path, group, mode) in [
            ("/etc/nginx", "root", 0o755), (Self.nginxFolder, "root", 0o755), (Self.caddyFolder, "root", 0o755),
            ("\(Self.caddyFolder)/pages", "root", 0o755), ("\(Self.caddyFolder)/tls", "caddy", 0o750),
        ] {
            let spec = DirectorySpec(path, permissions: Permissions(owner: "root", group: group, mode: mode))
            try add(.directory(spec), on: node, origin: origin)
        }
        var needed: [ResourceID] = []
        for page in ["maintenance", "unavailable"] {
            let file = Resource.file(
                FileSpec("\(Self.caddyFolder)/pages/\(page).html", try render("nginx-\(page).html", [:])))
            try add(file, on: node, origin: origin)
            needed.append(file.id(on: node))
        }
        needed += try placeCertificates(on: node, server: "caddy", group: "caddy")
        let path = "/etc/caddy/Caddyfile"
        try add(.file(FileSpec(path, try caddyfile(service, apps))), on: node, origin: origin)
        try add(
            .unit(
                UnitSpec(
                    "caddy.service",
                    dropIns: ["10-bascule.conf": try render("caddy-hardening.conf", ["config": .text(path)])],
                    reloadOn: [path],
                    check: ["runuser", "-u", "caddy", "--", "caddy", "validate", "--config", path])),
            on: node, requires: needed, origin: origin)
        for (_, app) in apps { try letRead(app, user: "caddy", on: node) }
        // A Go program's heap at rest, and what 512 clients hold: a TLS session and the copying's buffers.
        reserve((48 + 32) << 20, for: "caddy", on: node, why: "48 MiB + 512 clients × 64 KiB")
        try probe(
            "caddy", on: node,
            .http(url: "http://127.0.0.1:\(Self.innerPort)/.bascule/status", host: nil, status: 200),
            unit: "caddy.service", origin: origin)
    }

    private func caddyfile(_ service: Caddy, _ apps: [(AppName, App)]) throws -> Content {
        let seconds = hstsSeconds(service.hsts)
        func names(_ app: App, _ scheme: String, _ port: String = "") -> Variable {
            .text(app.domains.map { "\(scheme)://\($0)\(port)" }.joined(separator: ", "))
        }
        return try render(
            "Caddyfile",
            [
                "autoHTTPS": .text(fleet.services.certificates == nil ? "disable_redirects" : "disable_certs"),
                "firstDomain": .text(apps.first?.1.domains.first ?? "localhost"), "innerPort": .integer(Self.innerPort),
                "apps": .list(
                    apps.map { name, app in
                        .map([
                            "app": .text(name.rawValue), "clientMaxBody": .text("\(service.clientMaxBody.bytes)"),
                            "upstreams": .text(
                                (0..<app.instances).map { "127.0.0.1:\(app.port + $0)" }.joined(separator: " ")),
                            "health": .text(app.health?.path ?? "/"), "hideHSTS": false,
                            "proxyTimeout": .text(Self.seconds(service.proxyTimeout)),
                            "challenges": asksOverHTTP ? .list([.text(Self.challengeFolder)]) : false,
                            "httpNames": names(app, "http"), "httpsNames": names(app, "https"),
                            "innerNames": names(app, "http", ":\(Self.innerPort)"),
                            "tls": .text(
                                fleet.services.certificates == nil
                                    ? "internal"
                                    : "\(Self.caddyFolder)/tls/\(name).pem \(Self.caddyFolder)/tls/\(name).pem"),
                            "hsts": seconds.map { .list([.integer($0)]) } ?? false,
                            "pages": .flag(service.compressPages),
                            "folders": .list(
                                app.files.sorted { $0.key < $1.key }.map { url, folder in
                                    .map([
                                        "url": .text(Self.slashed(url)),
                                        "folder": .text(Self.slashed(place(folder, of: name))),
                                        "maxAge": .integer(Self.wholeSeconds(folder.maxAge)),
                                        "trusted": .flag(folder.trusted),
                                    ])
                                }),
                        ])
                    }),
            ])
    }
}
