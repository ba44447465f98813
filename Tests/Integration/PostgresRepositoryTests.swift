import BasculeModel
import BasculeProviders
import Foundation
import Testing

extension OnNodes {
    /// PostgreSQL of another version than the release's, from a signed repository of the shape of apt.postgresql.org: the
    /// real PostgreSQL 15 of Debian 12, with the libraries that Debian 13 no longer has, on a node of Debian 13.
    @Suite(.scene("pgdg"), .enabled(if: Program.testsAll, "takes minutes: BASCULE_TEST_ALL=1"))
    struct PostgresRepositoryTests {
        let scene: Scene

        init() throws { scene = try #require(Scene.shared) }

        private static let packages = [
            "postgresql-15", "postgresql-client-15", "libicu72", "libllvm14", "libldap-2.5-0",
        ]

        private func fleet(_ keys: String?) -> String {
            """
            nodes: {old: {provider: lab, image: debian12}, a: {provider: lab, image: debian13}}
            topologies: {single: {old: [], a: [database]}}
            services: {\(keys.map { "postgresql: {databases: {shop: {extensions: [citext]}}\($0)}" } ?? "")}

            """
        }

        private func repository(_ key: String) -> String {
            ", version: 15, repository: {uri: \"http://127.0.0.1:8097\", key: \(key)}"
        }

        @Test(.timeLimit(.minutes(10))) func anotherVersionComesFromASignedRepository() async throws {
            try await scene.converge(fleet(nil))
            let archive = try await TinyArchive("\(scene.folder)/archive", suite: "trixie-pgdg")
            // Beside the real packages one that Debian has, too, and newer.
            try await archive.publish(
                [.init(name: "postgresql-17", version: "17.99-1.pgdg13+1")], files: try await download())
            try scene.write("right.asc", try await archive.publicKey())
            try scene.write("wrong.asc", try await TinyArchive("\(scene.folder)/other").publicKey())
            let served = try await archive.serve(on: "a", of: scene, port: 8097)
            defer { served.kill9() }

            try await expectAWrongKeyIsRefused()
            try await scene.converge(fleet(repository("right.asc")))
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
            #expect(try await sql("SHOW server_version").hasPrefix("15."))
            #expect(try await sql("SELECT count(*) FROM pg_extension WHERE extname = 'citext'", in: "shop") == "1")
            #expect(
                try await scene.shell("a", "pg_lsclusters -h | awk '{print $1, $2, $3, $4}'") == "15 main 5432 online")
            try await expectThePin()
            try await expectDriftIsMended()
            try await expectTheWayToAnotherVersion()
        }

        /// What Debian 12 has, as files of this machine.
        private func download() async throws -> [String] {
            let fetched = try await scene.lab.exec(
                "old",
                [
                    "sh", "-c",
                    "mkdir -p /srv/debs; cd /srv/debs; apt-get -qq update && apt-get -qq download \(Self.packages.joined(separator: " "))",
                ],
                deadline: .seconds(180))
            try #require(fetched.status == 0, "\(fetched.all)")
            let folder = "\(try scene.lab.root(of: "old"))/srv/debs"
            let files = try FileManager.default.contentsOfDirectory(atPath: folder).map { "\(folder)/\($0)" }
            try #require(files.count == Self.packages.count, "\(files)")
            return files
        }

        private func sql(_ text: String, in database: String = "postgres") async throws -> String {
            try await scene.shell("a", "runuser -u postgres -- psql -XqAt -d \(database) -c \"\(text)\"")
        }

        private func expectAWrongKeyIsRefused() async throws {
            try scene.fleet(fleet(repository("wrong.asc")))
            let refused = try await scene.bascule("apply", "--yes")
            #expect(refused.status == 1 && refused.all.contains("[repository-refused]"), "\(refused.all)")
            #expect(refused.all.contains("The apt repository postgresql could not be read"), "\(refused.all)")
            let fingerprint = try await scene.shell(
                "a",
                "! ls /etc/apt/sources.list.d/postgresql.sources /etc/apt/keyrings/postgresql.asc 2>/dev/null; ls /usr/lib/postgresql 2>/dev/null | wc -l"
            )
            #expect(fingerprint == "0", "nothing of it stays, and no other PostgreSQL is taken instead")
        }

        /// The key counts for this repository alone, and what the repository has is preferred to Debian's.
        private func expectThePin() async throws {
            let source = try await scene.shell("a", "cat /etc/apt/sources.list.d/postgresql.sources")
            #expect(source.contains("Signed-By: /etc/apt/keyrings/postgresql.asc") && source.contains("trixie-pgdg"))
            #expect(
                try await scene.shell("a", "ls /etc/apt/trusted.gpg /etc/apt/trusted.gpg.d/*tiny* 2>/dev/null | wc -l")
                    == "0")
            let policy = try await scene.shell("a", "apt-cache policy postgresql-17 postgresql-15")
            #expect(policy.contains("Candidate: 17.99-1.pgdg13+1"), "\(policy)")
            #expect(policy.contains("http://127.0.0.1:8097 trixie-pgdg/main"), "\(policy)")
            #expect(
                try await scene.shell(
                    "a", "dpkg-query -W -f '${db:Status-Status}' postgresql-17 2>/dev/null || echo none")
                    != "installed")
        }

        private func expectDriftIsMended() async throws {
            try await scene.shell(
                "a",
                "bascule-agent hold; rm /etc/apt/sources.list.d/postgresql.sources; echo x >> /etc/apt/keyrings/postgresql.asc"
            )
            let drift = try await scene.bascule("drift")
            #expect(drift.status == 2 && drift.text.contains("postgresql"), "\(drift.all)")
            let mended = try await scene.bascule("apply", "--yes")
            #expect(mended.status == 0, "\(mended.all)")
            #expect(try await scene.shell("a", "apt-cache policy postgresql-15 | grep -c 127.0.0.1:8097") != "0")
        }

        /// By itself nothing goes to Debian's 17; after the way that the documentation describes, the data is there.
        private func expectTheWayToAnotherVersion() async throws {
            _ = try await sql("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n", in: "shop")
            try scene.fleet(fleet(""))
            let refused = try await scene.bascule("apply", "--yes")
            #expect(refused.status == 1 && refused.all.contains("[catalogue-cluster]"), "\(refused.all)")
            let moved = try await scene.lab.exec(
                "a",
                [
                    "sh", "-ec",
                    // The repository has a newer one that is only a name: Debian's own is wanted.
                    """
                    rm /etc/apt/sources.list.d/postgresql.sources; apt-get -qq update
                    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y postgresql-17
                    if pg_lsclusters -h | grep -q '^17 main '; then pg_dropcluster --stop 17 main; fi
                    pg_upgradecluster 15 main
                    """,
                ], deadline: .seconds(240))
            try #require(moved.status == 0, "\(moved.all)")
            let applied = try await scene.bascule("apply", "--yes")
            #expect(applied.status == 0, "\(applied.all)")
            #expect(try await sql("SHOW server_version").hasPrefix("17."))
            #expect(try await sql("SELECT sum(n) FROM kept", in: "shop") == "500500")
            #expect(try await sql("SHOW port") == "5432")
            let again = try await scene.bascule("apply", "--yes")
            #expect(again.status == 0 && again.text.contains("Nothing to do"), "\(again.all)")
        }
    }
}
