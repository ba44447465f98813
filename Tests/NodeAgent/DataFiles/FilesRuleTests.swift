import Testing

@testable import BasculeData

@Suite struct FilesRuleTests {
    @Test(arguments: [
        ("*.tmp", "a/b.tmp", true), ("*.tmp", "a/b.tmpx", false), ("cache", "a/cache/x.png", true),
        ("/cache", "a/cache/x.png", false), ("/cache/", "cache/x.png", true), ("a/*.png", "x/a/b.png", true),
        ("a/*.png", "a/b/c.png", false), ("a/**.png", "a/b/c.png", true),
    ])
    func whatRsyncLeavesOutIsNotMissing(pattern: String, path: String, isLeftOut: Bool) {
        #expect(FilesPatterns([pattern]).match(Array(path.utf8)) == isLeftOut)
    }

    @Test(arguments: [
        ("/uploads/a.png", "/uploads/", "a.png"), ("https://x.y/up/a%20b.png?v=2", "https://x.y/up/", "a b.png"),
        ("products/a.png", "", "products/a.png"), ("/products/a.png", "", "products/a.png"),
    ])
    func aReferenceNamesItsFile(value: String, prefix: String, path: String) {
        #expect(FilesReferences.paths(Array(value.utf8), prefix: prefix).contains(Array(path.utf8)))
    }

    @Test func aValueOfAnotherPlaceNamesNone() {
        #expect(FilesReferences.paths(Array("https://cdn.z/a.png".utf8), prefix: "/uploads/").isEmpty)
    }
}
