import Testing

@testable import BasculeProviders

@Suite struct AptSourcesTests {
    private let debian = """
        Types: deb
        # a comment in between
        URIs: http://mirror.example/debian
        Suites: bookworm bookworm-updates
        Components: main contrib
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

        Types: deb deb-src
        URIs: http://mirror.example/debian-security
        Suites: bookworm-security
        Components: main
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
        """

    @Test func translatesDebiansOwnArchives() {
        let text = AptSources.translate(files: [("debian.sources", debian)], host: "bookworm", image: "trixie")
        #expect(
            text == """
                Types: deb
                URIs: http://mirror.example/debian
                Suites: trixie trixie-updates
                Components: main contrib
                Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

                Types: deb
                URIs: http://mirror.example/debian-security
                Suites: trixie-security
                Components: main
                Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

                """)
    }

    @Test func readsTheOldForm() {
        let list = """
            # deb http://old.example/debian bookworm main
            deb [arch=amd64 signed-by=/k/debian-archive-keyring.gpg] http://mirror.example/debian bookworm main # here
            deb-src http://mirror.example/debian bookworm main
            deb [ arch=amd64 ] http://mirror.example/debian bookworm-updates main non-free
            """
        let text = AptSources.translate(files: [("sources.list", list)], host: "bookworm", image: "trixie") ?? ""
        #expect(text.contains("Suites: trixie\nComponents: main\nSigned-By: /k/debian-archive"))
        #expect(text.contains("Suites: trixie-updates\nComponents: main non-free\n"))
        #expect(!text.contains("old.example"))
        #expect(text.split(separator: "\n").filter { $0.hasPrefix("Types:") }.count == 2)
    }

    @Test(arguments: [
        "Types: deb\nURIs: http://vendor.example/apt\nSuites: bookworm-pgdg\nComponents: main\n",
        "Types: deb\nURIs: http://vendor.example/apt\nSuites: nodistro\nComponents: main\n",
        "Types: deb\nURIs: http://vendor.example/apt\nSuites: bookworm\nComponents: stable\n",
        "Types: deb\nURIs: http://vendor.example/apt\nSuites: bookworm\nComponents: main\nSigned-By: /k/v.gpg\n",
        "Enabled: no\nTypes: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n",
        "Types: deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n", "",
    ])
    func leavesOtherArchivesOut(stanza: String) {
        #expect(AptSources.translate(files: [("x.sources", stanza)], host: "bookworm", image: "bookworm") == nil)
    }

    @Test func ignoresDisabledFiles() {
        #expect(AptSources.translate(files: [("debian.sources.off", debian)], host: "bookworm", image: "trixie") == nil)
    }

    @Test func keepsAKeyWrittenInPlace() {
        let stanza = """
            Types: deb
            URIs: http://mirror.example/debian
            Suites: bookworm
            Components: main
            Signed-By:
             -----BEGIN PGP PUBLIC KEY BLOCK-----
             .
             AAAA
            """
        let text = AptSources.translate(files: [("x.sources", stanza)], host: "bookworm", image: "trixie")
        #expect(text?.contains("Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n AAAA\n") == true)
    }

    @Test func keepsOnlyTheSettingsThatReachTheArchive() {
        let dump = """
            APT::Architecture "amd64";
            Acquire::Check-Valid-Until "false";
            Acquire::http::Proxy "http://192.0.2.9:3142";
            Acquire::https::Proxy "http://127.0.0.1:3142";
            Acquire::http "";
            Acquire::GzipIndexes "true";
            DPkg::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb";
            """
        #expect(
            AptSources.settings(fromDump: dump) == """
                Acquire::Languages "none";
                Acquire::Check-Valid-Until "false";
                Acquire::http::Proxy "http://192.0.2.9:3142";

                """)
    }
}
