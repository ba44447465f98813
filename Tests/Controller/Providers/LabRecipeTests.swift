import Foundation
import Testing

@testable import BasculeProviders

@Suite struct LabRecipeTests {
    @Test func theFolderShowsWhatTheProgramInstalls() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let text = try String(contentsOf: root.appending(path: "deploy/lab/packages"), encoding: .utf8)
        let shown = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
        #expect(shown == LabRecipe.packages)
    }

    @Test func theKeyFollowsEveryInput() {
        let recipe = LabRecipe(release: .debian12, sources: "one", aptSettings: "two")
        #expect(recipe.key.hasPrefix("debian12-"))
        #expect(recipe.key == LabRecipe(release: .debian12, sources: "one", aptSettings: "two").key)
        #expect(recipe.key != LabRecipe(release: .debian12, sources: "ONE", aptSettings: "two").key)
        #expect(recipe.key != LabRecipe(release: .debian12, sources: "one", aptSettings: "TWO").key)
        #expect(
            recipe.key.dropFirst(9)
                != LabRecipe(release: .debian13, sources: "one", aptSettings: "two").key.dropFirst(9))
    }

    @Test func aLayersKeyIgnoresOrderOnly() {
        func key(_ download: [String], _ install: [String], base: String = "debian12-0-1") -> String {
            LabRecipe.layerKey(base: base, image: LabImage(base: .debian12, download: download, install: install))
        }
        #expect(key(["a", "b"], []) == key(["b", "a", "a"], []))
        #expect(key(["a"], []) != key([], ["a"]))
        #expect(key(["a", "b"], []) != key(["a b"], ["c"]))
        #expect(key(["a"], []) != key(["a"], [], base: "debian12-0-2"))
    }

    @Test func nodesGetResolversThatTheyCanReach() {
        let direct = "nameserver 192.0.2.53\n"
        #expect(LabBoot.resolver(own: direct, behindStub: "nameserver 192.0.2.1\n") == direct)
        #expect(LabBoot.resolver(own: "nameserver 127.0.0.53\n", behindStub: direct) == direct)
        #expect(LabBoot.resolver(own: "nameserver ::1", behindStub: nil) == "nameserver ::1\n")
    }

    @Test func theTableIsReplacedInOneTransaction() {
        let network = LabNetwork(tag: "abc123", subnet: IPv4Network(base: 10 << 24 | 213 << 16, prefix: 24))
        let lines = network.rules.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        #expect(Array(lines[..<2]) == ["table ip bascule_lab_abc123", "delete table ip bascule_lab_abc123"])
        #expect(lines.contains("ip saddr 10.213.0.0/24 oifname != \"bl-abc123\" masquerade"))
    }
}
