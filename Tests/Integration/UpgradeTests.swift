import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// A new agent that does not come up goes back to the previous one by itself.
    @Suite(.serialized, .scene("upgrade")) struct UpgradeTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static let program = "/usr/local/lib/bascule/bascule-agent"

        private func converge() async throws {
            try scene.fleet(Sample.blank("n1") + Sample.files(2, item: 1))
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
        }

        /// `bascule node upgrade` with another program than the one beside `bascule`.
        private func upgrade(_ program: Data, seconds: Int = 5) async throws -> CommandOutcome {
            let folder = "\(scene.folder)/agents/x86_64"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try program.write(to: URL(fileURLWithPath: "\(folder)/bascule-agent"))
            let run = try Running(
                [
                    try #require(Program.path), "node", "upgrade", "n1", "--trial", "\(seconds)", "-f",
                    "\(scene.folder)/fleet.yaml",
                ], environment: scene.environment().merging(["BASCULE_AGENTS": "\(scene.folder)/agents"]) { $1 })
            return CommandOutcome(status: try await run.ended(within: 60), output: run.output)
        }

        struct CommandOutcome {
            var status: Int32
            var output: String
        }

        /// A program that tells its version like the agent and does something else as the daemon.
        private func impostor(_ daemon: String) -> Data {
            Data("#!/bin/sh\n[ \"$1\" = version ] && { echo 'bascule-agent 9.9.9 x86_64'; exit; }\n\(daemon)\n".utf8)
        }

        private func digest() async throws -> String {
            String(try await scene.shell("n1", "sha256sum \(Self.program)").prefix(64))
        }

        private func expectTheOldOne(_ before: String, _ location: SourceLocation = #_sourceLocation) async throws {
            #expect(try await digest() == before, sourceLocation: location)
            let again = try await scene.bascule("apply", "--yes")
            #expect(
                again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)", sourceLocation: location)
            #expect(
                try await scene.run("n1", "test", "-e", "/var/lib/bascule/trial.json").status == 1,
                sourceLocation: location)
        }

        @Test func aGoodOneIsKeptAndWorksWithWhatTheOldOneWrote() async throws {
            try await converge()
            let agents = try #require(Program.agents)
            let real = try #require(FileManager.default.contents(atPath: "\(agents)/x86_64/bascule-agent"))
            let current = try await scene.bascule("status")
            #expect(current.status == 0 && !current.text.contains("upgrade"), "\(current.all)")
            // The same program with another digest: bytes after an ELF file's end mean nothing.
            let upgraded = try await upgrade(real + Data("another".utf8))
            #expect(upgraded.status == 0 && upgraded.output.contains("n1"), "\(upgraded.output)")
            // What runs is now another one than that which this program brings.
            let other = try await scene.bascule("status")
            #expect(other.text.contains("bascule node upgrade n1"), "\(other.all)")
            let after = try await digest()
            try await Task.sleep(for: .seconds(6))
            try await expectTheOldOne(after)
            let again = try await upgrade(real + Data("another".utf8))
            #expect(again.status == 0 && again.output.contains("already"), "\(again.output)")
            try await scene.expectNothingTwice("n1")
        }

        @Test(arguments: ["exit 1", "kill -SEGV $$", "exec sleep infinity"])
        func oneThatDoesNotComeUpGoesBack(_ daemon: String) async throws {
            try await converge()
            let before = try await digest()
            let failed = try await upgrade(impostor(daemon))
            #expect(failed.status == 1 && failed.output.contains("[agent-rolled-back]"), "\(failed.output)")
            try await expectTheOldOne(before)
        }

        @Test func oneThatDoesNotRunAtAllIsRefusedBeforeItIsTried() async throws {
            try await converge()
            let before = try await digest()
            for program in [Data("not a program".utf8), Data("#!/bin/sh\nexit 3\n".utf8)] {
                let refused = try await upgrade(program)
                #expect(refused.status == 1 && refused.output.contains("[command-failed]"), "\(refused.output)")
                try await expectTheOldOne(before)
            }
        }

        /// The node restarts while a program that hangs is on trial: nobody is left who could count.
        @Test func theNodeRestartsDuringATrial() async throws {
            try await converge()
            let before = try await digest()
            let folder = "\(scene.folder)/agents/x86_64"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try impostor("exec sleep infinity").write(to: URL(fileURLWithPath: "\(folder)/bascule-agent"))
            let run = try Running(
                [
                    try #require(Program.path), "node", "upgrade", "n1", "--trial", "8", "-f",
                    "\(scene.folder)/fleet.yaml",
                ], environment: scene.environment().merging(["BASCULE_AGENTS": "\(scene.folder)/agents"]) { $1 })
            let began = try await eventually(within: 30) {
                try await scene.run("n1", "pgrep", "-f", "sleep infinity").status == 0
            }
            try #require(began, "\(run.output)")
            run.kill9()
            try await scene.lab.kill("n1")
            _ = try await scene.lab.boot("n1")
            let back = try await eventually(within: 30, every: .milliseconds(500)) { try await digest() == before }
            #expect(back)
            try await expectTheOldOne(before)
        }
    }
}
