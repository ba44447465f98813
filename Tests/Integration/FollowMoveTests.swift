import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// A whole migration that follows its source under writes, and goes back after T0 with what was written since.
    @Suite(
        .serialized, .scene("followmove"), .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct FollowMoveTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        @Test(.timeLimit(.minutes(10))) func aRollbackAfterT0KeepsWhatWasWrittenSince() async throws {
            let move = try await SmallMove.make(in: scene)
            try scene.fleet(SmallMove.fleet(approve: "auto", watch: "120s", newWrites: "reverse"))
            let plan = try await scene.bascule("plan")
            #expect(plan.text.contains("carried back by bascule rollback"), "\(plan.all)")
            // 50 notes a second, as the app's own role, until the old side refuses them.
            try await scene.shell("old", Self.writer)
            let run = try scene.begin("apply", "--yes", "--json")
            let opened = try await eventually(within: 240, every: .milliseconds(200)) {
                try await scene.run("new", "/usr/local/lib/bascule/bascule-agent", "status").text.contains(": open")
            }
            try #require(opened, "\(run.output.suffix(4000))")
            #expect(run.output.contains("rows in 1 tables equal at"), "it was followed: \(run.output.suffix(6000))")
            let accepted = try await notes("old")
            #expect(accepted > 600, "written while it was moved")
            #expect(try await notes("new") >= accepted, "nothing was lost")
            var numbers: [String] = []
            for _ in 0..<20 {
                let said = try await scene.shell("new", Self.post)
                numbers.append(said)
            }
            #expect(numbers.allSatisfy { $0.contains("id") }, "\(numbers)")
            run.kill9()
            _ = try await run.ended(within: 10)
            let there = try await ids("new")
            let back = try await scene.bascule("rollback", "--yes", deadline: .seconds(120))
            #expect(back.status == 0, "\(back.all)")
            let here = try await ids("old")
            #expect(
                here.isSuperset(of: there), "missing at the old side: \(there.subtracting(here).sorted().prefix(5))")
            try await move.expectTheOldSystem()
            let left = try await scene.shell(
                "old",
                "cd /; runuser -u postgres -- psql -AtX -d notes -c 'SELECT slot_name FROM pg_replication_slots' -c 'SELECT pubname FROM pg_publication' -c \"SELECT nspname FROM pg_namespace WHERE nspname LIKE '%bascule%'\""
            )
            #expect(left.isEmpty, "\(left)")
        }

        /// What a migration that is given up has made at the source does not stay there.
        @Test(.timeLimit(.minutes(10))) func aMoveThatIsGivenUpLeavesNothingBehind() async throws {
            try await scene.startAnew()
            _ = try await SmallMove.make(in: scene)
            try scene.fleet(SmallMove.fleet(approve: "auto", watch: "120s", newWrites: "reverse"))
            let copied = try await scene.bascule("apply", "--yes", "--through", "copy", deadline: .seconds(240))
            try #require(copied.status == 3, "\(copied.all)")
            let followed = try await scene.shell("old", Self.leftovers)
            #expect(followed.contains("bascule_"), "it is followed: \(followed)")
            let keeper = "ls /var/lib/bascule/follow/*.json 2>/dev/null | wc -l"
            #expect(try await scene.shell("new", keeper) == "1")
            let given = try await scene.bascule("data", "forget", deadline: .seconds(120))
            #expect(given.status == 0, "\(given.all)")
            #expect(try await scene.shell("old", Self.leftovers) == "")
            #expect(try await scene.shell("new", Self.leftovers) == "")
            #expect(try await scene.shell("new", keeper) == "0")
            #expect(try await notes("new") == 500, "what was copied stays")
        }

        private static let leftovers = """
            cd /; runuser -u postgres -- psql -AtX -d notes -c 'SELECT slot_name FROM pg_replication_slots' \
                -c 'SELECT pubname FROM pg_publication' -c 'SELECT subname FROM pg_subscription' \
                -c "SELECT nspname FROM pg_namespace WHERE nspname LIKE '%bascule%'" \
                -c "SELECT rolname FROM pg_roles WHERE rolname LIKE '%bascule%'"
            """

        private static let writer = """
            cat > /root/write.sh <<'END'
            i=0
            while true; do
              i=$((i+1)); echo "INSERT INTO notes (text) VALUES ('w$i');"; sleep 0.02
            done | PGPASSWORD=serves psql -qX -h 127.0.0.1 -U notes notes
            END
            systemd-run -q --unit=writer sh /root/write.sh
            """

        private static let post = """
            perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new("127.0.0.1:3000") or die; print $s "POST /notes HTTP/1.0\\r\\nContent-Length: 0\\r\\n\\r\\n"; print grep { /id/ } <$s>'
            """

        private func notes(_ node: NodeName) async throws -> Int {
            let count = try await scene.shell(
                node, "cd /; runuser -u postgres -- psql -AtX -d notes -c 'SELECT count(*) FROM notes'")
            return Int(count) ?? 0
        }

        private func ids(_ node: NodeName) async throws -> Set<String> {
            let all = try await scene.shell(
                node, "cd /; runuser -u postgres -- psql -AtX -d notes -c 'SELECT id FROM notes'")
            return Set(all.split(separator: "\n").map(String.init))
        }
    }
}
