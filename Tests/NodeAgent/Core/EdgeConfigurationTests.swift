import BasculeModel
import Testing

@testable import BasculeAgentCore

/// Port 80 of the old edge before the switch: the authority's questions go on, all else stays.
@Suite struct EdgeConfigurationTests {
    private func spec(_ upstream: String? = nil) -> EdgeSpec {
        EdgeSpec(
            domains: ["shop.example"], newAddress: "198.51.100.7", certificate: nil, key: nil, challenges: true,
            upstream: upstream)
    }

    private func answers(_ status: Int, _ locations: [String?]) -> [String: [EdgeProbe.Answer]] {
        ["shop.example": locations.map { EdgeProbe.Answer(status: status, location: $0) }]
    }

    @Test func aWayToTLSStaysOne() throws {
        let seen = answers(308, ["https://shop.example/", "https://shop.example/bascule-look?at=it"])
        let text = try #require(EdgeConfiguration.old(spec(), answers: seen))
        #expect(text.contains("location / { return 308 https://shop.example$request_uri; }"))
        #expect(text.contains("location ^~ /.well-known/acme-challenge/ { proxy_pass http://198.51.100.7;"))
        #expect(!text.contains("listen 443"))
    }

    @Test func whatIsNoMereWayToTLSNeedsItsUpstream() throws {
        for seen in [
            answers(200, [nil, nil]), answers(301, ["https://www.shop.example/", "https://www.shop.example/"]),
            answers(301, ["https://shop.example/", nil]), [:],
        ] {
            #expect(EdgeConfiguration.old(spec(), answers: seen) == nil)
            let text = try #require(EdgeConfiguration.old(spec("127.0.0.1:3000"), answers: seen))
            #expect(text.contains("location / { proxy_pass http://127.0.0.1:3000; "))
        }
        #expect(EdgeConfiguration.todo(spec(), "why").hasPrefix("todo-forward-challenges: "))
    }
}
