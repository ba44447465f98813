import Foundation
import Testing

extension OnNodes {
    /// `make soak MINUTES=n SEED=s`
    @Suite(.enabled(if: Soak.minutes != nil, "make soak runs it"), .scene("soak")) struct SoakTests {
        @Test func nothingThatHappensBreaksAnInvariant() async throws {
            let scene = try #require(Scene.shared)
            let soak = Soak(scene: scene, seed: Soak.seed)
            try await soak.run(minutes: try #require(Soak.minutes))
        }
    }
}
