import BasculeModel
import BasculeProtocol
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// What a CI system can do with a token, and what it cannot.
    @Suite(.serialized, .scene("token")) struct TokenTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private func source(_ word: String, status: Int = 200) throws {
            try scene.write("shop/server.pl", Sample.server(word, status: status))
        }

        /// A node that runs the first release, and a token for it.
        private func begin() async throws {
            try await scene.startAnew()
            try? FileManager.default.removeItem(atPath: "\(scene.folder)/ci.token")
            try scene.fleet(
                """
                nodes: {n1: {provider: lab, image: debian12}}
                topologies: {only: {n1: [app]}}
                topology: only
                apps:
                  shop: {source: {path: ./shop}, instances: 2, start: perl server.pl, port: 3000, health: {path: /, timeout: 3s}, drain: 1s}

                """)
            try source("one")
            let applied = try await scene.bascule("apply", "--yes")
            try #require(applied.status == 0, "\(applied.all)")
            let made = try await scene.bascule(
                "token", "create", "ci-1", "--app", "shop", "--out", "\(scene.folder)/ci.token")
            try #require(made.status == 0, "\(made.all)")
        }

        /// `bascule release` as CI has it: a folder of its own, no store, no fleet file.
        private func release(token: String = "ci.token") async throws -> CommandResult {
            try await Command.run(
                [
                    try #require(Program.path), "token", "release", "\(scene.folder)/\(token)", "--source",
                    "\(scene.folder)/shop",
                ], environment: ["HOME": "/nonexistent", "XDG_STATE_HOME": "/nonexistent"], deadline: .seconds(60))
        }

        private func served() async throws -> String {
            try await scene.shell(
                "n1",
                """
                for p in 3000 3001; do perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new("127.0.0.1:$ARGV[0]"); print $s "GET / HTTP/1.0\\r\\n\\r\\n"; my @l = <$s>; print "$l[-1] "' $p; done
                """)
        }

        @Test func aTokenReleasesItsAppAndAnIllReleaseGoesBack() async throws {
            try await begin()
            #expect(try await served() == "one one")
            let mode = try FileManager.default.attributesOfItem(atPath: "\(scene.folder)/ci.token")
            #expect(mode[.posixPermissions] as? Int == 0o600)
            try source("two")
            let released = try await release()
            #expect(released.status == 0, "\(released.all)")
            #expect(try await served() == "two two")
            // The workstation has the same source: there is nothing to fight about.
            let same = try await scene.bascule("plan")
            #expect(same.status == 0 && !same.text.contains("released by"), "\(same.all)")
            // It has another one: the plan says who released what runs.
            try source("one")
            let other = try await scene.bascule("plan")
            #expect(other.text.contains("(released by token ci-1)"), "\(other.all)")
            // What does not become healthy goes back by itself.
            try source("ill", status: 500)
            let ill = try await release()
            #expect(ill.status == 1 && ill.errorText.contains("previous one is back"), "\(ill.all)")
            #expect(try await served() == "two two")
            let events = try await scene.shell("n1", "cat /var/lib/bascule/outbox/current")
            #expect(events.contains("released by token ci-1") && events.contains("token ci-1 could not release"))
            #expect(try await scene.journal("n1").contains { $0.segment.rawValue.hasPrefix("token-") })
            #expect(!(try await scene.shell("n1", "cat /var/lib/bascule/tokens.json")).contains("PRIVATE"))
            // Held, it is refused; released, not.
            try await scene.shell("n1", "bascule-agent hold")
            try source("three")
            let held = try await release()
            #expect(held.status == 1 && held.errorText.contains("leave everything alone"), "\(held.all)")
            try await scene.shell("n1", "bascule-agent release")
            #expect(try await release().status == 0)
        }

        @Test func aTokenOpensNothingElse() async throws {
            try await begin()
            let text = try scene.read("ci.token")
            let file = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            let key = try #require(file["key"] as? String)
            try scene.write("key", key)
            chmod("\(scene.folder)/key", 0o600)
            // Another app than the token's.
            try scene.write("other.token", text.replacing("\"app\":\"shop\"", with: "\"app\":\"blog\""))
            let other = try await release(token: "other.token")
            #expect(other.status == 1 && other.errorText.contains("may not release blog"), "\(other.all)")
            // Requests of the controller, another token's name, an archive that is announced too large.
            let digest = Digest(rawValue: String(repeating: "ab", count: 32))
            let said: [[UInt8]] = [
                try Wire.frame(.request, id: 1, Request.status), try Wire.frame(.request, id: 1, Request.leave),
                try Wire.frame(.request, id: 1, DoorRequest.enter(app: "shop", token: "ci-2")),
                try Wire.frame(
                    .request, id: 1, DoorRequest.release(app: "shop", archive: digest, size: 257 << 20)),
                try Wire.frame(.request, id: 1, DoorRequest.release(app: "shop", archive: digest, size: 2))
                    + Frame(.chunk, id: 1, body: [1, 2, 3]).encoded(),
            ]
            for bytes in said {
                let answer = try await ssh([], stdin: bytes)
                #expect(answer.text.contains("\"refused\""), "\(answer.all)")
            }
            #expect(try await ssh(["id"]).stdout.isEmpty)
            let forward = try await ssh(["-W", "127.0.0.1:22"], command: false)
            #expect(forward.errorText.contains("administratively prohibited"), "\(forward.all)")
            #expect(try await served() == "one one")
            // Revoked, the key does not even log in.
            let revoked = try await scene.bascule("token", "revoke", "ci-1")
            #expect(revoked.status == 0, "\(revoked.all)")
            let refused = try await release()
            #expect(refused.status == 1, "\(refused.all)")
            #expect(try await ssh([]).status == 255)
            #expect(try await scene.bascule("token", "list").text.isEmpty)
        }

        /// OpenSSH's own client with the token's key.
        private func ssh(
            _ words: [String], stdin: [UInt8] = [], command: Bool = true
        ) async throws -> CommandResult {
            let login = "bascule@\(try await scene.lab.node("n1").address)"
            return try await Command.run(
                [
                    "ssh", "-i", "\(scene.folder)/key", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
                    "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5",
                ] + (command ? [login] + words : words + [login]), stdin: stdin, deadline: .seconds(20))
        }
    }
}
