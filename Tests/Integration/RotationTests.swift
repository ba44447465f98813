import BasculeModel
import BasculeProviders
import BasculeStore
import Foundation
import Testing

extension OnNodes {
    /// `bascule node rotate` on real nodes: killed anywhere, with a node out of reach, and to its end.
    @Suite(.serialized, .scene("rotate")) struct RotationTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func apply(_ item: Int, at workstation: String = "state") async throws -> CommandResult {
            try scene.fleet(Sample.blank("a", "b") + Sample.files(2, item: item, in: "rotate"))
            return try await scene.bascule("apply", "--yes", at: workstation)
        }

        private func key() throws -> String? { try Store(path: scene.store).setting("fleet-key.public") }

        @Test func keysAreExchangedWhateverHappensMeanwhile() async throws {
            try #require(try await apply(1).status == 0)
            try scene.copyStore(to: "copy")
            defer { try? FileManager.default.removeItem(atPath: "\(scene.folder)/copy") }
            let (former, pair) = (try key(), try Store(path: scene.store).node("a").sealingKey)
            // Out of reach: it is named, it keeps working with the keys that it has, and the others go on.
            try await scene.shell("b", "systemctl stop ssh.socket ssh.service")
            for point in ["controller.rotate.announced", "controller.rotate.confirmed", "controller.rotate.sealed"] {
                let killed = try await scene.bascule("node", "rotate", "a", failpoint: point)
                #expect(killed.status != 0 && killed.status != 1, "\(point): \(killed.all)")
                let seen = try await scene.bascule("facts", "a")
                #expect(seen.status == 0, "after \(point): \(seen.all)")
            }
            let half = try await scene.bascule("node", "rotate")
            #expect(half.status == 1 && half.all.contains("[rotation-incomplete]"), "\(half.all)")
            #expect(half.all.contains("bascule node rotate") && half.errorText.contains("b"))
            #expect(try key() == former, "not the fleet's before every node has them")
            try await scene.shell("b", "systemctl start ssh.service")
            let mixed = try await apply(2)
            #expect(mixed.status == 0, "each node by the keys that it obeys: \(mixed.all)")
            let whole = try await scene.bascule("node", "rotate")
            #expect(whole.status == 0, "\(whole.all)")
            #expect(try key() != former)
            #expect(try Store(path: scene.store).node("a").sealingKey != pair)
            for node in ["a", "b"] as [NodeName] {
                let doors = try await scene.shell(node, "cat /etc/bascule/authorized_keys")
                #expect(!doors.contains("bascule:pending") && doors.contains("refuse"), "\(doors)")
            }
            #expect(try await apply(3).status == 0)
            // The former keys, from a copy of the store: refused, and nothing is changed.
            let refused = try await apply(4, at: "copy")
            #expect(refused.status == 1 && refused.all.contains("[stale-controller]"), "\(refused.all)")
            #expect(try await scene.shell("a", "grep -h item /srv/rotate/f0.conf") == "item 3")
        }
    }
}
