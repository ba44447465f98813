import BasculeFleet
import BasculeModel
import Foundation

/// What stands in Postfix's files.
extension Compilation {
    static var relayLogin: String { "/etc/postfix/bascule-relay" }
    static var mailCertificate: String { "/etc/postfix/tls/mail.crt" }
    static var mailKey: String { "/etc/postfix/tls/mail.key" }
    static var saslFolder: String { "/etc/postfix/sasl" }
    /// Whom apps of other nodes log in as.
    static var mailUser: String { "apps" }
    static var mailPassword: SecretName { SecretName("generated.mail.apps") }

    /// Where the probe's message goes: to nobody.
    static func mailSink(_ service: Mail) -> String { "bascule-probe@\(service.name)" }

    /// The brackets say: this very host, not its MX records.
    static func relayHost(_ relay: Mail.Relay) -> String { "[\(relay.host)]:\(relay.port)" }

    /// Accounts to which a Debian system may write; nobody reads their mailboxes.
    private static let accounts = [
        "root", "postmaster", "mailer-daemon", "abuse", "hostmaster", "webmaster", "daemon", "nobody", "www-data",
        "postgres", "redis", "backup", "bascule",
    ]

    func mainVariables(_ service: Mail, apps: [String]) -> [String: Variable] {
        let limits = service.limits
        let relay = service.relay
        func table(_ entries: [(String, String)]) -> Variable {
            .text(entries.map { "{ \($0.0) = \($0.1) }" }.joined(separator: ", "))
        }
        var received = ["postmaster": service.admin, "abuse": service.admin]
        received.merge(service.receive?.aliases ?? [:]) { $1 }
        let size = Int(limits.messageSize.bytes)
        return [
            "domain": .text(service.domain), "hostname": .text(service.name),
            "world": .flag(service.receive != nil || !apps.isEmpty), "submission": .flag(!apps.isEmpty),
            "saslFolder": .text(Self.saslFolder), "ipv6": .flag(service.ipv6),
            "warmUp": .flag(service.warmUp != nil),
            "refusedUsers": .text(appUsers.map { "!\($0)," }.joined(separator: " ")),
            "messageSize": .integer(size), "minimumFree": .integer(size * 2),
            "recipients": .integer(limits.recipients), "perMinute": .integer(limits.perMinute),
            "recipientsPerMinute": .integer(limits.perMinute * limits.recipients),
            "processes": .integer(limits.processes), "queueLifetime": .text(Self.seconds(limits.queueLifetime)),
            "aliases": table(Self.accounts.map { ($0, service.admin) } + [("bascule-probe", "root")]),
            "sink": .text(Self.mailSink(service)),
            "receive": .flag(service.receive != nil),
            "received": table(received.sorted { $0.key < $1.key }.map { ("\($0.key)@\(service.domain)", $0.value) }),
            "relay": .flag(relay != nil), "relayhost": .text(relay.map(Self.relayHost) ?? ""),
            "relayWrapped": .flag(relay?.port == 465),
            "relayLogin": .text(relay?.user == nil ? "" : Self.relayLogin),
            "tls": .flag(service.receive != nil || !apps.isEmpty), "tlsKey": .text(Self.mailKey),
            "tlsCertificate": .text(Self.mailCertificate),
        ]
    }

    func masterVariables(_ service: Mail, apps: [String]) -> [String: Variable] {
        [
            "apps": .list(apps.map { .map(["address": .text($0.contains(":") ? "[\($0)]" : $0)]) }),
            "world": .flag(service.receive != nil), "warmUp": .flag(service.warmUp != nil),
            "paceUser": .text(Self.mailPaceUser), "paceProgram": .text(Self.mailPace),
        ]
    }

    /// The login of apps on other nodes; nothing where there are none. What main.cf must be read again for.
    mutating func placeLogins(_ service: Mail, _ peers: [Peer], on node: NodeName) throws -> [String] {
        guard !peers.isEmpty else { return [] }
        let origin = Self.mailOrigin
        // The plugin that reads the table, and the program that makes it.
        try packages(["libsasl2-modules", "libsasl2-modules-db", "sasl2-bin"], on: node, origin: origin)
        let names = [
            "saslFolder": Variable.text(Self.saslFolder), "domain": .text(service.domain), "user": .text(Self.mailUser),
        ]
        let folder = DirectorySpec(Self.saslFolder, permissions: Permissions(mode: 0o755))
        let settings = FileSpec("\(Self.saslFolder)/smtpd.conf", try render("mail-sasl.conf", names))
        let program = FileSpec(
            "/usr/local/sbin/mail-login", try render("mail-login", names), permissions: Permissions(mode: 0o755))
        let password = FileSpec(
            "\(Self.saslFolder)/apps.password", .parts([.secret(Self.mailPassword)]),
            permissions: Permissions(mode: 0o600))
        try add(.directory(folder), on: node, origin: origin)
        var needed = [ResourceID(node: node, kind: "package", name: "sasl2-bin")]
        for file in [settings, program, password] {
            try add(.file(file), on: node, origin: origin)
            needed.append(Resource.file(file).id(on: node))
        }
        let table = "\(Self.saslFolder)/apps.db"
        let make = CommandSpec(
            "mail-login", command: [program.path], unless: ["test", table, "-nt", password.path], timeout: 30)
        try add(.command(make), on: node, requires: needed, origin: origin)
        open(587, to: peers, on: node, purpose: "mail")
        return [settings.path]
    }

    /// Whom apps run as, sorted.
    private var appUsers: [String] { Set(fleet.apps.map { $0.value.user ?? $0.key.rawValue }).sorted() }

    /// The throttle of a new address: its program, its count, and what lets go of the waiting mail.
    mutating func placePace(_ warmUp: Mail.WarmUp, _ service: Mail, on node: NodeName) throws {
        let origin = Self.mailOrigin
        let user = Self.mailPaceUser
        let account = UserSpec(user, home: Self.mailPaceFolder, shell: "/usr/sbin/nologin", system: true)
        try add(.user(account), on: node, origin: origin)
        let folder = DirectorySpec(
            Self.mailPaceFolder, permissions: Permissions(owner: user, group: user, mode: 0o750))
        try add(.directory(folder), on: node, origin: origin)
        let start = (try? Date(warmUp.start + "T00:00:00Z", strategy: .iso8601))?.timeIntervalSince1970 ?? 0
        let program = try render(
            "mail-pace",
            [
                "startEpoch": .integer(Int(start)), "hostname": .text(service.name),
                "limits": .text(warmUp.perDay.map(String.init).joined(separator: ", ")),
                "paceFolder": .text(Self.mailPaceFolder),
            ])
        try add(
            .file(FileSpec(Self.mailPace, program, permissions: Permissions(mode: 0o755))), on: node, origin: origin)
        let names = ["paceFolder": Variable.text(Self.mailPaceFolder), "paceProgram": .text(Self.mailPace)]
        let release = UnitSpec(
            "bascule-mail-pace.service", content: try render("mail-pace.service", names), state: nil, enabled: nil)
        try add(.unit(release), on: node, requires: [Resource.directory(folder).id(on: node)], origin: origin)
        try add(
            .unit(UnitSpec("bascule-mail-pace.timer", content: try render("mail-pace.timer", [:]))), on: node,
            requires: [Resource.unit(release).id(on: node)], origin: origin)
    }
}
