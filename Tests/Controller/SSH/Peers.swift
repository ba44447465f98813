import BasculeModel
import BasculeSSH
import Foundation
import Testing

/// The fault tools of Tests/Support/faults, run with Python.
enum Peers {
    private static func tool(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("../../Support/faults/\(name).py").standardizedFileURL.path
    }

    /// A peer that behaves as `mode` says.
    static func hostile(_ mode: String) async throws -> (child: Child, endpoint: SSHEndpoint) {
        try await start("hostile-ssh", { [mode, "\($0)"] })
    }

    /// A proxy that cuts each connection after `when`.
    static func cutting(_ server: Sshd, after when: String, silent: Bool = false) async throws
        -> (child: Child, endpoint: SSHEndpoint)
    {
        try await start("cut-proxy") { ["\($0)", "127.0.0.1", "\(server.port)", when] + (silent ? ["silent"] : []) }
    }

    static func slow(_ server: Sshd, milliseconds: Int) async throws -> (child: Child, endpoint: SSHEndpoint) {
        try await start("latency-proxy") { ["\($0)", "127.0.0.1", "\(server.port)", "\(milliseconds)"] }
    }

    private static func start(_ name: String, _ arguments: (UInt16) -> [String]) async throws
        -> (child: Child, endpoint: SSHEndpoint)
    {
        let port = freePort()
        let child = try Child("/usr/bin/python3", [tool(name)] + arguments(port))
        try await waitForPort(port)
        return (child, SSHEndpoint(host: "127.0.0.1", port: port))
    }
}
