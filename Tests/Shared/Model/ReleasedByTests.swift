import Testing

@testable import BasculeModel

/// A plan shows a release by token as such, and says nothing of tokens where an apply released.
@Suite struct ReleasedByTests {
    private let spec = AppSpec(
        app: "shop", release: Digest(rawValue: String(repeating: "a", count: 64)), root: "/srv/apps/shop",
        ports: [3000], unit: "bascule-shop", healthPath: "/", healthTimeout: 5, drain: 1, upstreamFile: nil,
        upstream: "shop")

    @Test(arguments: [
        ("ci-1", "bbbbbbbbbbbb (released by token ci-1)"), (nil, "bbbbbbbbbbbb"),
    ])
    func aDifferenceNamesTheToken(_ token: String?, _ before: String) {
        let seen = AppObserved(
            current: String(repeating: "b", count: 16), upToDate: [3000], healthy: [3000], releasedBy: token)
        guard case .change(let change) = spec.verdict(seen) else {
            Issue.record("no difference")
            return
        }
        #expect(change.differences.first?.before == before)
    }

    @Test func theSameReleaseIsInOrderWhoeverReleasedIt() {
        let seen = AppObserved(
            current: String(repeating: "a", count: 16), upToDate: [3000], healthy: [3000], releasedBy: "ci-1")
        #expect(spec.verdict(seen) == .satisfied(reason: "1 healthy instances"))
    }
}
