import BasculeFleet
import BasculeModel

/// One app's site.
extension Compilation {
    mutating func placeSite(
        _ name: AppName, _ app: App, _ service: Nginx, on node: NodeName, _ watched: inout [String],
        _ needed: inout [ResourceID]
    ) throws {
        let origin = "app \(name)"
        let certificate = Resource.certificate(
            CertificateSpec(
                name.rawValue, domains: app.domains, certificatePath: Self.certificate(name), keyPath: Self.key(name)))
        let folder = ResourceID(node: node, kind: "directory", name: "\(Self.nginxFolder)/tls")
        try add(certificate, on: node, requires: [folder], origin: origin)
        let log = "/var/log/nginx/bascule-\(name).access.json"
        let path = "/etc/nginx/sites-available/bascule-\(name).conf"
        let link = Resource.symlink(SymlinkSpec("/etc/nginx/sites-enabled/bascule-\(name).conf", target: path))
        let content = try render(
            "nginx-site.conf",
            [
                "app": .text(name.rawValue), "domains": .text(app.domains.joined(separator: " ")),
                "accessLog": .text(log), "innerLog": .text("/var/log/nginx/bascule-\(name).inner.json"),
                "certificate": .text(Self.certificate(name)), "key": .text(Self.key(name)),
                "http2Directive": .flag(release(node).nginxHasHTTP2Directive),
                "keepalive": .text(Self.seconds(service.keepalive)),
                "proxyTimeout": .text(Self.seconds(service.proxyTimeout)),
                "clientMaxBody": .text("\(service.clientMaxBody.bytes)"), "gzip": .flag(service.gzip),
                "rateLimit": .flag(service.rateLimit != nil), "burst": .integer(service.rateLimit?.burst ?? 0),
                "upstream": .text(Self.upstream(name)), "innerPort": .integer(Self.innerPort),
            ])
        try add(.file(FileSpec(path, content)), on: node, origin: origin)
        try add(
            link, on: node, requires: [certificate.id(on: node), ResourceID(node: node, kind: "file", name: path)],
            origin: origin)
        watched += [path, Self.certificate(name)]
        needed += [certificate.id(on: node), link.id(on: node)]
        output.sites.append(
            Site(
                app: name, domains: app.domains, node: node, innerURL: "http://127.0.0.1:\(Self.innerPort)",
                accessLog: log, loginPath: app.login?.path,
                maintenanceFlags: app.domains.map { "\(Self.nginxFolder)/maintenance-\($0)" }))
    }

    /// Whole seconds, at least one.
    static func seconds(_ duration: Duration) -> String { "\(wholeSeconds(duration))" }

    static func wholeSeconds(_ duration: Duration) -> Int {
        let parts = duration.components
        return max(1, Int(parts.seconds) + (parts.attoseconds > 0 ? 1 : 0))
    }
}
