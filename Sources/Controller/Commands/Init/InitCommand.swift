import ArgumentParser
import BasculeFleet
import BasculeModel
import Foundation

/// `bascule init`
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Write the fleet file of a whole stack on one server, or the pipeline that goes with it.",
        discussion: """
            Asks what it was not told; with --yes, or without a terminal, it takes the
            defaults. Nothing that is there already is overwritten.
            Examples:
              bascule init
              bascule init --yes --name shop --domain shop.example --address 203.0.113.10
              bascule init --reference  every key, explained
              bascule init --ci github
                  .github/workflows/bascule.yml, for the fleet file that is there
              bascule init --ci gitlab  .gitlab-ci.yml
            """)

    @Option(name: [.customShort("f"), .customLong("file")], help: "The fleet file.") var file = "fleet.yaml"
    @Option(help: "The fleet's name, and its app's: lower-case letters, digits and dashes.") var name: String?
    @Option(help: "The shop's domain.") var domain: String?
    @Option(help: "The server's address.") var address: String?
    @Flag(help: "A throwaway node on this machine instead of a server.") var lab = false
    @Option(help: "The administrator's login on the server.") var user: String?
    @Option(help: "That login's private key file; ssh-agent if absent.") var key: String?
    @Option(help: "Who gets alerts and what the certificate authority writes.") var email: String?
    @Option(help: "The app's sources, relative to the fleet file.") var source: String?
    @Option(help: "What starts the app.") var start: String?
    @Option(help: "The app's first port.") var port: Int?
    @Option(help: "The app's health path.") var health: String?
    @Option(help: "The app's instances.") var instances: Int?
    @Flag(name: .shortAndLong, help: "Ask nothing.") var yes = false
    @Flag(help: "Write a commented file with all that there is, instead of the stack.") var reference = false
    @Option(help: "Write a pipeline: github or gitlab.") var ci: Pipeline.Kind?

    func run() throws {
        if let ci { return try writePipeline(ci) }
        guard !FileManager.default.fileExists(atPath: file) else {
            throw BasculeError(
                .inputOutput, "\(file) is there already", hint: "name another with -f; nothing is overwritten")
        }
        let text: String
        if reference {
            text = FleetTemplate.commented(name: name ?? "shop")
        } else {
            let asks = !yes && Terminal.isInteractive
            let stack = try answers { question, standard in asks ? Terminal.line(question, standard) : standard }
            text = stack.text
            try Self.check(stack, text, path: file)
        }
        try NewFile.write(text, to: file)
        Terminal.say("wrote \(file)")
        Terminal.say("next: look it through, then bascule validate and bascule plan")
    }

    /// The stack as it was asked for.
    /// - Parameter ask: given a question and what stands if it is not answered.
    func answers(_ ask: (String, String) -> String) throws -> StackTemplate {
        func take(_ given: String?, _ question: String, _ standard: String) -> String {
            given ?? ask(question, standard)
        }
        func number(_ given: Int?, _ question: String, _ standard: Int) throws -> Int {
            if let given { return given }
            let text = ask(question, "\(standard)")
            guard let value = Int(text) else {
                throw BasculeError(.invalidInput, "\(question): \(text) is not a number")
            }
            return value
        }
        var stack = StackTemplate()
        stack.name = take(name, "Name of the fleet and its app", stack.name)
        stack.domain = take(domain, "Domain", "\(stack.name).example")
        if lab {
            stack.address = nil
        } else {
            stack.address = take(address, "Address of the server (lab for a throwaway node)", "203.0.113.10")
            if stack.address == "lab" { stack.address = nil }
        }
        if stack.address != nil {
            stack.user = take(user, "Login on the server", stack.user)
            let given = take(key, "Private key file (empty for ssh-agent)", "")
            stack.key = given.isEmpty ? nil : given
        }
        stack.email = take(email, "Mail address of the administrator", "admin@\(stack.domain)")
        stack.source = take(source, "The app's sources", stack.source)
        stack.start = take(start, "What starts the app", stack.start)
        stack.port = try number(port, "The app's first port", stack.port)
        stack.health = take(health, "The app's health path", stack.health)
        stack.instances = try number(instances, "Instances of the app", stack.instances)
        return stack
    }

    /// What is written is valid and means what was asked for, or nothing is written.
    static func check(_ stack: StackTemplate, _ text: String, path: String) throws {
        let parsed: ParsedFleet
        do { parsed = try FleetFile.parse(text: text, path: path) } catch {
            let first = error.errors.first?.error
            throw BasculeError(
                .invalidInput, "an answer does not fit: \(first?.message ?? "the file would not be valid")",
                cause: error.errors.map { $0.error.message }.joined(separator: "\n"), hint: first?.hint)
        }
        let app = parsed.fleet.apps[AppName(stack.name)]
        guard parsed.fleet.name == stack.name, app?.domains.first == stack.domain, app?.port == stack.port else {
            throw BasculeError(.invalidInput, "an answer would change the file's meaning")
        }
    }

    private func writePipeline(_ kind: Pipeline.Kind) throws {
        let parsed: ParsedFleet
        do { parsed = try FleetFile.parse(path: file) } catch {
            Terminal.error(error.render(color: Terminal.errorsHaveColor))
            Terminal.error("a pipeline is made for a fleet file: bascule init writes one")
            throw ExitStatus(code: 1)
        }
        let pipeline = Pipeline(parsed.fleet, file: file)
        let path = kind.path
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try NewFile.write(kind == .github ? pipeline.github : pipeline.gitlab, to: path)
        Terminal.say("wrote \(path)")
        for line in pipeline.todo(kind) { Terminal.say(line) }
    }
}

/// A file that is made, never overwritten.
enum NewFile {
    static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw BasculeError(
                .inputOutput, "\(path) could not be made", cause: String(cString: strerror(errno)),
                hint: errno == EEXIST ? "it is there already; nothing is overwritten" : nil)
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: Data(text.utf8))
        try handle.synchronize()
    }
}

extension Pipeline.Kind: ExpressibleByArgument {}
