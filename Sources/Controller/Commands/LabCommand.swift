import ArgumentParser
import BasculeConducting
import BasculeFleet
import BasculeModel
import BasculeProviders
import Foundation

/// `bascule lab`
struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab", abstract: "Throwaway nodes on this machine: real Debian with real systemd, up in a second.",
        discussion: """
            Examples:
              bascule lab up vps1 vps2
                  nodes of the fleet file, or blank Debian 12 nodes without one
              bascule lab exec vps1 systemctl status
              bascule lab down
            """, subcommands: [Up.self, Down.self, List.self, Exec.self])

    /// The lab of the fleet file if there is one, else the one called `default`.
    struct Target: ParsableArguments {
        @Option(name: [.customShort("f"), .customLong("file")], help: "The fleet file whose nodes are meant.") var file:
            String?
        @Option(help: "A lab's name, instead of the fleet's.") var lab: String?

        var path: String { file ?? "fleet.yaml" }

        /// Nil where neither a file is named nor the usual one is there. One that is there and cannot be read is an
        /// error: another lab would be meant.
        func parsed() throws -> ParsedFleet? {
            guard lab == nil, file != nil || FileManager.default.fileExists(atPath: path) else { return nil }
            do { return try FleetFile.parse(path: path) } catch {
                Terminal.error(error.render(color: Terminal.errorsHaveColor))
                throw ExitStatus(code: 1)
            }
        }

        func make() throws -> Lab {
            try Lab(labName: lab ?? parsed().map { FleetSession.labName($0.fleet.name) } ?? "default")
        }
    }

    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Bring nodes up; their base image is made once.")
        @OptionGroup var target: Target
        @OptionGroup var output: OutputOptions
        @Argument(help: "Names; all throwaway nodes of the fleet file if none is given.") var names: [String] = []
        @Option(help: "debian12 or debian13, for nodes that the fleet file does not declare.") var image = "debian12"
        @Option(help: "Files that list Debian packages to have in the image already (a comma between them).")
        var packages: String?
        @Option(help: "A public key file for root's login.") var key: String?
        @Option(help: "The store of the fleet.") var store: String?

        func run() async throws {
            let parsed = try target.parsed()
            let fleet = parsed?.fleet
            let lab = try target.make()
            var keys: [String] = []
            if let key {
                keys.append(
                    try String(contentsOfFile: key, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines))
            }
            if let parsed {
                let session = try FleetSession(parsed, file: target.path, storePath: store)
                keys.append(try await session.fleetKey().publicLine)
            }
            let declared: [NodeName: BasculeFleet.LabNode] =
                fleet?.nodes.compactMapValues { spec in if case .lab(let node) = spec { node } else { nil } } ?? [:]
            let wanted = names.isEmpty ? declared.keys.sorted() : names.map { NodeName($0) }
            guard !wanted.isEmpty else {
                throw BasculeError(.invalidInput, "no node is named", hint: "bascule lab up NAME…")
            }
            let installed = try packageList()
            var specs: [LabNodeSpec] = []
            for name in wanted {
                var spec: LabNodeSpec
                if let node = declared[name] {
                    spec = .from(node, name: name, key: keys.first ?? "")
                } else {
                    guard let release = LabRelease(rawValue: image) else {
                        throw BasculeError(.invalidInput, "there is no image \(image)", hint: "debian12 or debian13")
                    }
                    spec = LabNodeSpec(name: name, image: LabImage(base: release))
                }
                spec.authorizedKeys = keys
                if !installed.isEmpty { spec.image = LabImage(base: spec.image.base, install: installed) }
                specs.append(spec)
            }
            let asked = specs
            let up = Task { try await lab.up(nodes: asked) { Terminal.error($0) } }
            let interrupt = Interrupt { up.cancel() }
            defer { withExtendedLifetime(interrupt) {} }
            for node in try await up.value {
                if output.json {
                    try Terminal.json(node)
                } else {
                    Terminal.say("\(node.name)  \(node.address)  \(node.hostKeys.first ?? "")")
                }
            }
        }

        private func packageList() throws -> [String] {
            try (packages?.split(separator: ",") ?? []).flatMap { file in
                try String(contentsOfFile: String(file), encoding: .utf8).split(whereSeparator: \.isNewline).map {
                    $0.trimmingCharacters(in: .whitespaces)
                }.filter { !$0.isEmpty && !$0.hasPrefix("#") }
            }
        }
    }

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take nodes down and remove all that is theirs; the whole lab if none is named.")
        @OptionGroup var target: Target
        @Argument(help: "Names.") var names: [String] = []
        func run() async throws {
            try await target.make().down(names.isEmpty ? nil : names.map { NodeName($0) })
            Terminal.say("down")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The nodes of the lab.")
        @OptionGroup var target: Target
        @OptionGroup var output: OutputOptions
        func run() async throws {
            for node in try await target.make().list() {
                if output.json {
                    try Terminal.json(node)
                } else {
                    Terminal.say("\(node.name)  \(node.address)  \(node.image.base.rawValue)  \(node.health)")
                }
            }
        }
    }

    struct Exec: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a command inside a node as root; a shell if none is given.")
        @OptionGroup var target: Target
        @Argument(help: "The node.") var name: String
        @Argument(parsing: .captureForPassthrough, help: "The command and its arguments.") var command: [String] = []
        func run() async throws {
            let words = command.first == "--" ? Array(command.dropFirst()) : command
            throw ExitStatus(code: try await target.make().execInteractively(NodeName(name), words))
        }
    }
}

/// Ctrl-C and a polite kill end the work instead of the process, so that it cleans up.
final class Interrupt: Sendable {
    nonisolated(unsafe) private let sources: [any DispatchSourceSignal]

    init(_ body: @escaping @Sendable () -> Void) {
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { body() }
            source.resume()
            return source
        }
    }

    deinit { for source in sources { source.cancel() } }
}
