import BasculeFleet
import BasculeModel
import Foundation
import Testing

@Suite struct GeneratedTests {
    @Test func theTemplateValidatesAsItIs() throws {
        let folder = try FleetFolder([])
        let parsed = try folder.parse(FleetTemplate.commented(name: "girlycrea"))
        #expect(parsed.fleet.name == "girlycrea")
        #expect(parsed.warnings.isEmpty)
        #expect(parsed.fleet.apps["girlycrea"] != nil)
    }

    @Test func theTemplateValidatesWithEverythingSwitchedOn() throws {
        let folder = try FleetFolder([])
        try FileManager.default.createDirectory(atPath: folder.path + "/journeys", withIntermediateDirectories: true)
        try Data("name: a\nsteps: [{name: b, request: {path: /}}]\n".utf8)
            .write(to: URL(fileURLWithPath: folder.path + "/journeys/shop.yaml"))
        let text = FleetTemplate.commented(name: "shop").split(separator: "\n", omittingEmptySubsequences: false)
            .map { line in
                // `#key` and `#  key` are switches; `# Prose` and `    # Prose` are not.
                line.hasPrefix("#") && !(line.dropFirst().first == " " && line.dropFirst(2).first != " ")
                    ? String(line.dropFirst()) : String(line)
            }.joined(separator: "\n")
        let fleet = try folder.parse(text).fleet
        #expect(fleet.nodes["rehearsal"] != nil)
        #expect(fleet.migration?.sources.count == 2)
        #expect(fleet.services.redis?.durable != nil)
        #expect(fleet.costs?.after == ["vps": 12.5])
        #expect(fleet.resources.count == 3)
    }

    @Test func anOddNameDoesNotBreakTheTemplate() throws {
        let folder = try FleetFolder([])
        #expect(try folder.parse(FleetTemplate.commented(name: "x: [\n$(y)")).fleet.name == "shop")
    }

    @Test func theSchemaKnowsEveryKeyOfTheSample() throws {
        let data = Data(FleetSchema.json().utf8)
        let schema = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(schema["$schema"] as? String == "https://json-schema.org/draft/2020-12/schema")
        let top = try #require(schema["properties"] as? [String: Any])
        #expect(
            Set(top.keys) == [
                "fleet", "nodes", "topologies", "topology", "services", "apps", "resources", "migration", "costs",
                "caps",
            ])
        let services = try #require((top["services"] as? [String: Any])?["properties"] as? [String: Any])
        let bouncer = try #require((services["pgbouncer"] as? [String: Any])?["properties"] as? [String: Any])
        let mode = try #require(bouncer["poolMode"] as? [String: Any])
        #expect(mode["enum"] as? [String] == ["transaction", "session"])
        #expect(mode["default"] as? String == "transaction")
    }

    @Test func theReferenceComesFromTheSameTables() {
        let text = FleetSchema.markdown()
        #expect(text.contains("`services.redis.cache`"))
        #expect(text.contains("| `maxMemory` | Memory for data (a size such as 256MiB or 2GiB) | \"256MiB\" |"))
        #expect(text.contains("`migration.sources.NAME`"))
    }
}
