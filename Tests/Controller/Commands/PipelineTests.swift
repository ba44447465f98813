import ArgumentParser
import BasculeFleet
import BasculeModel
import Foundation
import Testing
import Yams

@testable import BasculeCommands

@Suite struct PipelineTests {
    private func pipeline(_ change: (String) -> String = { $0 }) throws -> Pipeline {
        let path = NSTemporaryDirectory() + "fleet.yaml"
        return Pipeline(try FleetFile.parse(text: change(StackTemplate().text), path: path).fleet, file: "fleet.yaml")
    }

    private func jobs(_ text: String, below key: String?) throws -> [String: [String: Any]] {
        let root = try #require(try Yams.load(yaml: text) as? [String: Any])
        let all = try key.map { try #require(root[$0] as? [String: Any]) } ?? root
        return all.compactMapValues { $0 as? [String: Any] }
    }

    /// Every shell text in a pipeline, wherever it stands.
    private func scripts(_ value: Any) -> [String] {
        if let list = value as? [Any] { return list.flatMap(scripts) }
        guard let object = value as? [String: Any] else { return [] }
        return object.flatMap { key, value -> [String] in
            guard ["run", "script", "before_script", "after_script"].contains(key) else { return scripts(value) }
            if let text = value as? String { return [text] }
            return (value as? [String]) ?? []
        }
    }

    @Test func githubHasItsJobs() throws {
        let text = try pipeline().github
        let jobs = try jobs(text, below: "jobs")
        #expect(Set(jobs.keys) == ["validate", "plan", "comment", "rehearse", "release", "apply"])
        // Only where the store is, and never for a stranger's pull request.
        for name in ["plan", "apply"] {
            #expect(jobs[name]?["runs-on"] as? [String] == ["self-hosted", "bascule"])
            #expect(jobs[name]?["environment"] as? String == "fleet")
        }
        #expect((jobs["plan"]?["if"] as? String)?.contains("head.repo.full_name == github.repository") == true)
        #expect(jobs["release"]?["needs"] as? [String] == ["validate", "rehearse"])
        #expect((jobs["release"]?["if"] as? String) == "github.event_name == 'push'")
        #expect(text.contains("secrets.BASCULE_TOKEN_SHOP") && !text.contains("bascule secret"))
    }

    @Test func gitlabHasItsJobs() throws {
        let jobs = try jobs(try pipeline().gitlab, below: nil)
        let names: Set = ["default", ".install", "validate", "plan", "rehearse", "release-shop", "apply"]
        #expect(Set(jobs.keys) == names)
        #expect(jobs["apply"]?["tags"] as? [String] == ["bascule"])
        #expect(jobs["validate"]?["before_script"] != nil, "the anchor is merged")
    }

    @Test func withoutARehearsalOrSourcesInTheRepositoryThereAreNoSuchJobs() throws {
        let bare = try pipeline { text in
            text.split(separator: "\n").filter { !$0.contains("rehearsal") }.joined(separator: "\n")
                .replacing("source: {path: .}", with: "source: {archive: app.tar}")
        }
        #expect(Set(try jobs(bare.github, below: "jobs").keys) == ["validate", "plan", "comment", "apply"])
        #expect(Set(try jobs(bare.gitlab, below: nil).keys) == ["default", ".install", "validate", "plan", "apply"])
    }

    @Test(arguments: Pipeline.Kind.allCases) func itsShellIsShell(_ kind: Pipeline.Kind) throws {
        let pipeline = try pipeline()
        let root = try #require(try Yams.load(yaml: kind == .github ? pipeline.github : pipeline.gitlab))
        let scripts = scripts(root)
        #expect(scripts.count >= 6)
        for script in scripts {
            // What lies beside the sources would be released with them.
            #expect(!script.contains(#/(> |--output |--store )[a-z]/#), "\(script)")
            let shell = Process()
            let input = Pipe()
            shell.executableURL = URL(fileURLWithPath: "/bin/bash")
            shell.arguments = ["-n"]
            shell.standardInput = input
            try shell.run()
            // What GitHub fills in before the shell sees it.
            input.fileHandleForWriting.write(Data(script.replacing(#/\$\{\{[^}]*\}\}/#, with: "x").utf8))
            try input.fileHandleForWriting.close()
            shell.waitUntilExit()
            #expect(shell.terminationStatus == 0, "\(script)")
        }
    }

    /// Each `bascule …` in the shell is a command of this program, with options that it has.
    @Test(arguments: Pipeline.Kind.allCases) func itsCommandsAreThisPrograms(_ kind: Pipeline.Kind) throws {
        let pipeline = try pipeline()
        let root = try #require(try Yams.load(yaml: kind == .github ? pipeline.github : pipeline.gitlab))
        let lines = scripts(root).flatMap { $0.split(separator: "\n") }.map { line in
            line.replacing(#/^(sudo )/#, with: "").replacing(#/ (>|2>|\|\|).*$/#, with: "")
        }.filter { $0.hasPrefix("bascule ") }
        #expect(lines.count >= 7)
        for line in lines {
            let words = line.replacing("\"", with: "").split(separator: " ").map(String.init)
            #expect(throws: Never.self, "\(line)") { _ = try Bascule.parseAsRoot(Array(words.dropFirst())) }
        }
        let said = pipeline.todo(kind).joined(separator: "\n")
        #expect(said.contains("bascule token create ci --app shop --out shop.token"))
        #expect(throws: Never.self) {
            _ = try Bascule.parseAsRoot(["token", "create", "ci", "--app", "shop", "--out", "shop.token"])
        }
    }

    @Test func answersMakeTheStack() throws {
        var init1 = try #require(
            try InitCommand.parseAsRoot(["--name", "girly", "--port", "4000", "--yes"]) as? InitCommand)
        let stack = try init1.answers { $1 }
        #expect(stack.name == "girly" && stack.port == 4000 && stack.domain == "girly.example")
        #expect(stack.email == "admin@girly.example" && stack.key == nil)
        init1 = try #require(try InitCommand.parseAsRoot([]) as? InitCommand)
        let asked = try init1.answers { question, standard in
            question.hasPrefix("Address") ? "lab" : question.hasPrefix("Domain") ? "shop.test" : standard
        }
        #expect(asked.address == nil && asked.domain == "shop.test")
        #expect(throws: BasculeError.self) { _ = try init1.answers { $0.contains("port") ? "many" : $1 } }
    }

    @Test(arguments: [["--domain", "not a host"], ["--name", "x: y"], ["--port", "0"], ["--health", "up"]])
    func whatDoesNotFitIsRefusedBeforeAnythingIsWritten(_ words: [String]) throws {
        let command = try #require(try InitCommand.parseAsRoot(words + ["--yes"]) as? InitCommand)
        let stack = try command.answers { $1 }
        #expect(throws: BasculeError.self) {
            try InitCommand.check(stack, stack.text, path: NSTemporaryDirectory() + "fleet.yaml")
        }
    }

    @Test func nothingIsOverwritten() throws {
        let path = NSTemporaryDirectory() + "bascule-new-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try NewFile.write("a", to: path)
        let error = #expect(throws: BasculeError.self) { try NewFile.write("b", to: path) }
        #expect(error?.hint?.contains("there already") == true)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "a")
    }
}
