import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// What people and nodes may hand in: words that are commands elsewhere, deletions, clocks that are wrong.
    @Suite(.serialized, .scene("input")) struct InputTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        /// Words that a shell, a template or a unit file would act on: refused in names, and only words in contents.
        @Test func wordsThatAreCommandsElsewhereAreInert() async throws {
            let bad = ["$(touch /srv/pwned)", "`id`", "a;b", "a'b", "a\\nb", "../../x", "a b\u{1B}[2J"]
            for word in bad {
                for (number, line) in [
                    "file: \"/srv/\(word)\", content: x", "directory: \"/srv/\(word)\"", "user: \"\(word)\"",
                    "group: \"\(word)\"", "package: \"\(word)\"", "unit: \"\(word).service\"",
                    "timer: \"\(word)\", schedule: daily, command: /bin/true",
                    "sysctl: \"\(word)\", value: \"1\"", "firewall: \"\(word)\", allow: [1]",
                ].enumerated() {
                    try scene.fleet(Sample.blank("a") + "  - {on: all, \(line)}\n")
                    let refused = try await scene.bascule("plan")
                    #expect(
                        refused.status == 1 && refused.errorText.contains("fleet.yaml:"),
                        "\(number) \(word): \(refused.all)")
                }
            }
            let words = #"$(touch /srv/pwned) `touch /srv/pwned`; touch /srv/pwned | 'x' %n {{x}} é"#
            try await scene.converge(
                Sample.blank("a") + "  - {on: all, file: /srv/in/a.conf, content: \"\(words)\"}\n"
                    + "  - {on: all, timer: words, schedule: \"*-*-* 04:00:00\", command: [/bin/echo, \"\(words)\"]}\n")
            let found = try await scene.shell(
                "a",
                "systemctl start words.service 2>/dev/null || systemctl start bascule-words.service; cat /srv/in/a.conf; echo; ls /srv | grep -c pwned || true"
            )
            #expect(found == "\(words)\n0", "\(found)")
        }

        @Test func aPlanThatDeletesBeyondItsCapIsRefused() async throws {
            let present = (0..<12).map { "  - {on: all, file: /srv/cap/f\($0), content: \"x\"}\n" }.joined()
            try await scene.converge(Sample.blank("a") + present)
            let absent = (0..<12).map { "  - {on: all, file: /srv/cap/f\($0), state: absent}\n" }.joined()
            try scene.fleet(Sample.blank("a") + absent)
            for words in [["plan"], ["apply", "--yes"], ["apply", "--yes", "--max-deletes", "11"]] {
                let refused = try await scene.bascule(
                    words[0], words.count > 1 ? words[1] : "--json",
                    words.count > 2 ? words[2] : "--json", words.count > 3 ? words[3] : "--json")
                #expect(
                    refused.status == 1 && refused.errorText.contains("[cap-exceeded]")
                        && refused.errorText.contains("--max-deletes 12"), "\(refused.all)")
            }
            #expect(try await scene.shell("a", "ls /srv/cap | wc -l") == "12")
            let allowed = try await scene.bascule("apply", "--yes", "--max-deletes", "12")
            #expect(allowed.status == 0, "\(allowed.all)")
            #expect(try await scene.shell("a", "ls /srv/cap | wc -l") == "0")
        }

        /// The agent heals, is held, is released; the controller collects each event once and shows them.
        @Test func whatAgentsDoByThemselvesIsCollectedOnce() async throws {
            try await scene.converge(Sample.blank("a") + Sample.files(2, item: 1))
            // The bootstrap's own login must be over: what changes during one is left alone.
            #expect(
                try await eventually(within: 30) {
                    try await scene.shell("a", "loginctl list-sessions --no-legend") == ""
                })
            try await scene.shell("a", "rm /srv/many/f0.conf")
            #expect(
                try await eventually(within: 10) {
                    try await scene.run("a", "test", "-s", "/srv/many/f0.conf").status == 0
                })
            try await scene.bascule("hold", "a/file:/srv/many/f1.conf", "--for", "2h", "--reason", "looking into it")
            try await scene.shell("a", "echo mine > /srv/many/f1.conf")
            #expect(
                try await eventually(within: 10) {
                    try await scene.bascule("status").text.contains("differs  a/file:/srv/many/f1.conf")
                })
            let status = try await scene.bascule("status")
            #expect(
                status.text.contains("held  a/file:/srv/many/f1.conf  for ") && status.text.contains("looking into it"))
            for _ in 0..<3 { try await scene.bascule("status") }
            try await scene.bascule("release", "a/file:/srv/many/f1.conf")
            #expect(
                try await eventually(within: 10) { try await scene.shell("a", "tail -1 /srv/many/f1.conf") == "item 1" }
            )
            try await scene.bascule("plan")
            let history = try await scene.bascule("history").text
            for part in [
                "healed  a/file:/srv/many/f0.conf", "healed  a/file:/srv/many/f1.conf", "  held  a/file",
                "  released  a/file",
            ] {
                #expect(history.components(separatedBy: part).count == 2, "\(part): \(history)")
            }
            #expect(history.contains("converged"), "runs stand among them: \(history)")
        }
    }
}
