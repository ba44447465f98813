import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// A second node that is the world: its BIND serves the zones, its Postfix and rspamd receive and judge.
    @Suite(.serialized, .scene("mailworld"), .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct MailWorldTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static func fleet(_ image: String, _ more: String = "", app: String = "") -> String {
            """
            nodes: {shop: {provider: lab, image: \(image)}, world: {provider: lab, image: debian12}}
            topologies: {single: {shop: [mail, monitoring], world: [\(app.isEmpty ? "" : "app")]}}
            services:
              monitoring: {mail: {to: [crew@world.example], from: alerts@shop.example}}
              mail:
                domain: shop.example
                admin: owner@world.example
                dns: {zone: shop.example, server: world, tsig: !secret TSIG, ttl: 1m}
            \(more)
            resources:
              - {on: world, package: [bind9, bind9-dnsutils, postfix, rspamd, ssl-cert, openssl, sasl2-bin, libsasl2-modules-db]}
              - {on: all, package: [libsasl2-modules]}
              - {on: world, user: owner}
              - {on: world, user: crew}
              - {on: world, firewall: world, allow: [25, 53, 465, 587]}
              - {on: world, firewall: names, allow: [53], transport: udp}
            \(app)

            """
        }

        @Test(.timeLimit(.minutes(15)), arguments: ["debian12", "debian13"])
        func theWorldBelievesUs(_ image: String) async throws {
            try await scene.startAnew()
            try await scene.converge(Self.fleet(image))
            let (shop, world) = (try await address("shop"), try await address("world"))
            try await makeWorld(shop: shop, world: world)
            let set = try await scene.bascule("secret", "set", "TSIG", stdin: "publish:\(Self.tsig)")
            #expect(set.status == 0, "\(set.all)")
            try await expectPublishing(world)
            try await expectBelief()
            try await expectAlertsByMail()
            try await expectNoRelay(shop, open: false)
            // The same with port 25 open for the world.
            try await scene.converge(Self.fleet(image, "    receive: {aliases: {contact: owner@world.example}}"))
            try await expectNoRelay(shop, open: true)
            try await expectReceiving(shop)
            try await expectTheRelay(image)
        }

        private func address(_ node: NodeName) async throws -> String {
            try await scene.shell(node, "hostname -I | cut -d' ' -f1")
        }

        private static let tsig = "c2hvcC1leGFtcGxlLXB1Ymxpc2gta2V5LTMyYnl0ZXM="

        private func makeWorld(shop: String, world: String) async throws {
            let made = try await scene.lab.exec(
                "world", ["bash", "-s", shop, world, Self.tsig], stdin: Array(MailWorld.script.utf8),
                deadline: .seconds(120))
            try #require(made.status == 0, "\(made.all)")
            try await scene.shell("shop", "echo nameserver \(world) > /etc/resolv.conf")
            // rspamd compiles its rules at the first start.
            let judges = try await eventually(within: 60, every: .seconds(1)) {
                try await scene.shell("world", "ss -Hltn | grep -c ':11332 ' || true") != "0"
            }
            let log = try await scene.shell(
                "world", "tail -5 /var/log/rspamd/rspamd.log; systemctl status rspamd || true")
            try #require(judges, "\(log)")
        }

        private func expectPublishing(_ world: String) async throws {
            let before = try await check()
            #expect(before.status == 2, "\(before.all)")
            let lacking = before.findings.filter { $0.status != "right" }.map(\.check)
            #expect(lacking == ["address", "helo", "spf", "dkim", "dmarc"], "\(before.all)")
            let published = try await check("--publish")
            #expect(published.status == 0, "\(published.all)")
            #expect(published.findings.filter { $0.published == true }.map(\.check) == lacking)
            let after = try await check()
            #expect(after.status == 0 && after.findings.allSatisfy { $0.status == "right" }, "\(after.all)")
            // Whom the old record let send may send, and what is not ours is there.
            let texts = try await scene.shell("world", "dig +short TXT shop.example @127.0.0.1")
            #expect(texts.contains("ip4:") && texts.contains("include:_spf.old.example"), "\(texts)")
            #expect(texts.contains("site-verification=1"))
            // Breaking one record is found.
            try await scene.shell(
                "world",
                """
                printf 'server 127.0.0.1\\nzone shop.example\\nupdate delete _dmarc.shop.example TXT\\nsend\\n' \
                | nsupdate -y hmac-sha256:publish:\(Self.tsig)
                """)
            let broken = try await check()
            #expect(broken.status == 2 && broken.findings.filter { $0.status != "right" }.map(\.check) == ["dmarc"])
            #expect(try await check("--publish").status == 0)
        }

        private struct Checked {
            var status: Int32
            var findings: [Finding]
            var all: String
        }

        private struct Finding: Decodable {
            var check: String
            var status: String
            var published: Bool?
            var detail: String?
            var hint: String?
        }

        private func check(_ more: String...) async throws -> Checked {
            let world = try await address("world")
            let result = try await scene.bascule(
                ["mail", "check", "--json", "--resolver", "world", "--egress", world] + more, environment: [:])
            let findings = result.text.split(separator: "\n").compactMap {
                try? JSONDecoder().decode(Finding.self, from: Data($0.utf8))
            }
            return Checked(status: result.status, findings: findings, all: result.all)
        }

        /// A mail to the world arrives over TLS, and its rspamd finds nothing wrong with it.
        private func expectBelief() async throws {
            let taken = try await scene.run(
                "shop", "perl", "-", "127.0.0.1", "587", "shop@shop.example", "owner@world.example",
                stdin: MailTests.say)
            #expect(taken.text.contains("queued as"), "\(taken.all)")
            let arrived = try await eventually(within: 30, every: .seconds(1)) {
                if try await scene.run("world", "test", "-s", "/var/mail/owner").status == 0 { return true }
                _ = try await scene.run("shop", "postqueue", "-f")
                return false
            }
            let why = try await scene.shell("shop", "mailq; journalctl -t postfix/smtp -n 5 --no-pager")
            try #require(arrived, "\(why)")
            let mail = try await scene.shell("world", "cat /var/mail/owner")
            for verdict in ["spf=pass", "dkim=pass header.d=shop.example", "dmarc=pass", "using TLSv1.3"] {
                #expect(mail.contains(verdict), "\(verdict): \(mail)")
            }
            #expect(mail.contains("from mail.shop.example (mail.shop.example ["), "HELO, PTR and A agree: \(mail)")
            let score = mail.firstMatch(of: #/X-Spamd-Result: default: False \[(-?[0-9.]+) / /#).flatMap {
                Double($0.1)
            }
            #expect((score ?? 99) < 1, "\(mail)")
        }

        /// An alert goes from Alertmanager through the node's own Postfix into the administrator's mailbox elsewhere, signed.
        private func expectAlertsByMail() async throws {
            let taken = try await scene.bascule("monitoring", "test-alert")
            #expect(taken.status == 0 && taken.text.contains("taken by email"), "\(taken.all)")
            let arrived = try await eventually(within: 30, every: .seconds(1)) {
                try await scene.run("world", "grep", "-q", "TestAlert", "/var/mail/crew").status == 0
            }
            let log = try await scene.shell("shop", "mailq; journalctl -t postfix/smtp -n 5 --no-pager")
            try #require(arrived, "\(log)")
            let mail = try await scene.shell("world", "cat /var/mail/crew")
            for part in ["From: alerts@shop.example", "dkim=pass header.d=shop.example", "dmarc=pass"] {
                #expect(mail.contains(part), "\(part): \(mail)")
            }
        }

        /// Nobody can send through us to elsewhere: from the world there is nothing, or a refusal.
        private func expectNoRelay(_ shop: String, open: Bool) async throws {
            for (from, to) in [
                ("a@evil.example", "b@victim.example"), ("shop@shop.example", "b@victim.example"),
                ("a@evil.example", "b%victim.example@shop.example"),
                ("a@evil.example", "@shop.example:b@victim.example"),
            ] {
                let answer = try await scene.run("world", "perl", "-", shop, "25", from, to, stdin: MailTests.say).text
                #expect(
                    open ? answer.hasPrefix("5") || answer.hasPrefix("454") : answer == "refused", "\(to): \(answer)")
                let submission = try await scene.run("world", "perl", "-", shop, "587", from, to, stdin: MailTests.say)
                #expect(submission.text == "refused", "\(submission.text)")
            }
        }

        private func expectReceiving(_ shop: String) async throws {
            let known = try await scene.run(
                "world", "perl", "-", shop, "25", "a@world.example", "contact@shop.example", stdin: MailTests.say)
            #expect(known.text.contains("queued as"), "\(known.all)")
            let unknown = try await scene.run(
                "world", "perl", "-", shop, "25", "a@world.example", "nobody@shop.example", stdin: MailTests.say)
            #expect(unknown.text.hasPrefix("550 5.1.1"), "\(unknown.all)")
        }

        // MARK: - A relay

        /// A server that takes mail for elsewhere from whoever logs in over TLS, at 587 and, from the first byte, at 465.
        private static let relay = """
            set -e
            mkdir -p /etc/postfix/sasl /root/ca; cd /root/ca
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=lab -keyout ca.key -out ca.pem 2>/dev/null
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mx.world.example -keyout /etc/postfix/relay.key -out relay.csr 2>/dev/null
            echo 'subjectAltName=DNS:mx.world.example' > names
            openssl x509 -req -in relay.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile names -out /etc/postfix/relay.pem 2>/dev/null
            printf 'pwcheck_method: auxprop\\nauxprop_plugin: sasldb\\nmech_list: PLAIN LOGIN CRAM-MD5\\nsasldb_path: /etc/postfix/sasl/users.db\\n' > /etc/postfix/sasl/smtpd.conf
            cat | saslpasswd2 -p -c -f /etc/postfix/sasl/users.db -u world.example shop
            chgrp postfix /etc/postfix/sasl/users.db; chmod 640 /etc/postfix/sasl/users.db
            postconf -e smtpd_tls_cert_file=/etc/postfix/relay.pem smtpd_tls_key_file=/etc/postfix/relay.key smtpd_sasl_local_domain=world.example cyrus_sasl_config_path=/etc/postfix/sasl
            for port in 587 465; do
                postconf -M "$port/inet=$port inet n - n - - smtpd"
                postconf -P $port/inet/smtpd_sasl_auth_enable=yes $port/inet/smtpd_tls_auth_only=yes $port/inet/smtpd_tls_security_level=encrypt \
                    $port/inet/smtpd_relay_restrictions=permit_sasl_authenticated,reject $port/inet/smtpd_recipient_restrictions=permit_sasl_authenticated,reject $port/inet/smtpd_milters=
            done
            postconf -P 465/inet/smtpd_tls_wrappermode=yes
            systemctl restart postfix
            """

        private static let password = "Kor:rekt 7!Pferd"

        private func relayed(_ image: String, port: Int) -> String {
            Self.fleet(
                image,
                "    relay: {host: mx.world.example, port: \(port), user: shop@world.example, password: !secret RELAY}")
                + "  - {on: shop, file: /usr/local/share/ca-certificates/lab.crt, source: lab.pem}\n"
        }

        private func secret(_ value: String) async throws {
            let set = try await scene.bascule("secret", "set", "RELAY", stdin: value)
            #expect(set.status == 0, "\(set.all)")
        }

        private func relayFinding() async throws -> Finding? {
            let result = try await scene.bascule(["mail", "check", "--json", "--resolver", "world"], environment: [:])
            return result.text.split(separator: "\n").compactMap {
                try? JSONDecoder().decode(Finding.self, from: Data($0.utf8))
            }.first { $0.check == "relay" }
        }

        private func expectTheRelay(_ image: String) async throws {
            try await scene.shell(
                "world",
                "cat > /root/relay.sh <<'END'\n\(Self.relay)\nEND\nprintf '%s' '\(Self.password)' | sh /root/relay.sh")
            try scene.write("lab.pem", try await scene.shell("world", "cat /root/ca/ca.pem"))
            // A wrong password first: mail waits, and whoever asks hears why.
            try await secret("wrong")
            try await scene.converge(relayed(image, port: 587))
            try await scene.shell("shop", "update-ca-certificates >/dev/null 2>&1")
            let refused = try #require(try await relayFinding())
            #expect(refused.status == "wrong", "\(refused)")
            #expect(refused.detail?.contains("refuses the login of shop@world.example: 535") == true, "\(refused)")
            #expect(refused.hint?.contains("bascule secret set RELAY") == true, "\(refused)")
            try await send("first")
            let waits = try await eventually(within: 20) {
                try await scene.shell("shop", "postqueue -j").contains("SASL authentication failed")
            }
            #expect(waits)

            try await secret(Self.password)
            try await scene.converge(relayed(image, port: 587))
            #expect(try await relayFinding()?.status == "right")
            _ = try await scene.run("shop", "postqueue", "-f")
            try await expectArrival("first")
            // TLS from the first byte, too.
            try await scene.converge(relayed(image, port: 465))
            #expect(try await relayFinding()?.status == "right")
            try await send("second")
            try await expectArrival("second")
            try await expectNoPasswordAnywhere()
            // A certificate that nobody vouches for is no relay's.
            try await scene.shell(
                "shop",
                "bascule-agent hold; rm /usr/local/share/ca-certificates/lab.crt; update-ca-certificates --fresh >/dev/null 2>&1"
            )
            let stranger = try #require(try await relayFinding())
            #expect(stranger.status == "wrong" && stranger.detail?.contains("verify error") == true, "\(stranger)")
        }

        private func send(_ word: String) async throws {
            let taken = try await scene.run(
                "shop", "perl", "-", "127.0.0.1", "587", "shop@shop.example", "owner@world.example",
                stdin: MailTests.say.replacing("Your order", with: word))
            #expect(taken.text.contains("queued as"), "\(taken.all)")
        }

        private func expectArrival(_ word: String) async throws {
            let arrived = try await eventually(within: 20, every: .milliseconds(500)) {
                try await scene.run("world", "grep", "-q", "Subject: \(word)", "/var/mail/owner").status == 0
            }
            let why = try await scene.shell("shop", "mailq; journalctl -t postfix/smtp -n 5 --no-pager")
            #expect(arrived, "\(why)")
            // Logged in, over TLS, and signed by us.
            let mail = try await scene.shell("world", "grep -B30 'Subject: \(word)' /var/mail/owner | tail -30")
            #expect(mail.contains("with ESMTPSA id") && mail.contains("d=shop.example;"), "\(mail)")
        }

        /// In its own file and nowhere else: no argument, no environment, no log, no other file, and not here either.
        private func expectNoPasswordAnywhere() async throws {
            let found = try await scene.run(
                "shop", "sh", "-c",
                """
                cat > /root/word
                grep -rlsFf /root/word /etc /var/log /var/lib/bascule /var/spool/postfix /run /usr/local
                journalctl --no-pager -o cat | grep -cFf /root/word
                for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/cmdline; tr '\\0' '\\n' < $p/environ; done 2>/dev/null | grep -cFf /root/word
                rm /root/word
                """, stdin: Self.password + "\n")
            #expect(found.text == "/etc/postfix/bascule-relay\n0\n0\n", "\(found.all)")
            let store = try await scene.run("shop", "stat", "-c", "%a %U", "/etc/postfix/bascule-relay")
            #expect(store.text == "600 root\n")
            for file in try FileManager.default.subpathsOfDirectory(atPath: "\(scene.folder)/state") {
                let bytes = FileManager.default.contents(atPath: "\(scene.folder)/state/\(file)") ?? Data()
                #expect(bytes.range(of: Data(Self.password.utf8)) == nil, "\(file)")
            }
        }
    }
}
