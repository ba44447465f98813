import BasculeFleet
import BasculeModel

/// One app's site.
extension Compilation {
    mutating func placeSite(
        _ name: AppName, _ app: App, _ service: Nginx, on node: NodeName, _ parts: inout NginxParts
    ) throws {
        let origin = "app \(name)"
        let log = "/var/log/nginx/bascule-\(name).access.json"
        let path = "/etc/nginx/sites-available/bascule-\(name).conf"
        let site = try render("nginx-site.conf", siteVariables(name, app, service, log: log, on: node))
        if let port = AppRuntime.ports(app).dropFirst().first, !site.display.contains("drained-\(name)-\(port)") {
            throw BasculeError(
                .catalogueTemplate, "the template nginx-site.conf passes over no instance that is being replaced",
                at: place("apps.\(name)"),
                hint: "keep the lines of {{#drains}} that the built-in template has")
        }
        let link = Resource.symlink(SymlinkSpec("/etc/nginx/sites-enabled/bascule-\(name).conf", target: path))
        let files: [(String, Content)] = [
            (
                "\(Self.nginxFolder)/headers-\(name).conf",
                try render(
                    "nginx-headers.conf",
                    ["app": .text(name.rawValue), "hsts": .flag(hstsSeconds(service.hsts) != nil)])
            ),
            (
                "\(Self.nginxFolder)/proxy-\(name).conf",
                try render(
                    "nginx-proxy.conf",
                    [
                        "app": .text(name.rawValue), "proxyTimeout": .text(Self.seconds(service.proxyTimeout)),
                        "hideHSTS": .flag(service.hsts == .afterWatch && hstsSeconds(service.hsts) == nil),
                    ])
            ),
            (path, site),
        ]
        for (path, content) in files {
            let file = Resource.file(FileSpec(path, content))
            try add(file, on: node, origin: origin)
            parts.watched.append(path)
            parts.needed.append(file.id(on: node))
        }
        try add(
            link, on: node, requires: [ResourceID(node: node, kind: "file", name: path)], origin: origin)
        parts.needed.append(link.id(on: node))
        if fleet.services.certificates == nil {
            let certificate = Resource.certificate(
                CertificateSpec(
                    name.rawValue, domains: app.domains, certificatePath: self.certificate(name), keyPath: key(name),
                    days: 365))
            let folder = ResourceID(node: node, kind: "directory", name: "\(Self.nginxFolder)/tls")
            try add(certificate, on: node, requires: [folder], origin: origin)
            parts.watched.append(self.certificate(name))
            parts.needed.append(certificate.id(on: node))
        }
        try letRead(app, user: "www-data", on: node)
        output.sites.append(
            Site(
                app: name, domains: app.domains, node: node, innerURL: "http://127.0.0.1:\(Self.innerPort)",
                accessLog: log, loginPath: app.login?.path,
                maintenanceFlags: app.domains.map { "\(Self.nginxFolder)/maintenance-\($0)" }))
    }

    private func siteVariables(
        _ name: AppName, _ app: App, _ service: Nginx, log: String, on node: NodeName
    ) -> [String: Variable] {
        let limit = service.rateLimit
        let login = app.login.flatMap { login in
            service.loginLimit.map { (path: login.path.prefix { $0 != "?" }, burst: $0.burst) }
        }
        return [
            "app": .text(name.rawValue), "domains": .text(app.domains.joined(separator: " ")),
            "accessLog": .text(log), "innerLog": .text("/var/log/nginx/bascule-\(name).inner.json"),
            "certificate": .text(certificate(name)), "key": .text(key(name)),
            "http2Directive": .flag(release(node).nginxHasHTTP2Directive), "gzip": .flag(service.gzip != .off),
            "gzipDynamic": .flag(service.gzip == .dynamic),
            "rateLimit": limit.map { .map(["burst": .integer($0.burst)]) } ?? false,
            "filesBurst": .integer((limit?.burst ?? 0) * 5),
            "connectionLimit": service.connectionLimit.map { .list([.integer($0)]) } ?? false,
            "login": login.map { .map(["path": .text(String($0.path)), "burst": .integer($0.burst)]) } ?? false,
            "renews": .flag(fleet.services.certificates != nil),
            "drains": .list(AppRuntime.ports(app).count > 1 ? AppRuntime.ports(app).map { .integer($0) } : []),
            "challenges": asksOverHTTP ? .list([.text(Self.challengeFolder)]) : false,
            "folders": .list(
                app.files.sorted { $0.key < $1.key }.map { url, folder in
                    .map([
                        "url": .text(Self.slashed(url)), "folder": .text(Self.slashed(place(folder, of: name))),
                        "maxAge": .integer(Self.wholeSeconds(folder.maxAge)), "trusted": .flag(folder.trusted),
                    ])
                }),
            "upstream": .text(Self.upstream(name)), "innerPort": .integer(Self.innerPort),
        ]
    }

    /// Both ends with a slash, or a request could leave the folder (`/uploads../`).
    static func slashed(_ path: String) -> String { path.hasSuffix("/") ? path : path + "/" }

    /// Where a served folder stands on the node.
    func place(_ folder: ServedFolder, of app: AppName) -> String {
        folder.folder.hasPrefix("/") ? folder.folder : "/srv/apps/\(app)/current/app/\(folder.folder)"
    }

    /// Whole seconds, at least one.
    static func seconds(_ duration: Duration) -> String { "\(wholeSeconds(duration))" }

    static func wholeSeconds(_ duration: Duration) -> Int {
        let parts = duration.components
        return max(1, Int(parts.seconds) + (parts.attoseconds > 0 ? 1 : 0))
    }
}
