import BasculeModel
import Foundation

extension Lab {
    /// Runs a program inside a node as root, with a plain environment.
    /// - Throws: `lab-node-unknown`, `lab-node-stopped`, `timed-out`, `cancelled`. A failing status is a result.
    package func exec(
        _ name: NodeName, _ argv: [String], stdin: [UInt8] = [], deadline: Duration = .seconds(300),
        onOutput: (@Sendable ([UInt8]) -> Void)? = nil
    ) async throws -> CommandResult {
        try await Command.run(inside(name, argv), stdin: stdin, deadline: deadline, onOutput: onOutput)
    }

    /// Runs a program inside a node on our own terminal; without one given, root's shell. Returns its status.
    package func execInteractively(_ name: NodeName, _ argv: [String] = []) async throws -> Int32 {
        try await Command.runInteractively(inside(name, argv.isEmpty ? ["/bin/bash", "-l"] : argv))
    }

    private func inside(_ name: NodeName, _ argv: [String]) throws -> [String] {
        let terminal = ProcessInfo.processInfo.environment["TERM"] ?? "dumb"
        return [
            "nsenter", "-t", "\(try leader(of: name))", "-a", "--", "/usr/bin/env", "-i",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root",
            "LANG=C.UTF-8", "TERM=\(terminal)",
        ] + argv
    }
}
