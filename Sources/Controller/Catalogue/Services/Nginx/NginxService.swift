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
    static func upstreamFile(_ app: AppName) -> String { "\(nginxFolder)/upstream-\(app).conf" }

    /// Whether an app on this node stands behind its Nginx.
    func isServed(_ app: App, on node: NodeName) -> Bool {
        fleet.services.nginx != nil && !app.domains.isEmpty && topology.roles(of: node).contains(.web)
    }

    mutating func placeNginx() throws {
        guard let service = fleet.services.nginx else { return }
        for node in topology.nodes(with: .web) { try placeNginx(service, on: node) }
    }

    private mutating func placeNginx(_ service: Nginx, on node: NodeName) throws {
        let origin = Self.nginxOrigin
        try packages(["nginx", "openssl", "logrotate"], on: node, origin: origin)
        for (port, purpose) in [(80, "nginx http"), (443, "nginx https")] {
            openings[node, default: []].append(
                Opening(rule: .init(.tcp, port, purpose: purpose), origin: origin))
        }
        let apps = fleet.apps.filter { !$0.value.domains.isEmpty }.sorted { $0.key < $1.key }
        if let app = apps.first, !topology.roles(of: node).contains(.app) {
            throw BasculeError(
                .catalogueLater,
                "node \(node) serves the web but runs no app: traffic between them comes with a later version",
                at: place("topologies.\(fleet.activeTopology).\(node)"),
                hint: "give \(node) the role app too, so that \(app.key) runs beside its Nginx")
        }
        var watched: [String] = []
        var needed: [ResourceID] = []
        for path in [Self.nginxFolder, "\(Self.nginxFolder)/pages", "\(Self.nginxFolder)/pages/.bascule"] {
            try add(.directory(DirectorySpec(path)), on: node, origin: origin)
        }
        let tls = DirectorySpec("\(Self.nginxFolder)/tls", permissions: Permissions(mode: 0o700))
        try add(.directory(tls), on: node, origin: origin)
        for page in ["maintenance", "unavailable"] {
            let file = FileSpec(
                "\(Self.nginxFolder)/pages/.bascule/\(page).html", try render("nginx-\(page).html", [:]))
            try add(.file(file), on: node, origin: origin)
            needed.append(Resource.file(file).id(on: node))
        }
        try add(
            .file(FileSpec("/etc/logrotate.d/bascule-nginx", try render("nginx-logrotate", [:]))), on: node,
            origin: origin)
        // Debian's welcome page would be the default server, which is ours.
        let welcome = Resource.symlink(
            SymlinkSpec(
                "/etc/nginx/sites-enabled/default", target: "/etc/nginx/sites-available/default", state: .absent))
        try add(welcome, on: node, origin: origin)
        needed.append(welcome.id(on: node))
        for (name, app) in apps { try placeSite(name, app, service, on: node, &watched, &needed) }
        let shared = "/etc/nginx/conf.d/bascule.conf"
        try add(.file(FileSpec(shared, try sharedNginx(service, apps.first?.key, on: node))), on: node, origin: origin)
        let limits: Content =
            "# Managed by Bascule: a proxied request holds two descriptors.\n[Service]\nLimitNOFILE=65536\n"
        try add(
            .unit(
                UnitSpec(
                    "nginx.service", dropIns: ["10-bascule.conf": limits], reloadOn: [shared] + watched,
                    check: ["nginx", "-t", "-q"])),
            on: node, requires: needed, origin: origin)
        output.probes.append(
            ServiceProbe(service: "nginx", node: node, check: .tcp(host: "127.0.0.1", port: Self.innerPort)))
    }

    private func sharedNginx(_ service: Nginx, _ first: AppName?, on node: NodeName) throws -> Content {
        var edge: String?
        if case .node(let old)? = fleet.migration?.edge, old.node != node { edge = context.addresses[old.node] }
        return try render(
            "nginx-bascule.conf",
            [
                "rateLimit": .flag(service.rateLimit != nil), "rate": .text(service.rateLimit?.rate.text ?? ""),
                "hasEdge": .flag(edge != nil), "edge": .text(edge ?? ""), "hasTLS": .flag(first != nil),
                "certificate": .text(first.map { Self.certificate($0) } ?? ""),
                "key": .text(first.map { Self.key($0) } ?? ""),
                "http2Directive": .flag(release(node).nginxHasHTTP2Directive), "innerPort": .integer(Self.innerPort),
            ])
    }

    static func certificate(_ app: AppName) -> String { "\(nginxFolder)/tls/\(app).crt" }
    static func key(_ app: AppName) -> String { "\(nginxFolder)/tls/\(app).key" }
}
