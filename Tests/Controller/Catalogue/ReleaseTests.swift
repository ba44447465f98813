import BasculeCrypto
import BasculeFleet
import BasculeModel
import Testing

@testable import BasculeCatalogue

/// A release's digest changes with whatever is built in, and with nothing else.
@Suite struct ReleaseTests {
    private func digest(_ change: (String) -> String = { $0 }, archive: String = "a") throws -> Digest? {
        let text = """
            fleet: tiny
            nodes: {vps1: {address: 192.0.2.1}}
            topologies: {only: {vps1: [app]}}
            apps:
              shop:
                source: {path: ./shop}
                build: ["npm ci --omit=dev", ["sh", "-c", "echo 'two words' > x"]]
                buildEnv: {NEXT_PUBLIC_URL: "https://shop.example"}
                start: node server.js
                port: 3000
                env: {A: one, S: !secret S}

            """
        return try CatalogueFolder().compile(change(text)) {
            $0.archives["shop"] = SourceArchive(digest: Digest(of: archive), size: 1)
        }.release("shop")?.release
    }

    @Test func sameInputsSameRelease() throws {
        #expect(try digest() == digest())
        // The port and the number of instances are the unit's and the upstream's, not the release's.
        #expect(try digest() == digest { $0.replacing("port: 3000", with: "port: 3100\n    instances: 2") })
    }

    @Test(arguments: [
        ("A: one", "A: two"), ("A: one", "B: one"), ("S: !secret S", "S: !secret T"), ("S: !secret S", "S: S"),
        ("--omit=dev", "--omit=test"),
        ("shop.example", "shop.test"), ("node server.js", "node main.js"),
    ])
    func otherInputsOtherRelease(_ old: String, _ new: String) throws {
        #expect(try digest() != digest { $0.replacing(old, with: new) })
    }

    @Test func otherSourceOtherRelease() throws {
        #expect(try digest() != digest(archive: "b"))
    }

    @Test func buildLinesAreSafeForTheShell() throws {
        let folder = try CatalogueFolder()
        let compiled = try folder.compile(
            """
            fleet: tiny
            nodes: {vps1: {address: 192.0.2.1}}
            topologies: {only: {vps1: [app]}}
            apps:
              shop: {source: {path: ./shop}, build: ["npm ci --omit=dev", ["sh", "-c", "echo 'x' > y"]], start: node server.js, port: 3000}

            """)
        #expect(compiled.release("shop")?.build == ["npm ci --omit=dev", #"sh -c 'echo '\''x'\'' > y'"#])
        #expect(compiled.find("package:npm") != nil)
        // No web role: no proxy stands before it.
        guard case .app(let app)? = compiled.find("app:shop")?.resource else {
            Issue.record("no app")
            return
        }
        #expect(app.upstreamFile == nil)
    }
}
