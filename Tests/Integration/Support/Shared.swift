import BasculeModel
import Testing

extension Scene {
    /// The scene that a suite's tests share.
    @TaskLocal static var shared: Scene?
}

/// Gives a suite's tests one scene, made before the first and taken away after the last.
struct SharedScene: SuiteTrait, TestScoping {
    let word: String
    let agents: String?

    func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void)
        async throws
    {
        try await Scene.with(word, agents: agents) { scene in
            try await Scene.$shared.withValue(scene) { try await body() }
        }
    }
}

extension Trait where Self == SharedScene {
    /// One scene for all tests of this suite; `word` becomes part of its fleet's name.
    static func scene(_ word: String, agents: String? = Program.agents) -> SharedScene {
        SharedScene(word: word, agents: agents)
    }
}

/// Tests on throwaway nodes, one after the other: they are bound by the machine, not by waiting.
@Suite(.serialized, .enabled(if: Program.canRun, Comment(rawValue: Program.missing ?? ""))) enum OnNodes {}
