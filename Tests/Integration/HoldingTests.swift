import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// Connections that are held between commands.
    @Suite(.serialized, .scene("hold")) struct HoldingTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private var folder: String { (scene.store as NSString).deletingLastPathComponent }

        private var sockets: [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { $0.hasSuffix(".sock") }
        }

        /// The processes that hold connections of this scene.
        private var holders: [pid_t] {
            ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }.filter {
                let words = FileManager.default.contents(atPath: "/proc/\($0)/cmdline") ?? Data()
                let text = String(decoding: words, as: UTF8.self)
                return text.contains("connection-holder") && text.contains(folder)
            }
        }

        private func logins() async throws -> Int {
            Int(try await scene.shell("a", "journalctl -u ssh -o cat | grep -c 'Accepted publickey for bascule'")) ?? -1
        }

        private func begin(seconds: Int = 60) async throws {
            try scene.fleet(Sample.blank("a", "b") + Sample.files(3, item: 1))
            try await Scene.$hold.withValue("\(seconds)") {
                let applied = try await scene.bascule("apply", "--yes")
                try #require(applied.status == 0, "\(applied.all)")
            }
            try #require(try await eventually(within: 5) { holders.count == 1 && sockets.count == 1 })
            // Both nodes are connected and each has its spare channel.
            try await Task.sleep(for: .milliseconds(700))
        }

        private func endHolders() async throws {
            for pid in holders { kill(pid, SIGKILL) }
            try await eventually(within: 5) { holders.isEmpty }
        }

        @Test func theNextCommandUsesTheHeldConnectionAndAsksTheAgentItself() async throws {
            try await begin()
            let before = try await logins()
            for _ in 0..<4 {
                let again = try await Scene.$hold.withValue("60") { try await scene.bascule("apply", "--yes") }
                #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
            }
            try scene.fleet(Sample.blank("a", "b") + Sample.files(3, item: 2))
            let changed = try await Scene.$hold.withValue("60") { try await scene.bascule("apply", "--yes") }
            #expect(changed.status == 0 && changed.text.contains("6 changed"), "\(changed.all)")
            #expect(try await logins() == before, "somebody logged in again")
            let without = try await scene.bascule("apply", "--yes")
            #expect(without.status == 0)
            #expect(try await logins() == before + 1, "BASCULE_HOLD=0 uses no held connection")
            #expect(holders.count == 1)
            try await endHolders()
        }

        @Test func aKilledHolderCostsOneLoginAndNothingElse() async throws {
            try await begin()
            try await endHolders()
            #expect(sockets.count == 1, "a killed process leaves its socket")
            let again = try await Scene.$hold.withValue("60") { try await scene.bascule("apply", "--yes") }
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
            #expect(try await eventually(within: 5) { holders.count == 1 })
            // A stopped one must not hold a command up either.
            for pid in holders { kill(pid, SIGSTOP) }
            let start = ContinuousClock.now
            let stopped = try await Scene.$hold.withValue("60") { try await scene.bascule("apply", "--yes") }
            #expect(stopped.status == 0 && ContinuousClock.now - start < .seconds(15), "\(stopped.all)")
            try await endHolders()
        }

        @Test func anotherUserCannotUseItAndAnotherHostKeyIsRefused() async throws {
            try await begin()
            let path = "\(folder)/\(try #require(sockets.first))"
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600 && status.st_uid == geteuid())
            let script = """
                import os, socket, sys
                os.setgroups([]); os.setgid(65534); os.setuid(65534)
                s = socket.socket(socket.AF_UNIX)
                try:
                    s.connect(sys.argv[1]); s.sendall(b"x"); print("in" if s.recv(1) else "out")
                except OSError as e:
                    print("out")
                """
            for folder in [folder, "\(scene.folder)/state", scene.folder] { chmod(folder, 0o755) }
            chmod(path, 0o666)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
            process.arguments = ["-c", script, path]
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            let said = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            process.waitUntilExit()
            #expect(said == "out\n", "even where the file's mode was opened, the peer's user is checked")
            // The same address with another pinned key: the held connection is not trusted for it.
            let (a, b) = (try await scene.lab.node("a"), try await scene.lab.node("b"))
            let wrong = try #require(b.hostKeys.first).split(separator: " ").prefix(2).joined(separator: " ")
            try scene.write("key", "")
            try scene.fleet(
                """
                nodes:
                  a: {address: \(a.address), key: \(scene.folder)/key, hostKey: "\(wrong)"}
                topologies: {single: {a: []}}
                topology: single
                resources:
                  - {on: all, file: /srv/many/f0.conf, content: "other"}

                """)
            let refused = try await Scene.$hold.withValue("60") { try await scene.bascule("plan") }
            #expect(refused.status == 1 && refused.all.contains("[ssh-host-key-changed]"), "\(refused.all)")
            try await endHolders()
        }

        @Test func itEndsByItself() async throws {
            try await begin(seconds: 2)
            #expect(try await eventually(within: 8) { holders.isEmpty && sockets.isEmpty })
        }
    }
}
