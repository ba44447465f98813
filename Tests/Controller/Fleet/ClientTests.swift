import BasculeFleet
import BasculeModel
import Foundation
import Testing

/// Libraries that go on talking to the old services after the switch are named.
@Suite struct ClientTests {
    @Test(arguments: [
        (#"{"dependencies": {"@supabase/supabase-js": "^2", "express": "4"}}"#, "@supabase/supabase-js"),
        (#"{"dependencies": {"@upstash/redis": "1"}}"#, "@upstash/redis"),
    ])
    func aClientOfARentedServiceIsNamed(manifest: String, name: String) throws {
        let warnings = try check(manifest)
        #expect(warnings.contains { $0.contains(name) }, "\(warnings)")
    }

    @Test(arguments: [#"{"dependencies": {"ioredis": "5", "pg": "8"}}"#, "{}", "no JSON"])
    func othersAreNot(manifest: String) throws {
        #expect(try !check(manifest).contains { $0.contains("uses @") })
    }

    private func check(_ manifest: String) throws -> [String] {
        let folder = try FleetFolder(["shop/package.json"])
        try Data(manifest.utf8).write(to: URL(fileURLWithPath: folder.path + "/shop/package.json"))
        let text = """
            fleet: tiny
            nodes: {n1: {address: 192.0.2.1}}
            topologies: {single: {n1: [app]}}
            topology: single
            apps: {shop: {source: {path: ./shop}, start: node server.js, port: 3000}}
            migration: {}
            """
        return try folder.parse(text).warnings.map(\.error.message)
    }
}
