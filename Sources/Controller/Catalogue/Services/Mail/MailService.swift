import BasculeFleet
import BasculeModel
import Foundation

/// `services.mail` on the node with the role `mail`: Postfix sends, OpenDKIM signs.
extension Compilation {
    static var mailOrigin: String { "service mail" }
    /// Where its programs stand; the administrator may call them, too.
    static var mailProbe: String { MailPrograms.probe }
    static var mailPace: String { "/usr/local/sbin/mail-pace" }
    static var mailPaceFolder: String { "/var/lib/bascule-mail" }
    /// Owns the throttle's count; Postfix runs no program as itself.
    static var mailPaceUser: String { "bascule-mail" }

    mutating func placeMail() throws {
        guard let service = fleet.services.mail, let node = single(.mail) else { return }
        let origin = Self.mailOrigin
        try packages(["postfix", "opendkim", "ca-certificates", "openssl"], on: node, origin: origin)
        // Plugins for logging in at the relay.
        if service.relay?.user != nil { try packages(["libsasl2-modules"], on: node, origin: origin) }
        try keepFromUnattendedUpgrades("mail", "(postfix|opendkim)", on: node, origin: origin)
        let key = service.key ?? SecretName("generated.dkim.\(service.selector)")
        try note(key, service.key == nil ? .generatedRSA(bits: 2048) : .given)
        output.mail = MailEndpoint(node: node, host: "127.0.0.1", port: 587, key: key)
        reserveMail(service, on: node)
    }

    /// Measured on both releases (PSS): the daemons that are always there 12 MiB, OpenDKIM 7; for each message on its
    /// way a server that takes it 2, a cleanup 1, a client that delivers it 4; the throttle's answerer 4.
    private mutating func reserveMail(_ service: Mail, on node: NodeName) {
        let each = service.warmUp == nil ? 7 : 11
        let (processes, mebibyte) = (service.limits.processes, 1 << 20)
        reserve(
            (12 + 8 + processes * each) * mebibyte, for: "mail", on: node,
            why: "Postfix 12 MiB + \(processes) processes × \(each) MiB + OpenDKIM 8 MiB")
    }

    mutating func finishMail() throws {
        guard let service = fleet.services.mail, let node = single(.mail) else { return }
        let peers = try peers(.mail)
        try placeSigner(service, on: node)
        var files = try placePostfix(service, apps: try listenAddresses(on: node, peers: peers), on: node)
        files += try placeLogins(service, peers, on: node)
        try placeProbe(service, on: node)
        if let warmUp = service.warmUp { try placePace(warmUp, service, on: node) }
        try placePostfixUnit(service, files, on: node)
        try probeMail(service, on: node)
        if service.receive != nil {
            openings[node, default: []].append(
                Opening(rule: .init(.tcp, 25, purpose: "mail"), origin: Self.mailOrigin))
        }
    }

    private mutating func placeSigner(_ service: Mail, on node: NodeName) throws {
        guard let key = output.mail?.key else { return }
        let keyFile = "/etc/dkimkeys/\(service.selector).private"
        let owned = Permissions(owner: "opendkim", group: "opendkim", mode: 0o600)
        try add(
            .file(FileSpec(keyFile, .parts([.secret(key)]), permissions: owned)), on: node, origin: Self.mailOrigin)
        let settings = FileSpec(
            "/etc/opendkim.conf",
            try render(
                "mail-opendkim.conf",
                ["domain": .text(service.domain), "selector": .text(service.selector), "keyFile": .text(keyFile)]))
        try add(.file(settings), on: node, origin: Self.mailOrigin)
        try add(
            .unit(
                UnitSpec(
                    "opendkim.service", dropIns: ["10-bascule.conf": try render("mail-opendkim-unit.conf", [:])],
                    restartOn: [keyFile, settings.path])),
            on: node, origin: Self.mailOrigin)
    }

    /// The paths of its files.
    private mutating func placePostfix(_ service: Mail, apps: [String], on node: NodeName) throws -> [String] {
        let origin = Self.mailOrigin
        var paths = ["/etc/postfix/main.cf", "/etc/postfix/master.cf"]
        try add(
            .file(FileSpec(paths[0], try render("mail-main.cf", mainVariables(service, apps: apps)))), on: node,
            origin: origin)
        try add(
            .file(FileSpec(paths[1], try render("mail-master.cf", masterVariables(service, apps: apps)))), on: node,
            origin: origin)
        if let relay = service.relay, let user = relay.user, let password = relay.password {
            try note(password, .given)
            let line = Content.parts([
                .text("# Managed by Bascule\n\(Self.relayHost(relay)) \(user):"), .secret(password), .text("\n"),
            ])
            let file = FileSpec(Self.relayLogin, line, permissions: Permissions(mode: 0o600))
            try add(.file(file), on: node, origin: origin)
            paths.append(file.path)
        }
        if service.receive != nil || !apps.isEmpty {
            let folder = DirectorySpec("/etc/postfix/tls", permissions: Permissions(mode: 0o700))
            try add(.directory(folder), on: node, origin: origin)
            let certificate = Resource.certificate(
                CertificateSpec(
                    "mail", domains: [service.name], certificatePath: Self.mailCertificate, keyPath: Self.mailKey))
            try add(certificate, on: node, requires: [Resource.directory(folder).id(on: node)], origin: origin)
            paths.append(Self.mailCertificate)
        }
        return paths
    }

    private mutating func placeProbe(_ service: Mail, on node: NodeName) throws {
        let text = try render(
            "mail-probe",
            [
                "hostname": .text(service.name), "sink": .text(Self.mailSink(service)), "domain": .text(service.domain),
                // In a Perl string of single quotes; neither has a quote or a backslash.
                "admin": .text(service.admin), "relayLogin": .text(Self.relayLogin),
            ])
        try add(
            .file(FileSpec(Self.mailProbe, text, permissions: Permissions(mode: 0o755))), on: node,
            origin: Self.mailOrigin)
    }

    /// Up to the recipient, which takes a signer that answers (without one it is 451), but no message: this is asked often.
    private mutating func probeMail(_ service: Mail, on node: NodeName) throws {
        let exchanges: [ProbeSpec.Exchange] = [
            .init(expect: "220 \(service.name) ESMTP"), .init(send: "EHLO localhost\r\n", expect: "250 "),
            .init(send: Content("MAIL FROM:<root@\(service.name)>\r\n"), expect: "250 2.1.0"),
            .init(send: Content("RCPT TO:<\(Self.mailSink(service))>\r\n"), expect: "250 2.1.5"),
            .init(send: "QUIT\r\n", expect: "221"),
        ]
        let signer = ResourceID(node: node, kind: "unit", name: "opendkim.service")
        try probe(
            "mail", on: node, .dialogue(host: "127.0.0.1", port: 587, exchanges: exchanges),
            unit: release(node).postfixUnit, after: [signer], origin: Self.mailOrigin)
    }

    private mutating func placePostfixUnit(_ service: Mail, _ files: [String], on node: NodeName) throws {
        let hardening = try render(
            "mail-postfix-unit.conf",
            [
                "warmUp": .flag(service.warmUp != nil), "paceFolder": .text(Self.mailPaceFolder),
                // Clients, servers, cleanups and the daemons that are always there.
                "tasks": .integer(service.limits.processes * 4 + 50),
            ])
        let name = release(node).postfixUnit
        let signer = ResourceID(node: node, kind: "unit", name: "opendkim.service")
        // An address to listen on is taken at a start only.
        try add(
            .unit(
                UnitSpec(
                    name, dropIns: ["10-bascule.conf": hardening], enabled: name == "postfix.service" ? true : nil,
                    reloadOn: files.filter { !$0.hasSuffix("master.cf") }, restartOn: ["/etc/postfix/master.cf"],
                    check: ["/usr/sbin/postfix", "check"])),
            on: node, requires: [signer], origin: Self.mailOrigin)
        guard name != "postfix.service" else { return }
        // On bookworm it stands for all instances: what starts at boot.
        try add(
            .unit(UnitSpec("postfix.service")), on: node,
            requires: [ResourceID(node: node, kind: "unit", name: name)], origin: Self.mailOrigin)
    }

    /// The unit that apps on the same node start after.
    func mailUnit(on node: NodeName) -> String? {
        output.mail?.node == node ? release(node).postfixUnit : nil
    }
}

/// What stands on the mail node and may be called.
package enum MailPrograms {
    /// `deliver`, `egress HOST PORT` or `relay HOST PORT`; see the template mail-probe.
    package static let probe = "/usr/local/sbin/mail-probe"
}
