import ArgumentParser
import BasculeConducting
import BasculeModel
import Foundation

/// `bascule connection-holder`: what a command starts when it ends. Nobody calls it by hand.
struct HolderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connection-holder", abstract: "Keep connections between commands.", shouldDisplay: false)
    @Option var socket: String
    @Option var store: String
    @Option var seconds: Int

    func run() async throws {
        let first = try FileHandle.standardInput.readToEnd() ?? Data()
        // It must hold up neither a file system nor a terminal.
        _ = FileManager.default.changeCurrentDirectoryPath("/")
        try await ConnectionHolder.run(
            socket: socket, store: store, patience: .seconds(seconds), first: [UInt8](first))
    }
}
