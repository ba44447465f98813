import BasculeFleet
import BasculeModel
import Foundation

/// `services.certificates`: certbot, asked by a timer and by an apply, and what it needs beside the web server.
extension Compilation {
    static var certificatesOrigin: String { "service certificates" }
    static var certificatesFolder: String { "/etc/bascule-certificates" }
    static var certificatesState: String { "/var/lib/bascule-certificates" }
    /// Where the answers to http-01 challenges stand.
    static var challengeFolder: String { "\(certificatesState)/webroot" }
    static var certificatesProgram: String { "/usr/local/sbin/bascule-certificates" }

    /// Whether names are proved by files that the web server shows.
    var asksOverHTTP: Bool {
        guard let service = fleet.services.certificates else { return false }
        return challenge(service) == .http
    }

    func challenge(_ service: Certificates) -> Certificates.Challenge {
        if let declared = service.challenge { return declared }
        let hasWildcard = fleet.apps.values.contains { $0.domains.contains { $0.hasPrefix("*.") } }
        return service.dns != nil || fleet.migration?.dns != nil || hasWildcard ? .dns : .http
    }

    /// Whether the names are proved over HTTP and still point to the old system.
    private var isForwarded: Bool { fleet.migration != nil && asksOverHTTP && !context.watchEnded }

    /// What is to do on an old server that Bascule does not manage.
    private func forwarding(to node: NodeName) -> BasculeError {
        let address = context.addresses[node] ?? "ADDRESS-OF-\(node)"
        return BasculeError(
            .forwardChallenges,
            "names are proved over HTTP and still lead to the old server: it must pass the authority's questions on",
            at: place("services.certificates"),
            hint: """
                add to its servers for these domains on port 80 (Nginx): \
                location ^~ /.well-known/acme-challenge/ { proxy_pass http://\(address); proxy_set_header Host $host; } \
                or (Apache): ProxyPass /.well-known/acme-challenge/ http://\(address)/.well-known/acme-challenge/ \
                with ProxyPreserveHost On; or declare migration.edge or migration.dns
                """)
    }

    /// Places what makes certificates for the apps of a node.
    /// - Parameters:
    ///   - server: the web server, by its unit without suffix.
    ///   - group: who may read the pairs beside root.
    /// - Returns: what must be there before the web server starts; nothing where certificates are not declared.
    mutating func placeCertificates(on node: NodeName, server: String, group: String) throws -> [ResourceID] {
        guard let service = fleet.services.certificates else { return [] }
        let origin = Self.certificatesOrigin
        let apps = try servedApps(on: node)
        guard !apps.isEmpty else { return [] }
        let live = "/etc/\(server)/bascule/tls"
        let challenge = challenge(service)
        try packages(
            ["certbot", "openssl"] + (challenge == .dns ? ["python3-certbot-dns-rfc2136"] : []), on: node,
            origin: origin)
        for (path, mode) in [
            (Self.certificatesFolder, 0o700), (Self.certificatesState, 0o711), (Self.challengeFolder, 0o755),
            ("\(live)/self-signed", 0o700),
        ] {
            try add(
                .directory(DirectorySpec(path, permissions: Permissions(mode: mode))), on: node,
                origin: origin)
        }
        if isForwarded {
            output.challengesComeByTheOldEdge = true
            if fleet.migration?.edge == nil { output.warnings.append(forwarding(to: node)) }
        }
        var needed = try placeCertificateFiles(service, challenge, apps, on: node, live: live, server, group)
        for (name, app) in apps {
            let own = Resource.certificate(
                CertificateSpec(
                    name.rawValue, domains: app.domains, certificatePath: "\(live)/self-signed/\(name).crt",
                    keyPath: "\(live)/self-signed/\(name).key"))
            try add(own, on: node, origin: origin)
            needed.append(own.id(on: node))
        }
        // The probes are told what is declared: the node's own list may be of an older apply.
        let list = apps.map { "\($0.0) \($0.1.domains.joined(separator: " "))" }
        // Before the web server starts: it finds a pair of some kind, always.
        let place = Resource.command(
            CommandSpec(
                "certificates-place", command: [Self.certificatesProgram, "place"],
                unless: [Self.certificatesProgram, "placed"] + list))
        try add(place, on: node, requires: needed, origin: origin)
        try placeCertificateUnits(on: node, server: server, live: live, list: list, needed: needed)
        return [place.id(on: node)]
    }

    private mutating func placeCertificateFiles(
        _ service: Certificates, _ challenge: Certificates.Challenge, _ apps: [(AppName, App)], on node: NodeName,
        live: String, _ server: String, _ group: String
    ) throws -> [ResourceID] {
        let folder = Self.certificatesFolder
        var server = (unit: "\(server).service", address: "", port: 53, propagation: 30)
        var files: [FileSpec] = []
        if challenge == .dns {
            let dns = try nameServer(service)
            server.address = try certificateServer(dns.server.host)
            (server.port, server.propagation) = (dns.server.port, Self.wholeSeconds(dns.propagation))
            try note(dns.server.tsig, .given)
            let key = Content.parts([.secret(dns.server.tsig), .text("\n")])
            files.append(FileSpec("\(folder)/tsig", key, permissions: Permissions(mode: 0o600)))
        } else if let app = apps.first(where: { $0.1.domains.contains { $0.hasPrefix("*.") } }) {
            throw BasculeError(
                .invalidInput, "app \(app.0) has a wildcard domain, which http-01 cannot prove",
                at: place("services.certificates.challenge"), hint: "write challenge: dns-01")
        }
        if let bundle = service.caBundle {
            let path = "\(fleet.folder)/\(bundle)"
            guard let data = FileManager.default.contents(atPath: path), data.count <= 1 << 20,
                let text = String(data: data, encoding: .utf8), text.contains("-----BEGIN CERTIFICATE-----")
            else {
                throw BasculeError(
                    .invalidInput, "\(bundle) holds no certificates in PEM form",
                    at: place("services.certificates.caBundle"))
            }
            files.append(FileSpec("\(folder)/authority.pem", Content(text)))
        }
        if let account = service.account { try note(account.key, .given) }
        let list = apps.map { "\($0.0) \($0.1.domains.joined(separator: " "))\n" }.joined()
        files.append(FileSpec("\(folder)/list", Content(list)))
        let ini = try render(
            "certificates.ini",
            [
                "directory": .text(service.directory), "email": service.email.map { .list([.text($0)]) } ?? false,
                "account": service.account.map {
                    .map(["keyID": .text($0.keyID), "key": .content(.parts([.secret($0.key)]))])
                } ?? false,
                "http": challenge == .http ? .list([.text(Self.challengeFolder)]) : false,
                "dns": challenge == .dns ? .map(["propagation": .integer(server.propagation)]) : false,
            ])
        files.append(FileSpec("\(folder)/certbot.ini", ini, permissions: Permissions(mode: 0o600)))
        let program = try render(
            "bascule-certificates",
            [
                "unit": .text(server.unit), "live": .text(live), "group": .text(group),
                // Nginx reads the pair at each handshake.
                "forwarded": isForwarded ? .list([.text(Self.challengeFolder)]) : false,
                "reloads": .flag(server.unit != "nginx.service"),
                "hasBundle": .flag(service.caBundle != nil), "dnsServer": .text(server.address),
                "dnsPort": .integer(server.port),
            ])
        files.append(FileSpec(Self.certificatesProgram, program, permissions: Permissions(mode: 0o755)))
        return try files.map { file in
            let resource = Resource.file(file)
            try add(resource, on: node, origin: Self.certificatesOrigin)
            return resource.id(on: node)
        }
    }

    private mutating func placeCertificateUnits(
        on node: NodeName, server: String, live: String, list: [String], needed: [ResourceID]
    ) throws {
        let origin = Self.certificatesOrigin
        let unit = "bascule-certificates"
        let service = Resource.unit(
            UnitSpec(
                "\(unit).service",
                content: try render(
                    "certificates.service", ["unit": .text("\(server).service"), "live": .text(live)]),
                state: nil, enabled: nil))
        let timer = Resource.unit(
            UnitSpec(
                "\(unit).timer",
                content: Content(
                    """
                    # Managed by Bascule: most runs find nothing due.
                    [Unit]
                    Description=Renews the certificates of the apps' domains
                    [Timer]
                    OnCalendar=*-*-* 03,15:00
                    RandomizedDelaySec=3h
                    Persistent=true
                    [Install]
                    WantedBy=timers.target

                    """)))
        let watch = Resource.unit(
            UnitSpec(
                "\(unit).path",
                content: Content(
                    """
                    # Managed by Bascule: a pair that was taken away comes back.
                    [Unit]
                    Description=Watches the certificates of the apps' domains
                    [Path]
                    PathChanged=\(live)
                    [Install]
                    WantedBy=paths.target

                    """)))
        try add(service, on: node, requires: needed, origin: origin)
        let issue = Resource.command(
            CommandSpec(
                "certificates", command: [Self.certificatesProgram, "issue"],
                unless: [Self.certificatesProgram, "issued"] + list, timeout: 1800))
        // The authority asks the web server, past the packet filter.
        let before =
            needed + [
                service.id(on: node), ResourceID(node: node, kind: "unit", name: "\(server).service"),
                ResourceID(node: node, kind: "firewall", name: "inbound"),
            ]
        try add(issue, on: node, requires: before, origin: origin)
        for resource in [timer, watch] {
            try add(resource, on: node, requires: [service.id(on: node), issue.id(on: node)], origin: origin)
        }
        // An estimate of certbot's resident memory at its work: a Python program with its cryptography.
        reserve(64 << 20, for: "certificates", on: node, why: "certbot, twice a day: 64 MiB")
    }

    private func nameServer(_ service: Certificates) throws -> Certificates.Publishing {
        if let own = service.dns { return own }
        guard let dns = fleet.migration?.dns else {
            throw BasculeError(
                .invalidInput, "dns-01 needs a name server", at: place("services.certificates"),
                hint: "add dns: {server: ADDRESS, tsig: !secret NAME}")
        }
        var own = Certificates.Publishing()
        own.server = dns.server
        return own
    }

    /// certbot takes the name server's address, no name.
    private func certificateServer(_ server: String) throws -> String {
        let path = place(fleet.services.certificates?.dns == nil ? "migration.dns.server" : "services.certificates.dns")
        if fleet.nodes[NodeName(server)] != nil {
            return try address(NodeName(server), neededBy: "services.certificates")
        }
        guard server.allSatisfy({ $0.isHexDigit || ".:".contains($0) }) else {
            throw BasculeError(
                .invalidInput, "the name server \(server) is a name", at: path, hint: "write its address")
        }
        return server
    }
}
