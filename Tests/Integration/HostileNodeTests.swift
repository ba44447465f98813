import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// Nodes whose address leads to somebody hostile one day, among others that are as they were.
    @Suite(.serialized, .scene("hostile")) struct HostileNodeTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static let honest: [NodeName] = ["n1", "n2", "n3", "n4"]
        private static let modes = ["silent", "drip", "garbage"]
        /// Seconds that a peer has until it has shown who it is.
        private static let deadline = 15.0

        /// The fleet with its honest nodes, and the others at these ports of the loopback; at home where there are none.
        private func fleet(_ ports: [UInt16], item: Int) async throws {
            var nodes = Self.honest.map { "  \($0): {provider: lab, image: debian12}" }
            try scene.write("key", "")
            for (index, mode) in Self.modes.enumerated() {
                guard ports.count > index else {
                    nodes.append("  \(mode): {provider: lab, image: debian12}")
                    continue
                }
                let key = try #require(
                    try await scene.lab.node(NodeName(mode)).hostKeys.first { $0.hasPrefix("ssh-ed25519") })
                nodes.append(
                    "  \(mode): {address: 127.0.0.1, port: \(ports[index]), key: \(scene.folder)/key, hostKey: \"\(key)\"}"
                )
            }
            let roles = (Self.honest.map(\.rawValue) + Self.modes).map { "\($0): []" }.joined(separator: ", ")
            try scene.fleet(
                "nodes:\n\(nodes.joined(separator: "\n"))\ntopologies: {single: {\(roles)}}\ntopology: single\nresources:\n"
                    + Sample.files(3, item: item))
        }

        @Test func silentDrippingAndBabblingNodesDelayNoOther() async throws {
            try await fleet([], item: 1)
            let made = try await scene.bascule("apply", "--yes")
            try #require(made.status == 0, "\(made.all)")
            var peers: [Running] = []
            var ports: [UInt16] = []
            for mode in Self.modes {
                let port = UInt16.random(in: 22_000..<30_000)
                let tool = "\(Program.checkout)/Tests/Support/faults/hostile-ssh.py"
                peers.append(try Running(["/usr/bin/python3", tool, mode, "\(port)"], environment: [:]))
                ports.append(port)
            }
            defer { peers.forEach { $0.kill9() } }
            try await Task.sleep(for: .milliseconds(500))
            for (peer, mode) in zip(peers, Self.modes) { try #require(peer.status == nil, "\(mode): \(peer.output)") }
            try await fleet(ports, item: 2)
            let began = Date().timeIntervalSince1970
            let applied = try await scene.bascule("apply", "--yes")
            let took = Date().timeIntervalSince1970 - began
            #expect(applied.status == 1, "the fleet has not converged: \(applied.all)")
            for mode in Self.modes {
                #expect(applied.all.contains("\(mode) is out of reach"), "\(applied.all)")
            }
            #expect(applied.all.contains("the others go ahead"), "\(applied.all)")
            #expect(took < Self.deadline + 10, "nobody waits longer than until their deadline")
            for node in Self.honest {
                #expect(
                    try await scene.shell(node, "grep -h item /srv/many/f*.conf | sort -u") == "item 2",
                    "\(node) is done")
                let written = try await scene.shell(node, "stat -c %Y /srv/many/f0.conf")
                let time = try #require(Double(written), "\(node): \(written)")
                #expect(time - began < Self.deadline / 2, "\(node) was done after \(time - began) s")
                // Their own logins, and so their answers, came at once, with the others still silent.
                let login = try await scene.shell(
                    node,
                    "journalctl -u ssh -o short-unix --since=@\(Int(began)) -g 'Accepted publickey for bascule' | head -1"
                )
                let met = try #require(Double(login.split(separator: " ").first ?? ""), "\(node): \(login)")
                #expect(met - began < Self.deadline / 2, "\(node) was met after \(met - began) s")
            }
        }
    }
}
