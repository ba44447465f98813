import BasculeModel
import BasculeProviders
import BasculeStore
import Foundation
import Testing

extension OnNodes {
    /// A node whose login leads to a program that forges, repeats, swallows or changes what its agent says. The
    /// controller believes none of it, and says so.
    @Suite(.serialized, .scene("liar")) struct LyingAgentTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        /// Stands between the login and the real bridge. Frames are a length, a kind, an id and a body.
        private static let liar = #"""
            use strict; use IPC::Open2; use IO::Select;
            my $mode = shift; $| = 1; binmode STDOUT; binmode STDIN;
            if ($mode eq "replay") {
                open(my $kept, "<", "/srv/record") or die; binmode $kept; local $/; print <$kept>;
                1 while sysread(STDIN, my $x, 65536); exit;
            }
            my $pid = open2(my $from, my $to, "/usr/local/lib/bascule/bascule-agent", "connect"); binmode $from; binmode $to;
            open(my $record, ">", "/srv/record") or die if $mode eq "record"; binmode $record if $record;
            my ($both, $buffer, $count, $swallowed) = (IO::Select->new(\*STDIN, $from), "", 0, 0);
            sub frame { my ($kind, $id, $body) = @_; syswrite(STDOUT, pack("NCN", length($body) + 5, $kind, $id) . $body) }
            while (1) { for my $end ($both->can_read) {
                sysread($end, my $x, 65536) or exit;
                if ($end == \*STDIN) { syswrite($to, $x); next }
                if ($record) { syswrite($record, $x); syswrite(STDOUT, $x); next }
                $buffer .= $x;
                while (length($buffer) >= 9 and length($buffer) >= 4 + unpack("N", $buffer)) {
                    my ($length, $kind, $id) = unpack("NCN", $buffer);
                    my $body = substr($buffer, 9, $length - 5); substr($buffer, 0, 4 + $length) = "";
                    $count++;
                    if ($mode eq "alter") { $body =~ s/"failed"/"done"/g; $body =~ s/"error":\{.*?\},//g }
                    if ($mode eq "swallow" and $kind == 3 and not $swallowed++) { next }
                    frame($kind, $id, $body);
                    if ($mode eq "twice" and $count == 2) { frame($kind, $id, $body) }
                    if ($mode eq "forge" and $count == 1) { frame(2, $_, '{"outcome":{"_0":{"status":"converged","results":{}}}}' . ("x" x 16)) for 1..9 }
                }
            } }
            """#

        private func converge(_ item: Int) async throws {
            try scene.fleet(Sample.blank("a", "b") + Sample.files(1, item: item))
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
        }

        /// From now on node a's login leads to the liar; nil for the agent again.
        private func lie(_ mode: String?) async throws {
            let rule = mode.map { "Match User bascule\n    ForceCommand exec perl /srv/liar.pl \($0)\n" } ?? ""
            _ = try await scene.run("a", "tee", "/etc/ssh/sshd_config.d/00-liar.conf", stdin: rule)
            try await scene.shell("a", "systemctl reload ssh; sleep 0.3")
        }

        private func content(_ node: NodeName) async throws -> String {
            try await scene.shell(node, "cat /srv/many/f0.conf")
        }

        /// What the store has of a node's steps: their ends, by run.
        private func recorded(_ node: NodeName) throws -> [StepResult.Status] {
            let store = try Store(path: scene.store)
            return try store.runs().flatMap { run in
                try store.events(of: run.id).compactMap { record -> StepResult.Status? in
                    guard record.node == node, case .finished(_, let result) = record.event else { return nil }
                    return result.status
                }
            }
        }

        @Test func nothingThatIsForgedOrRepeatedCounts() async throws {
            try await converge(1)
            _ = try await scene.run("a", "tee", "/srv/liar.pl", stdin: Self.liar)
            try await scene.shell("a", "touch /srv/record; chmod 666 /srv/record; chmod 644 /srv/liar.pl")
            // A genuine run is recorded, to the byte: it changes the file, and says so.
            try await lie("record")
            try await converge(2)
            #expect(Int(try await scene.shell("a", "wc -c < /srv/record")) ?? 0 > 1000)
            for (item, mode) in zip(3..., ["replay", "forge", "twice", "swallow"]) {
                try await lie(mode)
                let before = (try recorded("a").count, try await content("a"))
                try scene.fleet(Sample.blank("a", "b") + Sample.files(1, item: item))
                let start = ContinuousClock.now
                let applied = try await scene.bascule("apply", "--yes", deadline: .seconds(60))
                #expect(applied.status == 1 && applied.all.contains("[forged-reply]"), "\(mode): \(applied.all)")
                #expect(ContinuousClock.now - start < .seconds(20), "\(mode) held the run up")
                #expect(try await content("b").hasSuffix("\(item)"), "the honest node is done")
                #expect(try recorded("a").count == before.0, "\(mode): nothing of it is on record")
                // Whoever cannot answer for the node is told nothing; what is swallowed was asked for before.
                let found = try await content("a")
                #expect(mode == "swallow" || found == before.1, "\(mode): nothing was sent to it")
            }
            try await lie(nil)
            try await converge(9)
            #expect(try await content("a").hasSuffix("9"))
        }

        /// The agent fails, and somebody between it and the controller makes a success of it.
        @Test func aFailureThatIsMadeASuccessIsNone() async throws {
            try await lie(nil)
            try await converge(1)
            _ = try await scene.run("a", "tee", "/srv/liar.pl", stdin: Self.liar)
            try await scene.shell("a", "chmod 644 /srv/liar.pl; touch /srv/plain")
            try scene.fleet(
                Sample.blank("a", "b") + Sample.files(1, item: 1)
                    + "  - {on: a, file: /srv/plain/x.conf, content: \"x\\n\"}\n")
            try await lie("alter")
            let before = try recorded("a").filter { $0 == .done }.count
            let applied = try await scene.bascule("apply", "--yes", deadline: .seconds(60))
            #expect(applied.status == 1 && applied.all.contains("[forged-reply]"), "\(applied.all)")
            #expect(try recorded("a").filter { $0 == .done }.count == before, "no success is on record")
            try await lie(nil)
            let honest = try await scene.bascule("apply", "--yes")
            #expect(honest.status == 1 && !honest.all.contains("[forged-reply]"), "\(honest.all)")
            #expect(try recorded("a").contains(.failed), "what was known of by id is told truly later")
            try await converge(1)
        }
    }
}
