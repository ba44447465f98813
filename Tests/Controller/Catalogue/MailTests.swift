import BasculeFleet
import BasculeModel
import Testing

@testable import BasculeCatalogue

/// `services.mail`: what is compiled, what must be published, and what a name server's answer is worth.
@Suite struct MailTests {
    private func text(_ keys: String = "", app: String = "") -> String {
        """
        fleet: tiny
        nodes: {vps1: {address: 192.0.2.1}}
        topologies: {one: {vps1: [mail, app]}}
        services: {mail: {domain: shop.example, admin: owner@other.example\(keys)}}
        apps: {shop: {source: {path: ./shop}, start: node server.js, port: 3000\(app)}}

        """
    }

    private func compile(_ keys: String = "", app: String = "", release: DebianRelease = .bookworm) throws -> Compiled {
        try CatalogueFolder().compile(text(keys, app: app)) { $0.releases = ["vps1": release] }
    }

    @Test func nothingListensForTheWorldUnlessItShall() throws {
        let quiet = try compile()
        #expect(quiet.rules() == ["tcp/22"])
        let master = quiet.text("/etc/postfix/master.cf")
        #expect(master.contains("127.0.0.1:587 inet") && !master.contains("\nsmtp         inet"))
        #expect(quiet.text("/etc/postfix/main.cf").contains("\ninet_interfaces = loopback-only\n"))
        let open = try compile(", receive: {aliases: {contact: me@there.example}}")
        #expect(open.rules() == ["tcp/22", "tcp/25"])
        #expect(open.text("/etc/postfix/master.cf").contains("-o smtpd_relay_restrictions=reject_unauth_destination"))
        #expect(
            open.text("/etc/postfix/main.cf").contains(
                "virtual_alias_maps = inline:{ { abuse@shop.example = owner@other.example }, "
                    + "{ contact@shop.example = me@there.example }, { postmaster@shop.example = owner@other.example } }"
            ))
    }

    @Test func theKeyIsMadeOnceASelectorAndStaysAPlaceholder() throws {
        let compiled = try compile(", selector: s2")
        #expect(compiled.secrets["generated.dkim.s2"] == .generatedRSA(bits: 2048))
        #expect(compiled.text("/etc/dkimkeys/s2.private") == "‹secret generated.dkim.s2›")
        #expect(try compile(", key: !secret DKIM").secrets["DKIM"] == .given)
    }

    @Test func theUnitIsTheReleasesOwn() throws {
        let old = try #require(try compile().unit("postfix@-.service"))
        #expect(old.enabled == nil && old.dropIns["10-bascule.conf"] != nil)
        #expect(try compile().unit("postfix.service")?.dropIns.isEmpty == true)
        let new = try compile(release: .trixie)
        #expect(new.unit("postfix.service")?.enabled == true && new.unit("postfix@-.service") == nil)
    }

    @Test func theRelayIsVerifiedAndItsPasswordAPlaceholder() throws {
        let compiled = try compile(", relay: {host: smtp.r.example, port: 465, user: u, password: !secret R}")
        let main = compiled.text("/etc/postfix/main.cf")
        #expect(
            main.contains("\nsmtp_tls_security_level = secure\nrelayhost = [smtp.r.example]:465\nsmtp_tls_wrappermode"))
        #expect(compiled.text("/etc/postfix/bascule-relay").hasSuffix("[smtp.r.example]:465 u:‹secret R›\n"))
    }

    @Test func theThrottleIsThereOnlyWhenDeclared() throws {
        #expect(try compile().find("file:/usr/local/sbin/mail-pace") == nil)
        let pace = try compile(", warmUp: {start: 2026-12-06, perDay: [3, 7]}").text("/usr/local/sbin/mail-pace")
        #expect(pace.contains("my $start   = 1796515200;") && pace.contains("my @limits  = (3, 7);"))
        #expect(
            try compile(", warmUp: {start: 2026-12-06}").memory.filter { $0.service.hasPrefix("mail") }.map(\.bytes)
                == [
                    (20 + 110) << 20
                ])
        #expect(try compile().memory.filter { $0.service.hasPrefix("mail") }.map(\.bytes) == [90 << 20])
    }

    @Test func appsAreBoundToTheLoopbackAndCannotGoAround() throws {
        let compiled = try compile(app: ", env: {U: !binding mail, H: !binding mail.host, P: !binding mail.port}")
        let env = try #require(compiled.release("shop")).env.mapValues(\.display)
        #expect(env["U"] == "smtp://127.0.0.1:587" && env["H"] == "127.0.0.1" && env["P"] == "587")
        #expect(compiled.text("/etc/postfix/main.cf").contains("authorized_submit_users = !shop, static:all"))
        let after = try #require(compiled.find("app:shop")).requires.map(\.rawValue)
        #expect(after.contains("vps1/unit:postfix@-.service"))
    }

    @Test func appsOfOtherNodesLogInOverTLS() throws {
        let text = """
            fleet: tiny
            nodes: {m1: {address: 192.0.2.1}, a1: {address: 192.0.2.2}}
            topologies: {one: {m1: [mail], a1: [app]}}
            services: {mail: {domain: shop.example, admin: owner@other.example}}
            apps: {shop: {source: {path: ./shop}, start: node server.js, port: 3000, env: {U: !binding mail}}}

            """
        let compiled = try CatalogueFolder().compile(text)
        #expect(
            compiled.release("shop", on: "a1")?.env["U"]?.display
                == "smtp://apps:‹secret generated.mail.apps›@192.0.2.1:587?requireTLS=true&tls.rejectUnauthorized=false"
        )
        #expect(compiled.rules(on: "m1") == ["tcp/22", "tcp/587 192.0.2.2/32"])
        let master = compiled.text("/etc/postfix/master.cf", on: "m1")
        #expect(master.contains("\n192.0.2.1:587 inet") && master.contains("-o smtpd_tls_security_level=encrypt"))
        #expect(compiled.find("command:mail-login", on: "m1") != nil)
        #expect(compiled.text("/etc/postfix/sasl/apps.password", on: "m1") == "‹secret generated.mail.apps›")
    }

    // MARK: - Records

    private func records(_ keys: String = "", node: String? = "192.0.2.1") throws -> [MailRecord] {
        let mail = try #require(try FleetFile.parse(text: text(keys), path: "/nowhere/fleet.yaml").fleet.services.mail)
        return MailRecords(mail, node: node, publicKey: "QUJD").all
    }

    @Test func theRecordsAreThese() throws {
        let usual = try records().map { "\($0.kind) \($0.name) \($0.type) \($0.value)" }
        #expect(
            usual == [
                "address mail.shop.example A 192.0.2.1", "reverse 192.0.2.1 PTR mail.shop.example.",
                "helo mail.shop.example TXT v=spf1 a -all", "spf shop.example TXT v=spf1 ip4:192.0.2.1 -all",
                "dkim bascule._domainkey.shop.example TXT v=DKIM1; k=rsa; p=QUJD",
                "dmarc _dmarc.shop.example TXT v=DMARC1; p=quarantine; rua=mailto:owner@other.example",
                "reports shop.example._report._dmarc.other.example TXT v=DMARC1", "mx shop.example MX ",
            ])
        #expect(try records(", addresses: [203.0.113.5, \"2001:db8::5\"]").map(\.value).contains("203.0.113.5"))
        #expect(!(try records(", addresses: [\"2001:db8::5\"]").contains { $0.type == "AAAA" }))
        let six = try records(", ipv6: true, addresses: [\"2001:db8::5\"], spf: [mx]")
        #expect(six.contains { $0.value == "v=spf1 ip6:2001:db8::5 mx -all" })
        let relayed = try records(", relay: {host: r.example}, spf: [\"include:r.example\"]")
        #expect(relayed.first?.value == "v=spf1 include:r.example -all")
        #expect(!relayed.contains { $0.kind == .address })
    }

    @Test func aLongKeyIsSplitWhereAStringEnds() {
        let record = MailRecord(
            kind: .dkim, name: "s._domainkey.shop.example", type: "TXT", value: String(repeating: "k", count: 410))
        #expect(MailRecord.strings(record.value).map(\.count) == [255, 155])
        let line = record.line(ttl: 300)
        #expect(line.hasPrefix("s._domainkey.shop.example. 300 IN TXT ( \"kkk"))
        #expect(line.split(separator: "\"").map(\.count).sorted().suffix(2) == [155, 255])
    }

    private static let judged: [(kind: MailRecord.Kind, value: String, found: [String], verdict: MailVerdict)] = [
        (.address, "192.0.2.1", [], .missing),
        (.address, "192.0.2.1", ["192.0.2.1"], .right),
        (.address, "192.0.2.1", ["192.0.2.1", "192.0.2.2"], .wrong("it is 192.0.2.1, 192.0.2.2")),
        (.reverse, "m.example.", ["M.example."], .right),
        (.reverse, "m.example.", ["static.1.provider.example."], .wrong("it is static.1.provider.example.")),
        (.spf, "v=spf1 ip4:192.0.2.1 -all", ["other=1"], .missing),
        (.spf, "v=spf1 ip4:192.0.2.1 -all", ["v=spf1 include:x.example +ip4:192.0.2.1 ~all", "other=1"], .right),
        (.spf, "v=spf1 ip4:192.0.2.1 -all", ["v=spf1 mx -all"], .wrong("it lacks ip4:192.0.2.1")),
        (.spf, "v=spf1 ip4:192.0.2.1 -all", ["v=spf1 ip4:192.0.2.1 +all"], .wrong("its all lets anybody send")),
        (.spf, "v=spf1 ip4:192.0.2.1 -all", ["v=spf1 ip4:192.0.2.1 ?all"], .wrong("its ?all lets anybody send")),
        (.spf, "v=spf1 ip4:192.0.2.1 -all", ["v=spf1 ip4:192.0.2.1"], .wrong("it does not end with -all or ~all")),
        (
            .spf, "v=spf1 mx -all", ["v=spf1 mx -all", "v=spf1 a -all"],
            .wrong("there are 2 SPF records: receivers take none of them")
        ),
        (.dkim, "v=DKIM1; k=rsa; p=QUJD", ["k=rsa;p=QU JD"], .right),
        (.dkim, "v=DKIM1; k=rsa; p=QUJD", ["v=DKIM1; p=QUJE"], .wrong("it is another key")),
        (.dkim, "v=DKIM1; k=rsa; p=QUJD", ["v=DKIM1; p="], .wrong("the key is revoked")),
        (.dkim, "v=DKIM1; k=rsa; p=QUJD", ["v=DKIM1; t=y; p=QUJD"], .wrong("it says that this is only a test (t=y)")),
        (.dmarc, "v=DMARC1; p=quarantine", ["v=DMARC1; p=reject"], .right),
        (.dmarc, "v=DMARC1; p=quarantine", ["v=DMARC1; p=none"], .wrong("its policy is only none")),
        (.mx, "", ["10 mx.other.example."], .right), (.mx, "", [], .missing),
        (.mx, "10 mail.shop.example.", ["5 mail.shop.example."], .right),
        (.mx, "10 mail.shop.example.", ["5 mx.other.example."], .wrong("it is 5 mx.other.example.")),
    ]

    @Test(arguments: judged) func answersAreJudged(
        _ kind: MailRecord.Kind, _ value: String, _ found: [String], _ verdict: MailVerdict
    ) {
        #expect(MailRecord(kind: kind, name: "n.example", type: "TXT", value: value).verdict(found) == verdict)
    }

    @Test func publishingKeepsWhatIsNotOursAndWhoSendsAlready() {
        let spf = MailRecord(kind: .spf, name: "shop.example", type: "TXT", value: "v=spf1 ip4:192.0.2.1 -all")
        #expect(
            spf.published(over: ["site-verification=1", "v=spf1 include:_spf.resend.example ~all"])
                == ["site-verification=1", "v=spf1 ip4:192.0.2.1 include:_spf.resend.example -all"])
        #expect(spf.verdict(spf.published(over: [])) == .right)
        let dkim = MailRecord(kind: .dkim, name: "s", type: "TXT", value: "v=DKIM1; p=QUJD")
        #expect(dkim.published(over: ["v=DKIM1; p=old"]) == ["v=DKIM1; p=QUJD"])
    }
}
