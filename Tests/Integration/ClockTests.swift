import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// Clocks that are wrong, on the workstation and on a node. Deadlines go by the monotonic clock, which stays.
    @Suite(.serialized, .scene("clock")) struct ClockTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func apply(_ shift: Int, _ library: String) async throws -> (
            status: Int32, output: String, seconds: Int64
        ) {
            let environment = scene.environment().merging(["LD_PRELOAD": library, "CLOCK_SHIFT": "\(shift)"]) { $1 }
            let clock = ContinuousClock()
            let start = clock.now
            let run = try Running(
                [try #require(Program.path), "apply", "--yes", "-f", "\(scene.folder)/fleet.yaml"],
                environment: environment)
            let status = try await run.ended(within: 60)
            return (status, run.output, (clock.now - start).components.seconds)
        }

        @Test func wrongClocksChangeNothing() async throws {
            let library = "\(scene.folder)/clock-shift.so"
            let compiler = Process()
            compiler.executableURL = URL(fileURLWithPath: "/usr/bin/cc")
            compiler.arguments = [
                "-shared", "-fPIC", "-O1", "-o", library, "\(Program.checkout)/Tests/Support/faults/clock-shift.c",
            ]
            try compiler.run()
            compiler.waitUntilExit()
            try #require(compiler.terminationStatus == 0)
            try scene.fleet(Sample.blank("a") + Sample.files(2, item: 1))
            try #require(try await scene.bascule("apply", "--yes").status == 0)
            for (item, shift) in [(2, 3600), (3, -3600), (4, 315_360_000)] {
                try scene.fleet(Sample.blank("a") + Sample.files(2, item: item))
                let applied = try await apply(shift, library)
                #expect(applied.status == 0 && applied.seconds < 30, "\(shift): \(applied.output)")
                #expect(applied.output.contains("the clock of a is"), "\(shift): \(applied.output)")
                #expect(try await scene.shell("a", "tail -1 /srv/many/f1.conf") == "item \(item)")
            }
            try await skewTheAgent(library)
        }

        /// The agent's turn: a day ahead, then ten years, then right again.
        private func skewTheAgent(_ library: String) async throws {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: library))
            _ = try await scene.lab.exec(
                "a", ["sh", "-c", "cat > /usr/local/lib/clock-shift.so"], stdin: Array(bytes), deadline: .seconds(20))
            let dropIn = "/run/systemd/system/bascule-agent.service.d"
            for (item, shift, words) in [(5, 86_400, "24 h ahead"), (6, 315_360_000, "ahead")] {
                try await scene.shell(
                    "a",
                    "mkdir -p \(dropIn); printf '[Service]\\nEnvironment=LD_PRELOAD=/usr/local/lib/clock-shift.so CLOCK_SHIFT=\(shift)\\n' > \(dropIn)/clock.conf; systemctl daemon-reload; systemctl restart bascule-agent"
                )
                try scene.fleet(Sample.blank("a") + Sample.files(2, item: item))
                let applied = try await scene.bascule("apply", "--yes")
                #expect(applied.status == 0 && applied.all.contains(words), "\(shift): \(applied.all)")
                // Two events by this clock.
                try await scene.bascule("hold", "a", "--for", "1h")
                let status = try await scene.bascule("status")
                #expect(status.text.contains("the clock of a is"), "\(status.text)")
                #expect(status.text.contains("held  the whole node  for 60 min more"), "\(status.text)")
                try await scene.bascule("release", "a")
            }
            try await scene.shell("a", "rm -r \(dropIn); systemctl daemon-reload; systemctl restart bascule-agent")
            try scene.fleet(Sample.blank("a") + Sample.files(2, item: 7))
            let right = try await scene.bascule("apply", "--yes")
            #expect(right.status == 0 && !right.all.contains("the clock of"), "\(right.all)")
            try await scene.bascule("hold", "a", "--for", "1h")
            // The node's clock went ten years back in between, and the order is still that of what happened.
            let events = try await scene.bascule("history", "--json").text.split(separator: "\n").compactMap {
                try? JSONDecoder().decode(EventLine.self, from: Data($0.utf8)).event
            }
            #expect(events.count >= 5 && events.map(\.sequence) == events.map(\.sequence).sorted(by: >), "\(events)")
        }

        private struct EventLine: Decodable {
            struct Event: Decodable { var sequence: Int }
            var event: Event
        }
    }
}
