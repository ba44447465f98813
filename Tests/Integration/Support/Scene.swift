import BasculeModel
import BasculeProtocol
import BasculeProviders
import Foundation
import Testing

/// A fleet of its own: a folder with the fleet file and the store, throwaway nodes of its own, and the real program.
final class Scene: Sendable {
    /// The fleet's name, and its lab's.
    let name: String
    let folder: String
    let lab: Lab
    /// Where the agents' programs lie that its nodes get.
    let agents: String?

    private init(_ word: String, agents: String?) throws {
        self.agents = agents
        name = "it\(getpid())-\(word)"
        folder = NSTemporaryDirectory() + "bascule-\(name)"
        lab = try Lab(labName: name)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    /// Gives a scene to `body` and takes it away again, also where `body` throws.
    static func with(
        _ word: String, agents: String? = Program.agents, _ body: (Scene) async throws -> Void
    ) async throws {
        if let missing = Program.missing { throw BasculeError(.unsupported, missing) }
        await removeLeftovers()
        let scene = try Scene(word, agents: agents)
        let result: Result<Void, any Error>
        do { result = .success(try await body(scene)) } catch { result = .failure(error) }
        await scene.remove()
        try result.get()
    }

    private func remove() async {
        if ProcessInfo.processInfo.environment["BASCULE_KEEP"] != nil { return }
        do { try await Task { [lab] in try await lab.down() }.value } catch { Issue.record("the lab stays: \(error)") }
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Labs of test runs that were killed before they could clean up.
    private static func removeLeftovers() async {
        for name in Lab.all() where name.hasPrefix("it") {
            let digits = name.dropFirst(2).prefix { $0.isNumber }
            guard let pid = pid_t(digits), name.dropFirst(2 + digits.count).hasPrefix("-"), kill(pid, 0) != 0,
                errno == ESRCH
            else { continue }
            try? await Lab(labName: name).down()
        }
    }

    // MARK: - The fleet's files

    /// Writes a file of the fleet's folder.
    func write(_ path: String, _ text: String) throws {
        let url = URL(fileURLWithPath: "\(folder)/\(path)")
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    /// Writes the fleet file; its first line, the name, comes from here.
    func fleet(_ text: String, file: String = "fleet.yaml") throws { try write(file, "fleet: \(name)\n\(text)") }

    func read(_ path: String) throws -> String { try String(contentsOfFile: "\(folder)/\(path)", encoding: .utf8) }

    var store: String { "\(folder)/state/bascule/\(name).db" }

    /// No nodes and no store, whatever an earlier test left.
    func startAnew() async throws {
        try await lab.down()
        umount2("\(folder)/state", Int32(MNT_DETACH))
        try? FileManager.default.removeItem(atPath: "\(folder)/state")
    }

    /// The workstation has never heard of this fleet.
    func forgetStore() throws { try FileManager.default.removeItem(atPath: "\(folder)/state") }

    // MARK: - The program

    /// Seconds for which the program holds connections. None, so that nothing of one test is there in the next.
    @TaskLocal static var hold = "0"

    /// What the program's environment is; its home and store are the scene's.
    /// - Parameter workstation: a folder of the scene's: each has a store of its own.
    func environment(_ failpoint: String? = nil, at workstation: String = "state") -> [String: String?] {
        [
            "XDG_STATE_HOME": "\(folder)/\(workstation)", "HOME": folder, "BASCULE_AGENTS": agents,
            "BASCULE_FAILPOINT": failpoint, "CI": nil, "BASCULE_HOLD": Scene.hold,
        ]
    }

    /// `bascule WORDS… -f FLEET`, to its end. A failing status is a result.
    @discardableResult
    func bascule(
        _ words: String..., failpoint: String? = nil, file: String = "fleet.yaml", at workstation: String = "state",
        stdin: String = "", deadline: Duration = .seconds(300)
    ) async throws -> CommandResult {
        let more = environment(failpoint, at: workstation)
        return try await bascule(words, environment: more, file: file, stdin: stdin, deadline)
    }

    /// The same with words in a list, and with more of an environment.
    @discardableResult
    func bascule(
        _ words: [String], environment more: [String: String?], file: String = "fleet.yaml", stdin: String = "",
        _ deadline: Duration = .seconds(300)
    ) async throws -> CommandResult {
        let failpoint = more["BASCULE_FAILPOINT"] ?? nil
        let argv = [try #require(Program.path)] + words + ["-f", "\(folder)/\(file)"]
        let result = try await Stuck.watched(words, deadline, lab: lab) {
            try await Command.run(
                argv, stdin: Array(stdin.utf8), environment: environment().merging(more) { $1 }, deadline: deadline)
        }
        if ProcessInfo.processInfo.environment["BASCULE_SHOW"] != nil {
            print(
                "$ bascule \(words.joined(separator: " ")) \(failpoint ?? "") → \(result.status)\n\(result.text)\(result.errorText)"
            )
        }
        return result
    }

    /// Starts `bascule WORDS… -f FLEET` and lets it run.
    func begin(_ words: String..., failpoint: String? = nil) throws -> Running {
        try Running(
            [try #require(Program.path)] + words + ["-f", "\(folder)/fleet.yaml"], environment: environment(failpoint))
    }

    // MARK: - The nodes

    /// Runs a program on a node as root. A failing status is a result.
    func run(_ node: NodeName, _ argv: String..., stdin: String = "") async throws -> CommandResult {
        try await lab.exec(node, argv, stdin: Array(stdin.utf8), deadline: .seconds(60))
    }

    /// What a shell script prints on a node; it must succeed.
    @discardableResult
    func shell(_ node: NodeName, _ script: String) async throws -> String {
        let result = try await lab.exec(node, ["sh", "-c", script], deadline: .seconds(60))
        guard result.status == 0 else {
            throw BasculeError(.commandFailed, "\(script): \(result.status)", cause: result.errorText)
        }
        return result.text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Writes the fleet file and applies it, which must go well.
    func converge(_ text: String, _ location: SourceLocation = #_sourceLocation) async throws {
        try fleet(text)
        let applied = try await bascule("apply", "--yes")
        try #require(applied.status == 0, "\(applied.all)", sourceLocation: location)
    }

    /// The agent's journal, read from its file.
    func journal(_ node: NodeName) async throws -> [JournalRecord] {
        let text = try await lab.exec(node, ["cat", "/var/lib/bascule/journal/current"]).text
        return try text.split(separator: "\n").map {
            try JSONDecoder().decode(JournalRecord.self, from: Data($0.dropFirst(9).utf8))
        }
    }

    /// The agent's process, killed as a power cut would; systemd starts it again.
    func killAgent(_ node: NodeName) async throws {
        try await shell(node, "systemctl kill --signal=SIGKILL --kill-whom=main bascule-agent.service")
    }

    /// Every step that an agent's journal tells of has at most one end that changed something, and none failed.
    func expectNothingTwice(
        _ node: NodeName, mayFail: Bool = false, _ location: SourceLocation = #_sourceLocation
    ) async throws {
        var done: [String: Int] = [:]
        for record in try await journal(node) {
            guard case .finished(let step, let result) = record.event else { continue }
            #expect(
                mayFail || result.isGood, "\(step): \(result.status) \(result.error.map { "\($0)" } ?? result.summary)",
                sourceLocation: location)
            if result.status == .done { done["\(record.segment) \(step)", default: 0] += 1 }
        }
        #expect(done.values.allSatisfy { $0 == 1 }, "\(done.filter { $0.value > 1 })", sourceLocation: location)
    }
}

extension CommandResult {
    /// What both outputs say, for a failing expectation.
    var all: String { text + errorText }

    /// The lines of `--json`, of one event if one is named.
    func events(_ name: String? = nil) -> [JSONLine] {
        text.split(separator: "\n").compactMap { try? JSONDecoder().decode(JSONLine.self, from: Data($0.utf8)) }
            .filter { name == nil || $0.event == name }
    }
}

/// One line of `bascule apply --json`.
struct JSONLine: Decodable {
    var event: String
    var node: String?
    var phase: String?
    var step: String?
    var title: String?
    var status: String?
    var summary: String?
    var error: BasculeError?
    var outcome: String?
    var changed: Int?
    var failed: Int?
    var refused: Int?
}
