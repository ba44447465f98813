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

    /// A model that finds nothing proves nothing: each violation is planted where nobody heals, and must be found.
    @Suite(.scene("soakmodel")) struct SoakModelTests {
        /// What is done to the node, what undoes it, and a word of the violation.
        private static let planted: [(plant: String, undo: String, word: String)] = [
            (
                "cp /srv/soak/f3.conf /srv/3; sed -i '3s/.*/end 77/' /srv/soak/f3.conf",
                "cat /srv/3 > /srv/soak/f3.conf", "torn"
            ),
            (
                "cp /srv/soak/f3.conf /srv/3; echo by hand > /srv/soak/f3.conf", "cat /srv/3 > /srv/soak/f3.conf",
                "as declared"
            ),
            ("cat /srv/key.conf > /var/log/leak", "rm /var/log/leak", "in the clear"),
            ("systemctl stop soak", "systemctl start soak", "runs another"),
            (
                "systemd-run -q --unit open -p User=nobody systemd-socket-activate -l 0.0.0.0:7777 cat; sleep 0.3",
                "systemctl stop open", "listens"
            ),
            (
                "cp -a /var/lib/bascule/journal/current /srv/j; tail -n 1 /srv/j >> /var/lib/bascule/journal/current",
                "cat /srv/j > /var/lib/bascule/journal/current", "journal"
            ),
        ]

        @Test func theModelSeesWhatIsPlanted() async throws {
            let scene = try #require(Scene.shared)
            let soak = Soak(scene: scene, seed: 1)
            try await soak.prepare()
            try await soak.expectWhole()
            try await soak.expectInvariants()
            try await scene.bascule("hold", "n1")
            for (plant, undo, word) in Self.planted {
                try await scene.shell("n1", plant)
                let violation = await #expect(throws: Soak.Violation.self, "\(plant)") {
                    try await soak.expectWhole()
                    try await soak.expectInvariants()
                }
                #expect(violation?.description.contains(word) ?? false, "\(String(describing: violation))")
                try await scene.shell("n1", undo)
            }
            try await soak.expectWhole()
            try await soak.expectInvariants()
        }
    }
}
