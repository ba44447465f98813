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
        for (name, app) in apps where app.login != nil {
            output.warnings.append(
                BasculeError(
                    .catalogueLater, "Debian's Caddy limits no requests: who guesses passwords of \(name) may go on",
                    at: place("apps.\(name).login"), hint: "take nginx, or let the app limit its logins itself"))
        }
        try packages(["caddy", "openssl"], on: node, origin: origin)
        for (port, purpose) in [(80, "caddy http"), (443, "caddy https")] {
            openings[node, default: []].append(
                Opening(rule: .init(.tcp, port, purpose: purpose), origin: origin))
        }
        for (path, group, mode) in [
            (Self.caddyFolder, "root", 0o755), ("\(Self.caddyFolder)/pages", "root", 0o755),
            ("\(Self.caddyFolder)/tls", "caddy", 0o750),
        ] {
            let spec = DirectorySpec(path, permissions: Permissions(owner: "root", group: group, mode: mode))
            try add(.directory(spec), on: node, origin: origin)
        }
        // Caddy's own check opens the logs, before its unit has ever made their folder.
        let logs = DirectorySpec(
            "/var/log/caddy", permissions: Permissions(owner: "caddy", group: "caddy", mode: 0o750))
        try add(.directory(logs), on: node, origin: origin)
        var needed = [Resource.directory(logs).id(on: node)]
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
        try probeHandshake(with: "caddy", apps, on: node, origin: origin)
    }

    private func caddyfile(_ service: Caddy, _ apps: [(AppName, App)]) throws -> Content {
        try render(
            "Caddyfile",
            [
                "autoHTTPS": .text(fleet.services.certificates == nil ? "disable_redirects" : "disable_certs"),
                "innerPort": .integer(Self.innerPort), "apps": .list(apps.map { .map(caddySite($0, $1, service)) }),
            ])
    }

    private func caddySite(_ name: AppName, _ app: App, _ service: Caddy) -> [String: Variable] {
        func names(_ scheme: String, _ port: String = "") -> Variable {
            .text(app.domains.map { "\(scheme)://\($0)\(port)" }.joined(separator: ", "))
        }
        func addresses(_ ports: [Int]) -> Variable { .text(ports.map { "127.0.0.1:\($0)" }.joined(separator: " ")) }
        let ports = AppRuntime.ports(app)
        let pair = "\(Self.caddyFolder)/tls/\(name).pem"
        return [
            "app": .text(name.rawValue), "clientMaxBody": .text("\(service.clientMaxBody.bytes)"),
            "upstreams": addresses(ports),
            "instances": .list(
                (ports.count > 1 ? ports : []).map { port in
                    .map(["port": .integer(port), "others": addresses(ports.filter { $0 != port })])
                }),
            "proxyTimeout": .text(Self.seconds(service.proxyTimeout)),
            "challenges": asksOverHTTP ? .list([.text(Self.challengeFolder)]) : false,
            "httpNames": names("http"), "httpsNames": names("https"),
            "innerNames": names("http", ":\(Self.innerPort)"),
            "tls": .text(fleet.services.certificates == nil ? "internal" : "\(pair) \(pair)"),
            "hsts": hstsSeconds(service.hsts).map { .list([.integer($0)]) } ?? false,
            "pages": .flag(service.compressPages),
            "folders": .list(
                app.files.sorted { $0.key < $1.key }.map { url, folder in
                    .map([
                        "url": .text(Self.slashed(url)), "folder": .text(Self.slashed(place(folder, of: name))),
                        "maxAge": .integer(Self.wholeSeconds(folder.maxAge)), "trusted": .flag(folder.trusted),
                    ])
                }),
        ]
    }
}
