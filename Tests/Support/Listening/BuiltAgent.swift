import Foundation

/// The agent's program, as `make agents` or `BASCULE_AGENTS` gives it, for tests that run it in a process of its own.
package enum BuiltAgent {
    package static let path: String? = {
        let root =
            ProcessInfo.processInfo.environment["BASCULE_AGENTS"]
            ?? "\(#filePath.split(separator: "/Tests/")[0])/dist/agents"
        let path = "\(root)/x86_64/bascule-agent"
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }()
    package static var exists: Bool { path != nil }
}
