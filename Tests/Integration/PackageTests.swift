import BasculeModel
import Foundation
import Testing

extension OnNodes {
    /// What package managers do to those who automate them, with an archive of the tests' own.
    @Suite(.serialized, .scene("packages")) struct PackageTests {
        let scene: Scene
        private let port = 8099

        init() throws { scene = try #require(Scene.shared) }

        /// Publishes, serves and declares an archive; the body gets what puts resources after its declaration.
        private func withArchive(
            _ packages: [TinyArchive.Package], _ body: (TinyArchive, (String) throws -> Void) async throws -> Void
        ) async throws {
            try scene.fleet(Sample.blank("p"))
            let ready = try await scene.bascule("apply", "--yes")
            try #require(ready.status == 0, "\(ready.all)")
            let archive = try await TinyArchive("\(scene.folder)/archive-\(UInt32.random(in: 0 ... .max))")
            try await archive.publish(packages)
            try scene.write("tiny.asc", try await archive.publicKey())
            let server = try await archive.serve(on: "p", of: scene, port: port)
            defer { server.kill9() }
            try await body(archive) { try scene.fleet(declared($0)) }
        }

        private func declared(_ more: String) -> String {
            Sample.blank("p")
                + "  - {on: all, aptRepository: tiny, uris: \"http://127.0.0.1:\(port)/\", suites: ./, components: [], key: tiny.asc}\n"
                + more
        }

        private func version(_ package: String) async throws -> String {
            try await scene.shell(
                "p", "dpkg-query -W -f '${Version} ${db:Status-Status}' \(package) 2>/dev/null || true")
        }

        @Test func aLockThatIsHeldIsWaitedForAndItsHolderNamed() async throws {
            try await withArchive([.init(name: "tiny-lock", version: "1.0")]) { _, declare in
                let hold =
                    "open my $f, '>>', '/var/lib/dpkg/lock-frontend'; my $l = pack('s s x4 q q i x4', 1, 0, 0, 0, 0); fcntl($f, 6, $l) or die $!; sleep 5"
                try await scene.shell(
                    "p", "perl -e \"\(hold.replacing("$", with: "\\$"))\" > /dev/null 2>&1 & sleep 0.5")
                try declare("  - {on: all, package: tiny-lock}\n")
                let applied = try await scene.bascule("apply", "--yes", "--json")
                #expect(applied.status == 0, "\(applied.all)")
                let told = applied.events("progress").compactMap(\.summary)
                #expect(told.contains { $0.contains("held by perl") }, "\(told)")
                #expect(try await version("tiny-lock") == "1.0 installed")
                #expect(try await scene.run("p", "test", "-e", "/var/lib/dpkg/lock-frontend").status == 0)
            }
        }

        @Test func aListThatIsStaleIsFetchedOnceMore() async throws {
            try await withArchive([.init(name: "tiny-stale", version: "1.0")]) { archive, declare in
                try declare("")
                try #require(try await scene.bascule("apply", "--yes").status == 0)
                // The mirror moves on: what the node's list names is gone.
                try await archive.publish([.init(name: "tiny-stale", version: "1.1")])
                try declare("  - {on: all, package: tiny-stale}\n")
                let applied = try await scene.bascule("apply", "--yes", "--json")
                #expect(applied.status == 0, "\(applied.all)")
                let told = applied.events("progress").compactMap(\.summary)
                #expect(told.contains { $0.contains("not fresh enough") }, "\(told)")
                #expect(try await version("tiny-stale") == "1.1 installed")
            }
        }

        /// A changed conffile, a question of debconf and a script that reads its input: none may wait for anybody.
        @Test func nothingThatAsksHangs() async throws {
            func asking(_ version: String) -> TinyArchive.Package {
                .init(
                    name: "tiny-asks", version: version, files: ["etc/tiny-asks.conf": "packaged \(version)\n"],
                    conffiles: ["etc/tiny-asks.conf"],
                    scripts: [
                        "templates": "Template: tiny-asks/name\nType: string\nDescription: Name?\n A question.\n",
                        "config":
                            "#!/bin/sh\nset -e\n. /usr/share/debconf/confmodule\ndb_input critical tiny-asks/name || true\ndb_go || true\n",
                        "postinst":
                            "#!/bin/sh\nset -e\n. /usr/share/debconf/confmodule\nif [ -t 0 ]; then exit 7; fi\n",
                    ], depends: "debconf")
            }
            try await withArchive([asking("1.0")]) { archive, declare in
                try declare("  - {on: all, package: tiny-asks}\n")
                let first = try await scene.bascule("apply", "--yes", deadline: .seconds(60))
                #expect(first.status == 0, "\(first.all)")
                try await scene.shell("p", "echo mine > /etc/tiny-asks.conf")
                try await archive.publish([asking("2.0")])
                try await scene.shell("p", "apt-get -qq update")
                try declare("  - {on: all, package: tiny-asks, version: \"2.0\"}\n")
                let second = try await scene.bascule("apply", "--yes", deadline: .seconds(60))
                #expect(second.status == 0, "\(second.all)")
                #expect(try await version("tiny-asks") == "2.0 installed")
                #expect(try await scene.shell("p", "cat /etc/tiny-asks.conf") == "mine", "the operator's file stays")
            }
        }

        @Test func aScriptThatFailsIsShownAndTheRestGoesOn() async throws {
            func broken(_ version: String, _ script: String) -> TinyArchive.Package {
                .init(name: "tiny-broken", version: version, scripts: ["postinst": "#!/bin/sh\n\(script)\n"])
            }
            try await withArchive([broken("1.0", "echo 'the moon is full' >&2; exit 3")]) { archive, declare in
                try declare(
                    "  - {on: all, package: tiny-broken}\n  - {on: all, file: /srv/beside.conf, content: \"x\"}\n")
                let failed = try await scene.bascule("apply", "--yes")
                #expect(failed.status == 1 && failed.all.contains("the moon is full"), "\(failed.all)")
                #expect(failed.all.contains("[package-failed]"))
                #expect(try await scene.shell("p", "cat /srv/beside.conf") == "x")
                try await archive.publish([broken("1.1", "exit 0")])
                try await scene.shell("p", "apt-get -qq update")
                #expect(try await scene.run("p", "rm", "/srv/beside.conf").status == 0)
                let repaired = try await scene.bascule("apply", "--yes")
                #expect(repaired.status == 0, "\(repaired.all)")
                #expect(try await version("tiny-broken") == "1.1 installed")
            }
        }

        @Test func aTamperedPackageIsRefused() async throws {
            let good = TinyArchive.Package(name: "tiny-tampered", version: "1.0", files: ["srv/tampered": "good\n"])
            try await withArchive([good]) { archive, declare in
                let path = "\(archive.folder)/tiny-tampered_1.0_all.deb"
                let original = try Data(contentsOf: URL(fileURLWithPath: path))
                var bytes = original
                bytes[bytes.count / 2] ^= 0x40
                try bytes.write(to: URL(fileURLWithPath: path))
                try declare("  - {on: all, package: tiny-tampered}\n")
                let refused = try await scene.bascule("apply", "--yes")
                #expect(refused.status == 1 && refused.all.contains("[package-failed]"), "\(refused.all)")
                #expect(refused.all.contains("Hash Sum mismatch"), "\(refused.all)")
                #expect(try await version("tiny-tampered").isEmpty)
                try original.write(to: URL(fileURLWithPath: path))
                #expect(try await scene.bascule("apply", "--yes").status == 0)
            }
        }

        @Test func aRepositoryWhoseKeyHasExpiredIsRefusedAndTakenAwayAgain() async throws {
            try scene.fleet(Sample.blank("p"))
            try #require(try await scene.bascule("apply", "--yes").status == 0)
            let archive = try await TinyArchive("\(scene.folder)/expired", expired: true)
            try await archive.publish([.init(name: "tiny-expired", version: "1.0")])
            try scene.write("tiny.asc", try await archive.publicKey())
            let server = try await archive.serve(on: "p", of: scene, port: port)
            defer { server.kill9() }
            try await scene.shell("p", "rm -f /etc/apt/sources.list.d/tiny.sources /etc/apt/keyrings/tiny.asc")
            try scene.fleet(declared(""))
            let refused = try await scene.bascule("apply", "--yes")
            #expect(refused.status == 1 && refused.all.contains("[repository-refused]"), "\(refused.all)")
            #expect(refused.all.lowercased().contains("expire") || refused.all.contains("EXPKEYSIG"), "\(refused.all)")
            #expect(try await scene.run("p", "test", "-e", "/etc/apt/sources.list.d/tiny.sources").status == 1)
        }

        /// A package's service never runs with the configuration that it brings.
        @Test func aServiceDoesNotStartBeforeItIsConfigured() async throws {
            let server = TinyArchive.Package(
                name: "tiny-server", version: "1.0",
                files: [
                    "etc/tiny-server.conf": "packaged: open to everybody\n",
                    "lib/systemd/system/tiny-server.service":
                        "[Service]\nExecStart=/bin/sh -c 'cat /etc/tiny-server.conf >> /var/log/tiny-server; exec sleep infinity'\n[Install]\nWantedBy=multi-user.target\n",
                ],
                conffiles: ["etc/tiny-server.conf"],
                scripts: [
                    "postinst":
                        "#!/bin/sh\nset -e\ndeb-systemd-helper enable tiny-server.service >/dev/null\nsystemctl daemon-reload\ndeb-systemd-invoke start tiny-server.service\n"
                ], depends: "init-system-helpers")
            try await withArchive([server]) { _, declare in
                try declare(
                    """
                      - {on: all, package: tiny-server}
                      - {on: all, file: /etc/tiny-server.conf, content: "hardened\\n"}
                      - {on: all, unit: tiny-server.service, state: running, enabled: true, restartOn: [/etc/tiny-server.conf]}

                    """)
                let applied = try await scene.bascule("apply", "--yes")
                #expect(applied.status == 0, "\(applied.all)")
                #expect(
                    try await scene.shell("p", "systemctl is-active tiny-server; sort -u /var/log/tiny-server")
                        == "active\nhardened")
                #expect(
                    try await scene.run("p", "test", "-e", "/usr/sbin/policy-rc.d").status == 1,
                    "the node's own policy is back")
            }
        }

        /// unattended-upgrades came between plan and apply: what the plan wanted is there, or it is looked at anew.
        @Test func aPackageThatWasUpgradedInBetweenIsObservedAgain() async throws {
            let versions = ["1.0", "1.1", "1.2"].map { TinyArchive.Package(name: "tiny-upgraded", version: $0) }
            try await withArchive(versions) { _, declare in
                try declare("  - {on: all, package: tiny-upgraded, version: \"1.0\"}\n")
                try #require(try await scene.bascule("apply", "--yes").status == 0)
                try declare("  - {on: all, package: tiny-upgraded, version: \"1.1\"}\n")
                let plan = "\(scene.folder)/upgrade.plan"
                try #require(try await scene.bascule("plan", "--out", plan).status == 2)
                try await scene.shell("p", "apt-get -qq -y install tiny-upgraded=1.1 >/dev/null")
                let satisfied = try await scene.bascule("apply", plan, "--yes", "--json")
                #expect(satisfied.status == 0, "\(satisfied.all)")
                #expect(
                    satisfied.events("finished").filter { $0.step?.contains("package") == true }.map(\.status)
                        == ["satisfied"], "\(satisfied.all)")
                try declare("  - {on: all, package: tiny-upgraded, version: \"1.0\"}\n")
                try #require(try await scene.bascule("plan", "--out", plan).status == 2)
                try await scene.shell("p", "apt-get -qq -y install tiny-upgraded=1.2 >/dev/null")
                let refused = try await scene.bascule("apply", plan, "--yes")
                #expect(refused.status == 1 && refused.all.contains("[changed-underneath]"), "\(refused.all)")
                #expect(try await version("tiny-upgraded") == "1.2 installed")
                #expect(try await scene.bascule("apply", "--yes").status == 0)
                #expect(try await version("tiny-upgraded") == "1.0 installed", "a new plan takes it into account")
            }
        }
    }
}
