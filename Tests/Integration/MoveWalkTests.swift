import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// The cutover of a small migration, killed at points of the controller and of the conductor: run again, it ends as
    /// an undisturbed one does, or goes back and then ends so. Fault 67 rests on this, too.
    @Suite(
        .serialized, .scene("movewalk", agents: Program.failpointAgents),
        .enabled(if: Program.hasFailpoints, "a release build has no failpoints"),
        .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct MoveWalkTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static let environment = ProcessInfo.processInfo.environment

        /// `BASCULE_SEED` repeats the choice, `BASCULE_POINT` takes the points whose text contains it, `BASCULE_POINTS`
        /// says how many.
        @Test(.timeLimit(.minutes(30))) func aCutoverThatIsKilledAtAnyPointEndsAsOneThatIsNot() async throws {
            var seeded = Seeded(
                seed: Self.environment["BASCULE_SEED"].flatMap { UInt64($0) } ?? .random(in: 1...999_999))
            let wanted = Self.environment["BASCULE_POINTS"].flatMap { Int($0) } ?? 8
            let only = Self.environment["BASCULE_POINT"]
            let move = try await SmallMove.make(in: scene)
            try scene.fleet(SmallMove.fleet(approve: "auto"))
            let copied = try await scene.bascule("apply", "--yes", "--through", "copy")
            try #require(copied.status == 3, "\(copied.all)")
            var walk = FailpointWalk(scene: scene, node: "new", fingerprint: Self.fingerprint(move.address))
            walk.others = ["old"]
            // Each time a point is passed is another step of the cutover.
            walk.cap = .max
            var stage = FailpointWalk.Stage(name: "cutover", words: ["apply", "--yes"])
            stage.mayGoBack = true
            stage.settle = { _ in try await move.settle() }
            var total = 0
            let points = try await walk.walk(stage) { points in
                total = points.count
                if let only { return points.filter { $0.text.contains(only) } }
                let mixed = points.shuffled(using: &seeded)
                // Steps, what is written on the node, and what the controller writes.
                let steps = mixed.filter { $0.name.hasPrefix("agent.step.") }.prefix(wanted / 2)
                let files = mixed.filter { $0.side == .agent && !steps.contains($0) }.prefix(wanted / 4)
                return Array(steps + files)
                    + mixed.filter { $0.side == .controller }.prefix(wanted - steps.count - files.count)
            }
            print("cutover: \(points.map(\.text).joined(separator: " "))")
            print("walked \(points.count) of \(total) failpoints of a cutover, BASCULE_SEED=\(seeded.seed)")
            #expect(only != nil || points.count >= wanted - 2, "steps run side by side, and may miss a point")
        }

        /// Who serves and who may write, on both sides; what was moved; what was left lying about.
        private static func fingerprint(_ old: String) -> String {
            """
            export LC_ALL=C; cd /
            dig +short @\(old) \(SmallMove.domain) A
            runuser -u postgres -- psql -AtX -d notes -c 'SELECT count(*), min(id), max(id) FROM notes'
            runuser -u postgres -- psql -AtX -d notes -c "SELECT nspname FROM pg_namespace WHERE nspname LIKE '%bascule%'"
            ls /etc/nginx/bascule /run/bascule/sources 2>/dev/null
            find / -xdev \\( -name '*.bascule-new' -o -path '/var/lib/bascule/*.new' -o -path '/var/lib/bascule/*.part' \\)
            systemctl --failed --no-legend --plain; ls /var/lib/bascule /var/lib/bascule/keys
            grep -o '"t0":"[a-zA-Z]*"' /var/lib/bascule/identity.json
            for port in 80; do perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new("\(old):80") or die; print $s "GET / HTTP/1.0\\r\\nHost: \(SmallMove.domain)\\r\\n\\r\\n"; print grep { /^HTTP|^x-served/i } <$s>'; done
            true
            """
        }
    }
}
