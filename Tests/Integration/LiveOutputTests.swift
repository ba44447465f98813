import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// What a person sees while a run goes on, on a real terminal of changing size.
    @Suite(.serialized, .scene("live")) struct LiveOutputTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func pty(_ words: String..., columns: Int, rows: Int) throws -> Pty {
            try Pty(
                [try #require(Program.path)] + words + ["-f", "\(scene.folder)/fleet.yaml"],
                environment: scene.environment(), columns: columns, rows: rows)
        }

        @Test func aRunOnATerminalThatChangesItsSize() async throws {
            try scene.write("src/readme", "x")
            let health = "health: {path: /, timeout: 2s}"
            try scene.fleet(
                """
                nodes:
                  a: {provider: lab, image: debian12}
                  b: {provider: lab, image: debian12}
                topologies:
                  single: {a: [app], b: [app]}
                topology: single
                apps:
                  calm: {source: {path: ./src}, build: [[sh, -c, "for i in 1 2 3; do echo working on $i; sleep 0.5; done"]], start: /bin/sleep infinity, port: 3001, \(health)}
                  torn: {source: {path: ./src}, build: [[sh, -c, "echo first word; sleep 1; echo last word >&2; exit 3"]], start: /bin/sleep infinity, port: 3002, \(health)}

                """)
            let run = try pty("apply", "--yes", columns: 100, rows: 20)
            for (columns, rows) in [(40, 10), (120, 30), (24, 4), (80, 24), (33, 6)] {
                try await Task.sleep(for: .milliseconds(700))
                run.resize(columns: columns, rows: rows)
            }
            try #require(try await eventually(within: 120) { run.status != nil })
            try await Task.sleep(for: .milliseconds(100))
            let (screen, raw) = (run.screen, run.raw)
            #expect(run.status == 1, "\(raw)")
            #expect(raw.contains("⠋") || raw.contains("⠸"), "there was a live line")
            #expect(raw.contains("of about"), "with an estimate")
            let left = screen.text.joined(separator: "\n")
            #expect(!left.contains("⠋") && !left.contains("at work"), "nothing of it is left: \(left)")
            // The failing step's words are whole; those of the others are nowhere.
            #expect(left.contains("first word") && left.contains("last word"), "\(left)")
            #expect(!left.contains("working on"), "\(left)")
            #expect(left.contains("failed in"), "\(left)")
            // Every line that stays does so once.
            #expect(screen.text.filter { $0.hasPrefix("provision") }.count == 1, "\(left)")
        }

        @Test func withoutATerminalThereArePlainLines() async throws {
            try scene.fleet(Sample.blank("a", "b") + Sample.files(3, item: 5))
            let applied = try await scene.bascule("apply", "--yes")
            #expect(!applied.all.contains("\u{1B}") && !applied.all.contains("\r"))
            #expect(applied.text.contains("✓ a  "))
        }

        @Test func theWatchShowsChangesAndEndsWithQ() async throws {
            try scene.fleet(Sample.blank("a", "b") + Sample.files(3, item: 9))
            #expect(try await scene.bascule("apply", "--yes").status == 0)
            let watch = try pty("status", "--watch", "--every", "1s", columns: 90, rows: 12)
            #expect(try await eventually(within: 20) { watch.raw.contains("2 nodes") })
            watch.resize(columns: 30, rows: 4)
            try await scene.bascule("hold", "a", "--for", "1h", "--reason", "a test")
            watch.resize(columns: 100, rows: 20)
            #expect(
                try await eventually(within: 20) { watch.raw.contains("held  the whole node  for") }, "\(watch.raw)")
            #expect(watch.screen.overruns == 0)
            watch.type("q")
            #expect(try await eventually(within: 10) { watch.status == 0 })

            let lines = try scene.begin("status", "--watch", "--json", "--every", "1s")
            #expect(try await lines.says("\"node\":\"b\"", within: 20))
            let count = lines.output.split(separator: "\n").count
            try await Task.sleep(for: .seconds(2.5))
            #expect(
                lines.output.split(separator: "\n").count == count, "nothing changed, nothing is said: \(lines.output)")
            try await scene.bascule("release", "a")
            #expect(
                try await eventually(within: 10) { lines.output.split(separator: "\n").count > count },
                "\(lines.output)")
            kill(lines.pid, SIGTERM)
        }
    }
}
