import BasculeProviders
import Foundation

/// The real program, as the administrator starts it.
enum Program {
    /// The debug build beside these tests, which carries the failpoints; else what `make build` made.
    static let path: String? = candidates.first { access($0, X_OK) == 0 }

    /// Where the agents' programs lie: `agents/ARCH/bascule-agent`.
    static let agents: String? = [environment["BASCULE_AGENTS"], "\(checkout)/dist/agents"].compactMap { $0 }
        .first { access($0, R_OK) == 0 }

    /// Agents with failpoints; those of `make test` else are as they are released.
    static let failpointAgents = environment["BASCULE_TEST_AGENTS"] ?? agents

    /// Whether also what takes long is tested: `make test-all`.
    static let testsAll = environment["BASCULE_TEST_ALL"] == "1"

    /// Whether the program dies at failpoints: only a debug build does.
    static let hasFailpoints = path != nil && path == beside

    /// The root of the sources.
    static let checkout = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    private static let environment = ProcessInfo.processInfo.environment
    private static let candidates = [beside, environment["BASCULE"], "\(checkout)/dist/bascule"].compactMap { $0 }

    /// The product of the build that these tests are from.
    private static let beside: String? = {
        guard let bundle = CommandLine.arguments.first(where: { $0.contains(".xctest") }),
            let end = bundle.range(of: ".xctest")
        else { return nil }
        let folder = URL(fileURLWithPath: String(bundle[..<end.lowerBound])).deletingLastPathComponent().path
        return access("\(folder)/bascule", X_OK) == 0 ? "\(folder)/bascule" : nil
    }()

    /// What is missing for tests on throwaway nodes; nil where they can run.
    static let missing: String? = {
        if path == nil { return "no program: make build" }
        if agents == nil { return "no agent: make agent" }
        do { try Lab.preflight() } catch { return "\(error)" }
        return nil
    }()

    /// Under CI as root the tests run, and fail where something is missing, instead of being skipped.
    static let canRun = missing == nil || (environment["CI"] == "true" && geteuid() == 0)
}
