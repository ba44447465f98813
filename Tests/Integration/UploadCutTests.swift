import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// An upgrade of the agent whose upload does not come to its end: the present program stays, the next one works.
    @Suite(.serialized, .scene("halfway")) struct UploadCutTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func converge() async throws {
            try scene.fleet(Sample.blank("n1") + Sample.files(2, item: 1))
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
        }

        /// Begins `bascule node upgrade` with the real program and something behind its end, which means nothing.
        private func upgrade(_ tail: Data, file: String = "fleet.yaml") throws -> Running {
            let agents = try #require(Program.agents)
            let real = try #require(FileManager.default.contents(atPath: "\(agents)/x86_64/bascule-agent"))
            let folder = "\(scene.folder)/agents/x86_64"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try (real + tail).write(to: URL(fileURLWithPath: "\(folder)/bascule-agent"))
            return try Running(
                [
                    try #require(Program.path), "node", "upgrade", "n1", "--trial", "5", "-f",
                    "\(scene.folder)/\(file)",
                ], environment: scene.environment().merging(["BASCULE_AGENTS": "\(scene.folder)/agents"]) { $1 })
        }

        private func digest() async throws -> String {
            String(try await scene.shell("n1", "sha256sum /usr/local/lib/bascule/bascule-agent").prefix(64))
        }

        /// What lies half-uploaded on the node, in bytes.
        private func half() async throws -> Int {
            let sizes = try await scene.shell("n1", "stat -c %s /var/lib/bascule/blobs/.*.part 2>/dev/null || true")
            return sizes.split(separator: "\n").compactMap { Int($0) }.reduce(0, +)
        }

        private func uploading(_ run: Running) async throws {
            let began = try await eventually(within: 30, every: .milliseconds(5)) { try await half() > 1 << 20 }
            try #require(began && run.status == nil, "\(run.output)")
        }

        @Test(arguments: ["controller", "agent", "line"]) func halfAProgramIsNone(_ end: String) async throws {
            try await converge()
            let before = try await digest()
            // Large enough to be met on its way.
            let large = Data(count: 150 << 20)
            switch end {
            case "controller":
                let run = try upgrade(large)
                try await uploading(run)
                run.kill9()
            case "agent":
                let run = try upgrade(large)
                try await uploading(run)
                try await scene.killAgent("n1")
                #expect(try await run.ended(within: 60) == 1, "\(run.output)")
            default:
                let node = try await scene.lab.node("n1")
                let port = UInt16.random(in: 22_000..<30_000)
                let proxy = try Running(
                    [
                        "/usr/bin/python3", "\(Program.checkout)/Tests/Support/faults/cut-proxy.py", "\(port)",
                        node.address, "22", "600",
                    ], environment: [:])
                defer { proxy.kill9() }
                let key = try #require(node.hostKeys.first { $0.hasPrefix("ssh-ed25519") })
                try scene.write("key", "")
                try scene.fleet(
                    """
                    nodes:
                      n1: {address: 127.0.0.1, port: \(port), key: \(scene.folder)/key, hostKey: "\(key)"}
                    topologies: {single: {n1: []}}
                    topology: single
                    resources: []

                    """, file: "cut.yaml")
                try await Task.sleep(for: .milliseconds(300))
                let run = try upgrade(large, file: "cut.yaml")
                try await uploading(run)
                // Both ends of the line are closed when the proxy goes.
                proxy.kill9()
                #expect(try await run.ended(within: 60) == 1, "\(run.output)")
                #expect(
                    run.output.contains("[ssh-disconnected]") || run.output.contains("[link-lost]"), "\(run.output)")
            }
            let gone = try await eventually(within: 15) { try await half() == 0 }
            #expect(gone, "what is not whole goes")
            #expect(try await digest() == before)
            #expect(try await scene.run("n1", "test", "-e", "/var/lib/bascule/trial.json").status == 1)
            let next = try upgrade(Data("after \(end)".utf8))
            #expect(try await next.ended(within: 60) == 0, "\(next.output)")
            #expect(try await digest() != before)
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
        }
    }
}
