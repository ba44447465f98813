import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// What does not happen: processes for looking, bytes for what is there already, a stop for those who arrive.
    @Suite(.serialized, .scene("frugal")) struct FrugalityTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        /// Minor faults of the agent's ended children: every program that it runs and waits for adds some hundred.
        private func childrenFaults() async throws -> String {
            try await scene.shell(
                "a", "cut -d' ' -f11 /proc/$(systemctl show -P MainPID bascule-agent.service)/stat")
        }

        private func received() async throws -> Int {
            Int(try await scene.shell("a", "cat /sys/class/net/host0/statistics/rx_bytes")) ?? -1
        }

        @Test func lookingAtTheEntriesRunsNoProgram() async throws {
            try scene.write("item.conf", Sample.template)
            try scene.fleet(Sample.blank("a") + "  - {on: all, group: crew, system: true}\n" + Sample.entries())
            let applied = try await scene.bascule("apply", "--yes", deadline: .seconds(200))
            try #require(applied.status == 0, "\(applied.all)")
            #expect(try await childrenFaults() != "0", "the agent ran nothing even when it changed the node")
            _ = try await scene.bascule("apply", "--yes")
            let before = try await childrenFaults()
            for _ in 0..<3 {
                let nothing = try await scene.bascule("apply", "--yes")
                #expect(nothing.status == 0 && nothing.text.contains("Nothing to do"), "\(nothing.all)")
            }
            #expect(try await childrenFaults() == before)
        }

        @Test func contentTravelsOnce() async throws {
            let size = 3 << 20
            try scene.write("big.bin", String(repeating: "0123456789abcdef", count: size / 16))
            func fleet(_ path: String) throws {
                try scene.fleet(Sample.blank("a") + "  - {on: all, file: \(path), source: big.bin}\n")
            }
            try scene.fleet(Sample.blank("a"))
            try #require(try await scene.bascule("apply", "--yes").status == 0)
            try fleet("/srv/one.bin")
            let blank = try await received()
            let first = try await scene.bascule("apply", "--yes")
            #expect(first.status == 0, "\(first.all)")
            let sent = try await received()
            #expect(sent - blank > size)
            try fleet("/srv/two.bin")
            let second = try await scene.bascule("apply", "--yes")
            #expect(second.status == 0 && second.text.contains("1 changed"), "\(second.all)")
            // A backup of the store, some hundred KiB, goes to the node after each change.
            #expect(try await received() - sent < 1 << 20, "what the node has was sent again")
            #expect(try await scene.shell("a", "cmp /srv/one.bin /srv/two.bin && echo same") == "same")
        }

        /// A node that cannot be given its agent does not keep another from being made, and the run says so.
        @Test func aNodeThatCannotArriveHoldsNobodyUp() async throws {
            let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJbBvcQ1mFTtUH0eqkBZpYmvLgeqVSi8g8FO0RQ4N9zT"
            try scene.write("key", "")
            try scene.fleet(
                """
                nodes:
                  c: {provider: lab, image: debian12}
                  gone: {address: 127.0.0.1, port: 9, key: \(scene.folder)/key, hostKey: "\(key)"}
                topologies: {single: {c: [], gone: []}}
                topology: single
                resources:
                  - {on: all, file: /srv/there.conf, content: "there"}

                """)
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 1 && applied.all.contains("gone"), "\(applied.all)")
            #expect(try await scene.shell("c", "cat /srv/there.conf") == "there", "\(applied.all)")
        }
    }
}
