import BasculeModel
import BasculeProtocol
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// The controller disappears inside the migration's window: the target's agent does what `ifAlone` declares.
    @Suite(.serialized, .scene("window")) struct WindowTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        @Test(.timeLimit(.minutes(5))) func theDeclaredPolicyAppliesWithoutAController() async throws {
            let move = try await SmallMove.make(in: scene)
            let copied = try await scene.bascule("apply", "--yes", "--through", "copy")
            try #require(copied.status == 3, "\(copied.all)")
            #expect(try await move.customer().contains("world-old"))
            try await goBackUnasked(move)
            try await holdThenGoBackAfterTheSwitch(move)
            guard Program.testsAll else { return }
            try await holdUntilNoGo(move)
            try await holdUntilGo(move)
        }

        /// Begins the cutover and kills the controller for good once `holds` says so.
        private func vanish(_ what: String, when holds: (AgentStatus.Activity) -> Bool) async throws {
            let run = try scene.begin("apply", "--yes", "--json")
            let reached = try await eventually(within: 100, every: .milliseconds(50)) {
                try await SmallMove(scene: scene, address: "").conducting().map(holds) ?? false
            }
            try #require(reached && run.status == nil, "\(what): \(run.output.suffix(3000))")
            run.kill9()
            #expect(try await run.ended(within: 5) == 137)
        }

        private func ended(_ move: SmallMove, _ status: SegmentOutcome.Status, within seconds: Double) async throws {
            let ended = try await eventually(within: seconds) { try await move.conducting()?.ended != nil }
            let found = try await move.conducting()
            #expect(ended && found?.ended == status, "\(String(describing: found))")
        }

        private func expectTheNextRunTellsIt() async throws {
            let told = try await scene.bascule("apply", "--yes")
            #expect(told.status == 4 && told.all.contains("rolled back"), "\(told.all)")
        }

        /// `rollback`: killed before *decide*, nobody answers.
        private func goBackUnasked(_ move: SmallMove) async throws {
            try scene.fleet(SmallMove.fleet(window: "12s", ifAlone: "rollback"))
            try await vanish("rollback") { $0.ended == nil && $0.phase ?? .freeze < .decide }
            #expect(try await eventually(within: 20) { try await move.page() == "503" }, "customers see maintenance")
            try await ended(move, .rolledBack, within: 40)
            try await move.expectTheOldSystem()
            try await expectTheNextRunTellsIt()
        }

        /// `hold`: the conductor waits beyond its lease, also after a crash of its own, until somebody says how it ends.
        private func hold(_ move: SmallMove) async throws {
            try scene.fleet(SmallMove.fleet(window: "12s", ifAlone: "hold"))
            try await vanish("hold") { $0.ended == nil && $0.phase ?? .freeze < .decide }
            let over = try await eventually(within: 60) {
                try await move.conducting().map { $0.waitingForDecision && $0.leaseLeft == 0 } ?? false
            }
            #expect(over, "it waits")
            try await scene.killAgent("new")
            try await Task.sleep(for: .seconds(2))
            let waits = try await eventually(within: 20) { try await move.conducting()?.waitingForDecision ?? false }
            #expect(waits, "it waits again")
            #expect(try await move.page() == "503")
            #expect(try await move.record() == move.address)
            #expect(try await move.writers() != "t|t\nOK", "the fence stands")
        }

        private func withoutNameServer(_ move: SmallMove, _ body: () async throws -> Void) async throws {
            let table = "bascule_test_\(getpid())"
            let rules =
                "table ip \(table) { chain out { type filter hook output priority 0; ip daddr \(move.address) meta l4proto { tcp, udp } th dport 53 reject; }; }"
            _ = try await Command.run(["nft", "-f", "-"], stdin: Array(rules.utf8)).requireSuccess("hiding port 53")
            let result: Result<Void, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            _ = try await Command.run(["nft", "delete", "table", "ip", table])
            try result.get()
        }

        /// Held, then told to go: the name points to the new system already when a later step fails. It points back before
        /// the end. The old edge, which refuses the conductor for a while, is tried again.
        private func holdThenGoBackAfterTheSwitch(_ move: SmallMove) async throws {
            // The workstation may not ask the name server: only the conductor learns what the name was before.
            try await withoutNameServer(move) { try await hold(move) }
            let keys = "/etc/bascule/authorized_keys"
            try await scene.shell("old", "mv \(keys) \(keys).away")
            // Nor does the login that the conductor holds already help it.
            try await scene.shell("new", "find /var/lib/bascule/keys -name 'edge.*' -type s -delete")
            let went = try await scene.bascule("go")
            #expect(went.status == 0, "\(went.all)")
            let switched = try await eventually(within: 20, every: .milliseconds(20)) {
                try await move.record() == scene.lab.node("new").address
            }
            #expect(switched, "the name was switched")
            let undoing = try await eventually(within: 20, every: .milliseconds(50)) {
                try await move.conducting()?.isCompensating ?? false
            }
            #expect(undoing)
            try await scene.shell("old", "mv \(keys).away \(keys)")
            try await ended(move, .rolledBack, within: 40)
            try await move.expectTheOldSystem()
            try await expectTheNextRunTellsIt()
        }

        private func holdUntilNoGo(_ move: SmallMove) async throws {
            try await hold(move)
            let said = try await scene.bascule("no-go")
            #expect(said.status == 0, "\(said.all)")
            try await ended(move, .rolledBack, within: 30)
            try await move.expectTheOldSystem()
            try await expectTheNextRunTellsIt()
        }

        private func holdUntilGo(_ move: SmallMove) async throws {
            try await hold(move)
            let said = try await scene.bascule("go")
            #expect(said.status == 0, "\(said.all)")
            try await ended(move, .converged, within: 30)
            #expect(try await move.customer().contains("world-new"))
            #expect(try await move.record() == scene.lab.node("new").address)
            let rest = try await scene.bascule("apply", "--yes")
            #expect(rest.status == 0, "\(rest.all)")
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
        }
    }
}
