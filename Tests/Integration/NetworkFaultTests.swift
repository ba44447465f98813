import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// Networks that cut, drop and delay, between a real controller and real agents.
    @Suite(.serialized, .scene("net")) struct NetworkFaultTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func converge(_ text: String) async throws {
            try scene.fleet(Sample.blank("a", "b") + text)
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
        }

        /// The fleet file, with node a behind a proxy of this machine.
        private func proxied(_ port: UInt16, _ text: String) async throws {
            let key = try #require(try await scene.lab.node("a").hostKeys.first { $0.hasPrefix("ssh-ed25519") })
            try scene.write("key", "")
            try scene.fleet(
                """
                nodes:
                  a: {address: 127.0.0.1, port: \(port), key: \(scene.folder)/key, hostKey: "\(key)"}
                  b: {provider: lab, image: debian12}
                topologies: {single: {a: [], b: []}}
                topology: single
                resources:

                """ + text)
        }

        /// A fault tool before node a's sshd; it ends with its owner.
        private func proxy(_ tool: String, _ words: String...) async throws -> (Running, UInt16) {
            let port = UInt16.random(in: 22_000..<30_000)
            let address = try await scene.lab.node("a").address
            let path = "\(Program.checkout)/Tests/Support/faults/\(tool).py"
            let running = try Running(["/usr/bin/python3", path, "\(port)", address, "22"] + words, environment: [:])
            try await Task.sleep(for: .milliseconds(400))
            try #require(running.status == nil, "\(running.output)")
            return (running, port)
        }

        @Test func aConnectionCutInMidSegmentIsAskedAgainByIdAndNothingIsDoneTwice() async throws {
            try await converge(Sample.files(2, item: 1))
            // Every connection ends after 0.7 s: more than a login takes, less than the segment does.
            let (running, port) = try await proxy("cut-proxy", "0.7")
            defer { running.kill9() }
            try await proxied(port, Sample.files(200, item: 2, in: "cut"))
            let applied = try await scene.bascule("apply", "--yes", "--json", deadline: .seconds(120))
            #expect(applied.status == 0, "\(applied.all.suffix(3000))")
            #expect(!applied.events("reconnecting").isEmpty, "nothing was cut, so nothing was tested")
            try await scene.expectNothingTwice("a")
            #expect(try await scene.shell("a", "ls /srv/cut | wc -l") == "200")
        }

        @Test func aBlackHoleInMidSegmentEndsAtItsDeadlineAndTheOtherNodeIsDone() async throws {
            try await converge(Sample.files(2, item: 1))
            try scene.fleet(Sample.blank("a", "b") + Sample.files(150, item: 3, in: "hole"))
            let running = try scene.begin("apply", "--yes", "--json")
            try #require(try await running.says("\"started\"", within: 30))
            let gateway = try await scene.lab.node("a").gateway
            try await scene.shell("a", "ip route add blackhole \(gateway)/32")
            try await eventually(within: 45) { try await scene.shell("b", "ls /srv/hole | wc -l") == "150" }
            #expect(try await scene.shell("b", "ls /srv/hole | wc -l") == "150", "b waited for a")
            // The agent needs nobody to end what it has accepted.
            #expect(try await eventually(within: 45) { try await scene.shell("a", "ls /srv/hole | wc -l") == "150" })
            try await scene.shell("a", "ip route del blackhole \(gateway)/32")
            #expect(try await running.ended(within: 90) == 0, "\(running.output.suffix(2000))")
            try await scene.expectNothingTwice("a")
        }

        @Test func aHostileNodesFloodsEndTheirOwnConnectionOnly() async throws {
            try await converge(Sample.files(2, item: 1))
            let script = #"""
                my $mode = shift; $| = 1; binmode STDOUT;
                sub frame { my ($kind, $body) = @_; print pack("NCN", length($body) + 5, $kind, 0), $body }
                if ($mode eq "events") { my $x = '{"alive":{}}' . (" " x (8 << 20)); frame(3, $x) for 1..128 }
                if ($mode eq "raw") { my $x = "\x00\x00\x00\x06" x (1 << 18); print $x for 1..1024 }
                if ($mode eq "deep") { frame(2, "[" x (15 << 20)) }
                if ($mode eq "huge") { print "\xff\xff\xff\xff" . ("x" x 100000) }
                if ($mode eq "words") { frame(2, "{\"refused\":{\"_0\":{\"code\":\"x\\u001b[31m\",\"message\":\"\\u001b]0;owned\\u0007../../etc\\u0000\"}}}") }
                if ($mode eq "stderr") { my $x = "e" x (1 << 20); print STDERR $x for 1..200; }
                sleep 600;
                """#
            _ = try await scene.run("a", "tee", "/srv/fake.pl", stdin: script)
            try scene.fleet(Sample.blank("a", "b") + Sample.files(2, item: 4))
            let memory =
                "import resource,subprocess,sys\nr=subprocess.run(sys.argv[1:],stdout=1,stderr=1)\nprint('peak',resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\nsys.exit(r.returncode)\n"
            for mode in ["events", "raw", "deep", "huge", "words", "stderr"] {
                _ = try await scene.run(
                    "a", "tee", "/etc/ssh/sshd_config.d/00-fake.conf",
                    stdin: "Match User bascule\n    ForceCommand exec perl /srv/fake.pl \(mode)\n")
                try await scene.shell("a", "systemctl reload ssh; sleep 0.3")
                let start = ContinuousClock.now
                let running = try Running(
                    [
                        "/usr/bin/python3", "-c", memory, try #require(Program.path), "plan", "-f",
                        "\(scene.folder)/fleet.yaml",
                    ],
                    environment: scene.environment())
                let status = try await running.ended(within: 60)
                let said = running.output
                #expect(status == 1, "\(mode): \(said.suffix(2000))")
                #expect(ContinuousClock.now - start < .seconds(30), "\(mode) held the command up")
                // What the other node needs is planned all the same.
                #expect(said.contains("/srv/many/f1.conf"), "\(mode): \(said.suffix(2000))")
                #expect(!said.unicodeScalars.contains { $0.value < 32 && $0 != "\n" && $0 != "\t" }, "\(mode): \(said)")
                let peak = said.split(separator: "\n").last { $0.hasPrefix("peak ") }.flatMap { Int($0.dropFirst(5)) }
                #expect(try #require(peak) < 300 << 10, "\(mode): \(peak ?? 0) KiB")
            }
            try await scene.shell("a", "rm -f /etc/ssh/sshd_config.d/00-fake.conf; systemctl reload ssh; sleep 0.3")
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 0, "\(applied.all)")
        }

        @Test func factsOfAStrangerAreEscaped() async throws {
            try await converge(Sample.files(2, item: 1))
            try await scene.shell(
                "a",
                #"cp --remove-destination "$(readlink -f /etc/os-release)" /etc/os-release; printf 'PRETTY_NAME="\033[31mred\007 ../../../etc/passwd \302\233 %%s"\n' >> /etc/os-release"#
            )
            let facts = try await scene.bascule("facts", "a")
            #expect(
                facts.status == 0 && facts.text.contains("red") && facts.text.contains("../../../etc/passwd"),
                "\(facts.all)")
            #expect(
                !facts.all.unicodeScalars.contains { $0.value < 32 && $0 != "\n" || $0.value == 0x9b }, "\(facts.all)")
            let json = try await scene.bascule("facts", "a", "--json")
            #expect(!json.text.unicodeScalars.contains { $0.value < 32 && $0 != "\n" }, "\(json.all)")
        }

        /// 30 % of the packets to the node are lost, 1 Mbit/s from it, and 370 ms there and back.
        @Test(.enabled(if: ProcessInfo.processInfo.environment["BASCULE_TEST_ALL"] != nil), .timeLimit(.minutes(10)))
        func aTerribleLineIsSlowAndNothingElse() async throws {
            let content = String((0..<(1 << 20)).map { _ in "0123456789abcdef".randomElement() ?? "x" })
            try scene.write("big.bin", content)
            try await converge(Sample.files(2, item: 1))
            let (running, port) = try await proxy("latency-proxy", "370")
            defer { running.kill9() }
            try await scene.shell("a", "tc qdisc add dev host0 root tbf rate 1mbit burst 16kb latency 400ms")
            // The loss is on this machine's side: the node's image has no nftables.
            let address = try await scene.lab.node("a").address
            let table = "bascule_test_\(getpid())"
            let rules = """
                table ip \(table) {
                    chain out {
                        type filter hook output priority 0; policy accept;
                        ip daddr \(address) tcp dport 22 numgen random mod 100 < 30 counter drop
                    }
                }
                """
            _ = try await Command.run(["nft", "-f", "-"], stdin: Array(rules.utf8)).requireSuccess("losing packets")
            let result: Result<Void, any Error>
            do { result = .success(try await useTerribleLine(port, content)) } catch { result = .failure(error) }
            let lost = try await Command.run(["nft", "list", "table", "ip", table]).text
            _ = try await Command.run(["nft", "delete", "table", "ip", table])
            try await scene.shell("a", "tc qdisc del dev host0 root")
            #expect(lost.contains("counter packets ") && !lost.contains("counter packets 0 "), "\(lost)")
            try result.get()
        }

        private func useTerribleLine(_ port: UInt16, _ content: String) async throws {
            try await proxied(port, Sample.files(2, item: 1))
            let nothing = try await scene.bascule("apply", "--yes", deadline: .seconds(200))
            #expect(nothing.status == 0 && nothing.text.contains("Nothing to do"), "\(nothing.all)")
            try await proxied(
                port, Sample.files(2, item: 1) + "  - {on: all, file: /srv/big.bin, source: big.bin}\n")
            let applied = try await scene.bascule("apply", "--yes", deadline: .seconds(500))
            #expect(applied.status == 0, "\(applied.all)")
            #expect(try await scene.shell("a", "wc -c < /srv/big.bin") == "\(content.utf8.count)")
        }
    }
}
