import ArgumentParser
import BasculeConducting
import BasculeModel
import BasculeStore
import Foundation

/// `bascule token`
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Keys for CI: each may release one app, and nothing else.",
        subcommands: [Create.self, List.self, Revoke.self, Release.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token and have the app's nodes let it in. Its private half is given out once.",
            discussion: """
                Examples:
                  bascule token create ci-1 --app shop --out shop.token
                  bascule token create ci-1 --app shop | gh secret set BASCULE_TOKEN
                """)
        @OptionGroup var options: FleetOptions
        @Argument(help: "The token's name.") var name: String
        @Option(help: "The app that it may release.") var app: String
        @Option(help: "Where to write it (mode 0600); standard output if not given.") var out: String?

        func run() async throws {
            if let out, FileManager.default.fileExists(atPath: out) {
                throw BasculeError(.invalidInput, "\(out) is there already", hint: "--out another file")
            }
            let session = try options.session()
            let lease = try StoreLease(beside: session.store.path)
            defer { withExtendedLifetime(lease) {} }
            let token: TokenFile
            do { token = try await session.createToken(name, app: app) } catch {
                await session.close()
                throw error
            }
            await session.close()
            let bytes = try token.encoded()
            guard let out else { return FileHandle.standardOutput.write(Data(bytes)) }
            let descriptor = open(out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else {
                throw BasculeError(
                    .inputOutput, "\(out) cannot be written", cause: String(cString: strerror(errno)),
                    hint: "bascule token revoke \(name), then make it again")
            }
            let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            try file.write(contentsOf: Data(bytes))
            try file.synchronize()
            Terminal.say("\(out) may release \(app) on \(token.nodes.map(\.name.rawValue).joined(separator: ", "))")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The tokens that were given out.")
        @OptionGroup var options: FleetOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            for token in try options.session().tokens() {
                if output.json {
                    try Terminal.json(token)
                } else {
                    let date = ISO8601DateFormatter().string(from: Date(timeIntervalSince1970: token.created))
                    let nodes = token.nodes.map(\.rawValue).joined(separator: ", ")
                    Terminal.say("\(token.name)  releases \(token.app) on \(nodes)  \(date)")
                }
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lock a token out, on every node that knows it.")
        @OptionGroup var options: FleetOptions
        @Argument(help: "The token's name.") var name: String

        func run() async throws {
            let session = try options.session()
            let lease = try StoreLease(beside: session.store.path)
            defer { withExtendedLifetime(lease) {} }
            let failed = try await session.revokeToken(name)
            await session.close()
            guard failed.isEmpty else {
                for (node, error) in failed.sorted(by: { $0.key < $1.key }) {
                    Terminal.error("\(node) lets \(name) in still: \(Terminal.escape(error.message))")
                }
                Terminal.error("Run it again when they can be reached.")
                throw ExitStatus(code: 1)
            }
            Terminal.say("\(name) opens nothing any more")
        }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Release an app with a token, as CI does; needs neither store nor fleet file.",
            discussion: """
                One node after the other, one instance after the other, each with its health
                check; what does not become healthy goes back by itself. Exit status: 0
                released everywhere; 1 nowhere; 2 on some nodes only.
                Example:
                  bascule token release shop.token --source ./shop
                """)
        @Argument(help: "The token file, as bascule token create wrote it.") var token: String
        @Option(help: "The app's source: a folder, or a tar archive.") var source = "."

        func run() async throws {
            guard let data = FileManager.default.contents(atPath: token) else {
                throw BasculeError(.inputOutput, "the token file \(token) cannot be read")
            }
            let file = try TokenFile(parsing: [UInt8](data), path: token)
            let release = TokenRelease(file) { Terminal.say("\($0)  \(Terminal.escape($1))") }
            let (released, failure) = try await release.run(source: source)
            if let failure {
                Terminal.fail(failure)
                if !released.isEmpty {
                    Terminal.error("Released only on \(released.map(\.rawValue).joined(separator: ", ")).")
                }
                throw ExitStatus(code: released.isEmpty ? 1 : 2)
            }
            Terminal.say("\(file.app) is released on \(released.map(\.rawValue).joined(separator: ", "))")
        }
    }
}
