import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// The mail server of one node, which sends nothing outside: what it takes, signs, holds and refuses.
    @Suite(.serialized, .scene("mail")) struct MailTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        /// Hands a message to a mail server and prints its last reply: `say HOST PORT FROM TO`.
        static let say = """
            use IO::Socket::INET;
            my ($host, $port, $from, $to) = @ARGV;
            my $s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 3) or do { print "refused"; exit };
            $s->autoflush(1);
            my $last;
            sub reply { while (my $l = <$s>) { $last = $l; last if $l !~ /^\\d{3}-/ } $last =~ /^[23]/ }
            my @words = ("EHLO there.example", "MAIL FROM:<$from>", "RCPT TO:<$to>", "DATA",
                "From: <$from>\\r\\nTo: <$to>\\r\\nSubject: Your order\\r\\nMessage-Id: <$$.".time."\\@shop.example>\\r\\n\\r\\nThank you.\\r\\n.");
            reply() or do { print $last; exit };
            for (@words) { print $s "$_\\r\\n"; reply() or last }
            print $last;
            """

        private func submit(_ from: String, _ to: String, port: Int = 587) async throws -> String {
            try await scene.run("vps1", "perl", "-", "127.0.0.1", "\(port)", from, to, stdin: Self.say).text
        }

        private static func fleet(_ image: String, _ more: String = "") -> String {
            """
            nodes: {vps1: {provider: lab, image: \(image)}}
            topologies: {single: {vps1: [mail]}}
            services:
              mail:
                domain: shop.example
                admin: crew@mail.shop.example
                warmUp: {start: \(Date().formatted(.iso8601.year().month().day())), perDay: [3, 5]}
            \(more)
            resources: [{on: all, user: crew, system: true}]

            """
        }

        @Test(arguments: Program.testsAll ? ["debian12", "debian13"] : ["debian12"])
        func takesSignsHoldsAndRefuses(_ image: String) async throws {
            try await scene.startAnew()
            try await scene.converge(Self.fleet(image))
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")

            // Nothing listens but for this machine.
            let listening = try await scene.shell("vps1", "ss -Hltn | awk '{print $4}' | grep -v ':22$' | sort")
            #expect(listening == "127.0.0.1:587")

            // Signed, and only in our name.
            let taken = try await submit("shop@shop.example", "crew@mail.shop.example")
            #expect(taken.contains("queued as"), "\(taken)")
            let delivered = try await eventually(within: 5) {
                try await scene.run("vps1", "grep", "-q", "Thank you", "/var/mail/crew").status == 0
            }
            let mail = try await scene.shell("vps1", "cat /var/mail/crew")
            #expect(delivered && mail.contains("d=shop.example;") && mail.contains("s=bascule;"), "\(mail)")
            let stranger = try await submit("boss@bank.example", "crew@mail.shop.example")
            #expect(stranger.hasPrefix("554 5.7.1"), "\(stranger)")
            #expect(try await scene.run("vps1", "mail-probe", "deliver").status == 0)

            try await expectTheThrottle()
            try await expectHardening(image)
            try await expectDriftIsMended()
        }

        /// What goes to this node itself was not counted; beyond three recipients mail waits for tomorrow.
        private func expectTheThrottle() async throws {
            for number in 1...5 {
                let taken = try await submit("shop@shop.example", "c\(number)@nowhere.invalid")
                #expect(taken.contains("queued as"), "\(taken)")
            }
            #expect(try await scene.shell("vps1", "mail-pace status") == "day 1, 3 of 3 recipients, 2 messages wait")
            let held = "postqueue -j | grep -c '\"queue_name\": \"hold\"' || true"
            #expect(try await scene.shell("vps1", held) == "2")
            // The count was yesterday's.
            try await scene.shell("vps1", "sed -i '1s/.*/-1 3/' /var/lib/bascule-mail/pace")
            try await scene.shell("vps1", "systemctl start bascule-mail-pace.service")
            #expect(try await scene.shell("vps1", "mail-pace status") == "day 1, 2 of 3 recipients, 0 messages wait")
            #expect(try await scene.shell("vps1", held) == "0")
        }

        /// At most 3.0, by systemd's own reckoning.
        private func expectHardening(_ image: String) async throws {
            let postfix = image == "debian12" ? "postfix@-.service" : "postfix.service"
            for unit in [postfix, "opendkim.service", "bascule-mail-pace.service"] {
                let safe = try await scene.run(
                    "vps1", "systemd-analyze", "security", "--threshold=30", "--no-pager", unit)
                #expect(safe.status == 0, "\(safe.text.split(separator: "\n").last ?? "")")
            }
        }

        private func expectDriftIsMended() async throws {
            // Else the agent would have put back what is not Postfix's own.
            try await scene.shell("vps1", "bascule-agent hold")
            try await scene.shell(
                "vps1",
                """
                systemctl stop opendkim.service; rm /etc/dkimkeys/bascule.private; echo '# by hand' >> /etc/postfix/main.cf
                chmod 0644 /usr/local/sbin/mail-probe; systemctl disable -q --now bascule-mail-pace.timer
                """)
            // Nothing leaves unsigned, and everybody who asks is told.
            let refused = try await submit("shop@shop.example", "crew@mail.shop.example")
            #expect(refused.hasPrefix("451 "), "\(refused)")
            let drift = try await scene.bascule("drift")
            for what in [
                "unit opendkim.service", "/etc/dkimkeys/bascule.private", "/etc/postfix/main.cf", "mail-probe",
                "bascule-mail-pace.timer", "mail",
            ] {
                #expect(drift.text.contains(what), "\(what): \(drift.text)")
            }
            let mended = try await scene.bascule("apply", "--yes")
            #expect(mended.status == 0, "\(mended.all)")
            #expect(try await scene.bascule("drift").status == 0)
            #expect(try await submit("shop@shop.example", "crew@mail.shop.example").contains("queued as"))
            try await scene.shell("vps1", "bascule-agent release")
        }
    }
}
