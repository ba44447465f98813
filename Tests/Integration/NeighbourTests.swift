import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// A node that was taken over looks for what belongs to its neighbours.
    @Suite(.serialized, .scene("neighbour")) struct NeighbourTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        @Test func aNodeHoldsNoSecretOfAnother() async throws {
            let canary = "canary-\(UInt64.random(in: .min ... .max))-sings"
            try scene.write("secret.conf", "key = {{key}}\n")
            try scene.fleet(
                Sample.blank("a", "b") + """
                      - {on: a, file: /srv/key.conf, template: secret.conf, vars: {key: !secret ONLY_FOR_A}, mode: "0600"}
                      - {on: b, file: /srv/other.conf, content: "x"}

                    """)
            #expect(try await scene.bascule("secret", "set", "ONLY_FOR_A", stdin: canary + "\n").status == 0)
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
            #expect(try await scene.shell("a", "cat /srv/key.conf") == "key = \(canary)")
            // Neither its value, nor its name, nor a way in: files, then the memory of the agent.
            for word in [canary, "ONLY_FOR_A"] {
                let hits = try await scene.run(
                    "b", "grep", "-rlaF", "-f", "-", "/etc", "/home", "/root", "/run", "/srv", "/tmp", "/usr/local",
                    "/var/lib/bascule", "/var/log", stdin: word)
                #expect(hits.text.isEmpty, "\(hits.text)")
            }
            let pid = try await scene.shell("b", "systemctl show -P MainPID bascule-agent")
            #expect(try await memory(of: pid, on: "b", holds: "bascule"), "the search finds what is there")
            #expect(try await !memory(of: pid, on: "b", holds: canary))
            #expect(
                try await scene.run("b", "find", "/home", "/root", "/var/lib/bascule", "-name", "id_*").text.isEmpty)
        }

        /// Whether the writable memory of a node's process holds a text, read by root of that node.
        private func memory(of pid: String, on node: NodeName, holds text: String) async throws -> Bool {
            let script = """
                my ($pid, $text) = ($ARGV[0], scalar <STDIN>); chomp $text;
                open my $maps, '<', "/proc/$pid/maps" or die; open my $mem, '<:raw', "/proc/$pid/mem" or die;
                while (<$maps>) {
                    next unless /^([0-9a-f]+)-([0-9a-f]+) rw/;
                    my ($from, $to) = (hex $1, hex $2);
                    sysseek $mem, $from, 0; my $got = '';
                    while ($from < $to) {
                        my $n = sysread $mem, my $piece, 1 << 20; last unless $n;
                        if (index(substr($got, -64) . $piece, $text) >= 0) { print "found"; exit }
                        $got = $piece; $from += $n;
                    }
                }
                """
            let result = try await scene.run(node, "perl", "-e", script, pid, stdin: text + "\n")
            #expect(result.status == 0, "\(result.all)")
            return result.text == "found"
        }
    }
}
